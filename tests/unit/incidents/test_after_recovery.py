"""Contract between recovery and detection: work that was put back may be done again; work that still stands may not."""

from __future__ import annotations

import pytest

from stopwork.detect.duplicate_action import DuplicateAction
from stopwork.ledger.words import ItemState
from tests.unit.detect.manifests import manifest
from tests.unit.detect.story import findings, rules_of
from tests.unit.incidents.cases import bad_monday

RULES = rules_of(manifest(alerts={"duplicate_action": {"key": ["tool", "args.account_id", "args.title"]}}))


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ((ItemState.VERIFIED, ItemState.VERIFIED), ["B"]),
        ((ItemState.VERIFIED, ItemState.CONFLICT), ["B", "C"]),
        ((ItemState.CONFLICT, ItemState.FAILED), ["B", "C"]),
    ],
)
def test_what_was_put_back_may_be_done_again(states: tuple[ItemState, ...], expected: list[str]) -> None:
    story = bad_monday().paused().sealed().audited().planned(*states, calls=("A", "B"))
    story.after(days=1).run("r2").call("C", "r2", account_id="acme", title="Call them")
    assert [finding.call for finding in findings(DuplicateAction(), story, RULES)] == expected
