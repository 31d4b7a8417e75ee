"""Contract of holds: which calls each kind of scope covers, what each mode answers, which holds keep a run from starting."""

from __future__ import annotations

import pytest
from msgspec import field

from stopwork.control import holds
from stopwork.ledger.records import Hold, Record, Scope
from stopwork.ledger.words import EffectKind, HoldMode, ScopeKind, Verdict
from tests.unit.control.world import hold


class Call(Record):
    workflow: str = "renewals"
    trigger: str = "schedule"
    tool: str = "mail.send"
    effect: EffectKind = EffectKind.SEND
    permission: str | None = "mail.out"
    source: str | None = "inbox"
    source_class: str | None = "external"
    destinations: tuple[str, ...] | None = ("y@customer.test", "x@customer.test")
    args: dict[str, object] = field(
        default_factory=lambda: {"id": "mail-17", "n": 4, "where": {"url": "https://mail.test/m/Mail-8?x=1"}}
    )


BARE = Call(permission=None, source=None, source_class=None, destinations=())
K = ScopeKind

COVERS: dict[str, tuple[Scope, Call, bool]] = {
    "everything": (Scope(kind=K.EVERYTHING), Call(), True),
    "everything of this workflow": (Scope(kind=K.EVERYTHING, workflow="renewals"), Call(), True),
    "everything of another": (Scope(kind=K.EVERYTHING, workflow="other"), Call(), False),
    "the workflow": (Scope(kind=K.WORKFLOW, name="renewals"), Call(), True),
    "another workflow": (Scope(kind=K.WORKFLOW, name="other"), Call(), False),
    "the trigger": (Scope(kind=K.TRIGGER, name="schedule"), Call(), True),
    "another trigger": (Scope(kind=K.TRIGGER, name="manual"), Call(), False),
    "the tool, anywhere": (Scope(kind=K.TOOL, name="mail.send"), Call(), True),
    "the tool, in this workflow": (Scope(kind=K.TOOL, name="mail.send", workflow="renewals"), Call(), True),
    "the tool, in another workflow": (Scope(kind=K.TOOL, name="mail.send", workflow="other"), Call(), False),
    "a tool of a longer name": (Scope(kind=K.TOOL, name="mail"), Call(), False),
    "the permission": (Scope(kind=K.PERMISSION, name="mail.out"), Call(), True),
    "a permission, on a call that needs none": (Scope(kind=K.PERMISSION, name="mail.out"), BARE, False),
    "the source": (Scope(kind=K.SOURCE, name="inbox"), Call(), True),
    "an item that is named": (Scope(kind=K.SOURCE, name="inbox", item="mail-17"), Call(), True),
    "an item named in a longer text": (Scope(kind=K.SOURCE, name="inbox", item="mail-8"), Call(), True),
    "an item by its number": (Scope(kind=K.SOURCE, name="inbox", item="4"), Call(), True),
    "an item of a shorter id": (Scope(kind=K.SOURCE, name="inbox", item="mail-1"), Call(), False),
    "an item that is not named": (Scope(kind=K.SOURCE, name="inbox", item="mail-2"), Call(), False),
    "an item of another source": (Scope(kind=K.SOURCE, name="crm", item="mail-17"), Call(), False),
    "an item of the class": (Scope(kind=K.SOURCE, name="class:external", item="mail-17"), Call(), True),
    "the class of the source": (Scope(kind=K.SOURCE, name="class:external"), Call(), True),
    "another class": (Scope(kind=K.SOURCE, name="class:internal"), Call(), False),
    "one of the destinations": (Scope(kind=K.DESTINATION, name="x@customer.test"), Call(), True),
    "the same destination in other letters": (
        Scope(kind=K.DESTINATION, name="X@Customer.test"),
        Call(),
        True,
    ),
    "another destination": (Scope(kind=K.DESTINATION, name="customer.test"), Call(), False),
    "a destination, on a call whose destinations cannot be read": (
        Scope(kind=K.DESTINATION, name="x@customer.test"),
        Call(destinations=None),
        True,
    ),
    "a destination, on a call without one": (Scope(kind=K.DESTINATION, name="x@customer.test"), BARE, False),
}


@pytest.mark.parametrize("name", COVERS)
def test_a_scope_covers(name: str) -> None:
    scope, call, covered = COVERS[name]
    assert holds.covers(scope, call) is covered


ANSWERS = [
    (HoldMode.BLOCK, Verdict.DENY, Verdict.DENY),
    (HoldMode.READ_ONLY, Verdict.ALLOW, Verdict.DENY),
    (HoldMode.DRAFT_ONLY, Verdict.ALLOW, Verdict.DRAFT),
    (HoldMode.APPROVAL_REQUIRED, Verdict.WAIT, Verdict.WAIT),
]


@pytest.mark.parametrize(("mode", "reading", "changing"), ANSWERS)
def test_a_mode_answers(mode: HoldMode, reading: Verdict, changing: Verdict) -> None:
    assert holds.answer(mode, EffectKind.READ) is reading
    assert {holds.answer(mode, effect) for effect in EffectKind if effect is not EffectKind.READ} == {
        changing
    }


def test_every_hold_that_restricts_the_call_gives_its_own_reason() -> None:
    set_ones = [
        hold(HoldMode.BLOCK, id="hold_1"),
        hold(HoldMode.DRAFT_ONLY, K.TOOL, "mail.send", id="hold_2"),
        hold(HoldMode.BLOCK, K.TOOL, "crm.read", id="hold_3"),
        hold(HoldMode.BLOCK, id="hold_4", active=False),
    ]
    assert [reason.source for reason in holds.reasons(set_ones, Call())] == ["hold_1", "hold_2"]


STARTS: dict[str, tuple[Hold, bool]] = {
    "the workflow is blocked": (hold(), True),
    "everything is blocked": (hold(kind=K.EVERYTHING, name=""), True),
    "the trigger is blocked": (hold(kind=K.TRIGGER, name="schedule"), True),
    "the trigger is blocked for another workflow": (
        hold(kind=K.TRIGGER, name="schedule", within="other"),
        False,
    ),
    "another trigger is blocked": (hold(kind=K.TRIGGER, name="manual"), False),
    "a tool is blocked": (hold(kind=K.TOOL, name="mail.send"), False),
    "the workflow may only read": (hold(HoldMode.READ_ONLY), False),
    "the block was lifted": (hold(active=False), False),
}


@pytest.mark.parametrize("name", STARTS)
def test_a_run_is_kept_from_starting_when(name: str) -> None:
    set_one, kept = STARTS[name]
    assert (holds.keeps_from_starting([set_one], "renewals", "schedule") is set_one) is kept
