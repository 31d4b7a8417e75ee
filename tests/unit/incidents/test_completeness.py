"""Contract of what an audit can know of a system: it is seen as well as the call of which least is on record."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from stopwork.incidents.case import Case
from stopwork.incidents.completeness import completeness
from stopwork.ledger.records import SystemSeen
from stopwork.ledger.words import SystemSight
from tests.unit.incidents.cases import bad_monday


def seen_by(*sources: str) -> tuple[SystemSeen, tuple[str, ...]]:
    """Answer how the one system of a case is seen of whose effects these are the sources, the last for all that are left."""
    case: Case = bad_monday().case()
    told = [*sources, *[sources[-1]] * len(case.effects)]
    effects = tuple(replace(each, source=told[number]) for number, each in enumerate(case.effects))
    found = completeness(replace(case, effects=effects))
    (system,) = found.systems
    return system, found.says


@pytest.mark.parametrize(
    ("sources", "sight", "calls"),
    [
        (("capture",), SystemSight.CAPTURE, {"capture": 3}),
        (("scan",), SystemSight.SCAN, {"scan": 3}),
        (("declared",), SystemSight.DECLARED, {"declared": 3}),
        (("capture", "declared"), SystemSight.DECLARED, {"declared": 2, "capture": 1}),
        (("capture", "scan"), SystemSight.SCAN, {"scan": 2, "capture": 1}),
    ],
)
def test_a_system_is_seen_as_well_as_the_call_of_which_least_is_known(
    sources: tuple[str, ...], sight: SystemSight, calls: dict[str, int]
) -> None:
    found, _ = seen_by(*sources)
    assert (found.sight, found.calls) == (sight, calls)


def test_it_says_of_how_many_calls_what_is_known() -> None:
    _, says = seen_by("capture", "declared")
    assert (
        "In crm, only the objects that the manifest names are known of 2 calls, and other changes may be unseen; "
        "the place itself told every change of 1 call."
    ) in says
