"""Contract of what an audit can know of a system: it is seen as well as the call of which least is on record."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from stopwork.incidents.case import Case
from stopwork.incidents.completeness import completeness
from stopwork.ledger.records import Step, SystemSeen
from stopwork.ledger.words import StepKind, SystemSight
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


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        (0, "The agent reported no step beside the calls (model calls, retrievals); what it did"),
        (1, "1 step beside the calls (model calls, retrievals) is as the agent reports it; what it did"),
        (2, "2 steps beside the calls (model calls, retrievals) are as the agent reports them; what it did"),
    ],
)
def test_it_says_whose_word_the_steps_beside_the_calls_are(steps: int, said: str) -> None:
    case: Case = bad_monday().case()
    incident = case.incident
    asked = Step(
        id="step_1",
        run="r1",
        workflow=incident.workflow,
        kind=StepKind.MODEL_CALL,
        name="m",
        at=incident.opened_at,
    )
    says = completeness(replace(case, steps=(asked,) * steps)).says
    assert any(line.startswith(said) for line in says)


def test_it_says_of_how_many_calls_what_is_known() -> None:
    _, says = seen_by("capture", "declared")
    assert (
        "In crm, only the objects that the manifest names are known of 2 calls, and other changes may be unseen; "
        "the place itself told every change of 1 call."
    ) in says
