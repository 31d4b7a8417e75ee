"""Contract of holds that overlap, contradict each other, are lifted twice or name nothing: the strictest wins whatever the order, each stands
until it is lifted itself, and a name that nothing bears is refused with the names that are meant.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from stopwork.kernel.errors import Conflict, Invalid, NotFound
from stopwork.ledger.records import Hold, Scope
from stopwork.ledger.words import HoldMode, ReasonKind, ScopeKind, Verdict
from stopwork.operations import holds
from tests.support.office import DANA, KIM, LEE, WORKFLOW, Office

WHOLE = Scope(kind=ScopeKind.WORKFLOW, name=WORKFLOW)
WRITE: dict[str, Any] = {"tool": "crm.create_task", "account_id": "acme", "title": "Call"}
READ: dict[str, Any] = {"tool": "crm.read_account", "account_id": "acme"}

BLOCK, READ_ONLY, DRAFT_ONLY, ASK = (
    HoldMode.BLOCK,
    HoldMode.READ_ONLY,
    HoldMode.DRAFT_ONLY,
    HoldMode.APPROVAL_REQUIRED,
)

#: Two modes on one scope: what a read and a write are answered.
CONTRADICTIONS = {
    (BLOCK, DRAFT_ONLY): (Verdict.DENY, Verdict.DENY),
    (BLOCK, ASK): (Verdict.DENY, Verdict.DENY),
    (READ_ONLY, ASK): (Verdict.WAIT, Verdict.DENY),
    (READ_ONLY, DRAFT_ONLY): (Verdict.ALLOW, Verdict.DENY),
    (DRAFT_ONLY, ASK): (Verdict.WAIT, Verdict.DRAFT),
}


def hold(office: Office, mode: HoldMode, scope: Scope = WHOLE) -> Hold:
    return office.write(partial(holds.pause, scope=scope, mode=mode, reason=f"be {mode}"), actor=LEE).hold


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize(("modes", "verdicts"), tuple(CONTRADICTIONS.items()), ids=str)
def test_of_contradicting_holds_the_strictest_wins(
    office: Office,
    modes: tuple[HoldMode, HoldMode],
    verdicts: tuple[Verdict, Verdict],
    order: tuple[int, int],
) -> None:
    set_ = {hold(office, modes[index]).id for index in order}
    run = office.begin()
    read, write = office.ask(run, **READ), office.ask(run, **WRITE)
    assert (read.verdict, write.verdict) == verdicts
    # Both are named: whoever lifts one sees that the other still stands.
    assert {each.source for each in write.reasons if each.kind is ReasonKind.HOLD} == set_


def test_overlapping_scopes_add_up(office: Office) -> None:
    tool = Scope(kind=ScopeKind.TOOL, name="crm.create_task", workflow=WORKFLOW)
    permission = Scope(kind=ScopeKind.PERMISSION, name="crm.tasks.write")
    for scope, mode in ((WHOLE, DRAFT_ONLY), (tool, ASK), (permission, READ_ONLY)):
        hold(office, mode, scope)
    run = office.begin()
    assert office.ask(run, **WRITE).verdict is Verdict.DENY
    update = office.ask(run, "crm.update_account", account_id="acme", renewal="2026-08-01")
    assert (update.verdict, office.ask(run, **READ).verdict) == (Verdict.DRAFT, Verdict.ALLOW)


@pytest.mark.parametrize("order", [(BLOCK, READ_ONLY), (READ_ONLY, BLOCK)], ids=str)
def test_lifting_one_leaves_the_other(office: Office, order: tuple[HoldMode, HoldMode]) -> None:
    first, second = (hold(office, mode) for mode in order)
    lift = partial(holds.lift, hold=first.id, reason="it is mended")
    office.write(lift, actor=DANA)
    run = office.begin()
    assert office.ask(run, **WRITE).verdict is Verdict.DENY
    office.write(partial(holds.lift, hold=second.id, reason="this too"), actor=DANA)
    assert office.ask(run, **WRITE).verdict is Verdict.ALLOW


def test_a_hold_is_lifted_once(office: Office) -> None:
    known = hold(office, BLOCK)
    lift = partial(holds.lift, hold=known.id, reason="it is mended")
    lifted = office.write(lift, actor=DANA)
    assert office.write(lift, actor=DANA) == lifted, "a lost answer is asked for again"
    with pytest.raises(Conflict, match=r"was lifted already, by dana@acme\.test: it is mended"):
        office.write(lift, actor=KIM)
    with pytest.raises(Conflict, match="was lifted already"):
        office.write(partial(lift, reason="for another reason"), actor=DANA)


def test_the_same_hold_twice_is_one(office: Office) -> None:
    assert hold(office, BLOCK) == hold(office, BLOCK)


@pytest.mark.parametrize(
    ("scope", "hint"),
    [
        (Scope(kind=ScopeKind.TOOL, name="crm.create_tusk", workflow=WORKFLOW), "crm.create_task"),
        (Scope(kind=ScopeKind.PERMISSION, name="crm.task.write"), "crm.tasks.write"),
        (Scope(kind=ScopeKind.TRIGGER, name="scheduled", workflow=WORKFLOW), "schedule"),
    ],
    ids=str,
)
def test_a_name_that_nothing_bears(office: Office, scope: Scope, hint: str) -> None:
    with pytest.raises(Invalid, match="is named") as caught:
        hold(office, BLOCK, scope)
    assert hint in caught.value.hint


def test_unknown_workflows_and_holds(office: Office) -> None:
    with pytest.raises(NotFound, match="there is no workflow 'renewal'"):
        hold(office, BLOCK, Scope(kind=ScopeKind.WORKFLOW, name="renewal"))
    with pytest.raises(NotFound, match="there is no hold 'hold_x'"):
        office.write(partial(holds.lift, hold="hold_x", reason="?"), actor=DANA)
