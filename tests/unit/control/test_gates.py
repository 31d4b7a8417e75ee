"""Contract of approvals: they bind exact bytes, a version and what stops the call; named people give them, once, and never their own."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from stopwork.control import gates
from stopwork.control.decide import binding
from stopwork.control.gates import Move, Standing
from stopwork.kernel.errors import Conflict, Denied
from stopwork.ledger.records import Approval, Decision, Hold, Principal
from stopwork.ledger.words import ApprovalState, PrincipalKind, Role, ScopeKind
from tests.unit.control.world import AGENT, DANA, LEE, NOW, approval, controls, hold, request, workflow

KIM = Principal(kind=PrincipalKind.PERSON, id="kim@acme.test")
OWNERS = {Role.BUSINESS: DANA.id, Role.TECHNICAL: LEE.id, Role.BACKUP: KIM.id}
SEND = request("mail.send", {"to": "x@customer.test"})
BOUND = gates.Binding(
    principal=AGENT,
    workflow="renewals",
    tool="mail.send",
    args={"to": "x@customer.test"},
    version=3,
    call="call_1",
)
S = ApprovalState

STANDINGS: dict[str, tuple[Approval | None, dict[str, Any], Standing]] = {
    "never asked": (None, {}, Standing.NONE),
    "asked": (approval(SEND, S.PENDING), {}, Standing.PENDING),
    "approved": (approval(SEND), {}, Standing.GRANTED),
    "rejected": (approval(SEND, S.REJECTED), {}, Standing.REJECTED),
    "expired": (approval(SEND, S.EXPIRED), {}, Standing.EXPIRED),
    "approved, past its time": (approval(SEND, expires_at=NOW), {}, Standing.EXPIRED),
    "asked, past its time": (approval(SEND, S.PENDING, expires_at=NOW), {}, Standing.EXPIRED),
    "used by this call": (approval(SEND, S.CONSUMED, consumed_by="call_1"), {}, Standing.GRANTED),
    "used by another": (approval(SEND, S.CONSUMED, consumed_by="call_0"), {}, Standing.STALE),
    "other arguments": (approval(SEND), {"args": {"to": "y@customer.test"}}, Standing.STALE),
    "another tool": (approval(SEND), {"tool": "mail.forward"}, Standing.STALE),
    "another principal": (
        approval(SEND),
        {"principal": Principal(kind=PrincipalKind.AGENT, id="other")},
        Standing.STALE,
    ),
    "another workflow": (approval(SEND), {"workflow": "other"}, Standing.STALE),
    "another version": (approval(SEND), {"version": 4}, Standing.STALE),
    "stopped since": (approval(SEND), {"moves": (Move(epoch=8, what="lee paused it"),)}, Standing.STALE),
    "rejected, and stopped since": (
        approval(SEND, S.REJECTED),
        {"moves": (Move(epoch=8, what="lee paused it"),)},
        Standing.REJECTED,
    ),
    "too late, and stopped since": (
        approval(SEND, expires_at=NOW),
        {"moves": (Move(epoch=8, what="lee paused it"),)},
        Standing.EXPIRED,
    ),
    "rejected under another version": (approval(SEND, S.REJECTED), {"version": 4}, Standing.STALE),
    "stopped before it was asked": (
        approval(SEND),
        {"moves": (Move(epoch=7, what="lee paused it"),)},
        Standing.GRANTED,
    ),
}


@pytest.mark.parametrize("name", STANDINGS)
def test_an_approval_stands(name: str) -> None:
    given, changes, expected = STANDINGS[name]
    fields = {field: getattr(BOUND, field) for field in BOUND.__struct_fields__}
    assert gates.standing(given, gates.Binding(**(fields | changes)), NOW) is expected


def test_what_differs_is_said() -> None:
    moved = replace(
        BOUND, moves=(Move(epoch=6, what="long ago"), Move(epoch=7, what="lee paused everything"))
    )
    assert gates.changes(approval(SEND, epoch=6, version=2), moved.version, moved.moves) == (
        "the manifest went from version 2 to 3",
        "lee paused everything",
    )


MOVES: dict[str, tuple[Hold, tuple[str, ...]]] = {
    "a hold on its tool": (
        hold(kind=ScopeKind.TOOL, name="mail.send", within="renewals"),
        ("lee@acme.test paused tool mail.send of renewals",),
    ),
    "one that was lifted": (
        hold(active=False, lifted_by=DANA),
        ("lee@acme.test paused workflow renewals, and dana@acme.test lifted it again",),
    ),
    "one on another tool": (hold(kind=ScopeKind.TOOL, name="crm.update", within="renewals"), ()),
    "one on another workflow": (hold(name="invoices"), ()),
}


@pytest.mark.parametrize("name", MOVES)
def test_what_concerns_a_call(name: str) -> None:
    given, expected = MOVES[name]
    bound = binding(SEND, controls(holds=(given,)))
    assert tuple(move.what for move in bound.moves) == expected


PEOPLE: dict[str, tuple[dict[Role, str], gates.Ask, Principal, tuple[str, ...], tuple[str, ...]]] = {
    "the role, the backup in time": (OWNERS, gates.Ask(), AGENT, (DANA.id,), (KIM.id,)),
    "nobody in the role": (OWNERS, gates.Ask(approvers=(Role.LEGAL,)), AGENT, (KIM.id,), ()),
    "nobody in the role and no backup": (
        {Role.BUSINESS: DANA.id},
        gates.Ask(approvers=(Role.LEGAL,)),
        AGENT,
        (),
        (),
    ),
    "no backup": ({Role.BUSINESS: DANA.id}, gates.Ask(), AGENT, (DANA.id,), ()),
    "the asker plays the role": (OWNERS, gates.Ask(), DANA, (DANA.id, KIM.id), ()),
    "the backup is named": (
        OWNERS,
        gates.Ask(approvers=(Role.BUSINESS, Role.BACKUP)),
        AGENT,
        (DANA.id, KIM.id),
        (),
    ),
    "one person in both roles, two needed": (
        {Role.BUSINESS: DANA.id, Role.TECHNICAL: DANA.id, Role.BACKUP: KIM.id},
        gates.Ask(approvers=(Role.BUSINESS, Role.TECHNICAL), quorum=2),
        AGENT,
        (DANA.id, KIM.id),
        (),
    ),
}


@pytest.mark.parametrize("name", PEOPLE)
def test_who_is_asked(name: str) -> None:
    owners, asks, asker, now, later = PEOPLE[name]
    assert gates.people(workflow(owners=owners), asks, asker) == gates.Asked(now=now, later=later)


def test_the_backup_is_asked_after_half_the_time_unless_the_gate_says_when() -> None:
    assert gates.Ask(expires_after=timedelta(hours=4)).escalates_after == timedelta(hours=2)
    assert gates.Ask(escalate_after=timedelta(minutes=5)).escalates_after == timedelta(minutes=5)


DECIDERS: dict[str, tuple[Approval, Principal, type[Exception] | None]] = {
    "an approver": (approval(SEND, S.PENDING), DANA, None),
    "an agent": (approval(SEND, S.PENDING, approvers=(AGENT.id,)), AGENT, Denied),
    "the system": (
        approval(SEND, S.PENDING),
        Principal(kind=PrincipalKind.SYSTEM, id=DANA.id),
        Denied,
    ),
    "somebody else": (
        approval(SEND, S.PENDING),
        Principal(kind=PrincipalKind.PERSON, id="kim@acme.test"),
        Denied,
    ),
    "who asked": (approval(SEND, S.PENDING, requested_by=DANA), DANA, Denied),
    "an approver, too late": (approval(SEND, S.PENDING, expires_at=NOW), DANA, Conflict),
    "an approver, after it was decided": (approval(SEND, S.REJECTED), LEE, Conflict),
    "an approver, for the second time": (
        approval(
            SEND,
            S.PENDING,
            decisions=(Decision(person=DANA.id, approve=True, note="", at=NOW),),
        ),
        DANA,
        Conflict,
    ),
}


@pytest.mark.parametrize("name", DECIDERS)
def test_it_can_be_decided_by(name: str) -> None:
    given, person, refused = DECIDERS[name]
    if refused is None:
        gates.check_decider(given, person, NOW)
    else:
        with pytest.raises(refused):
            gates.check_decider(given, person, NOW)


def say(*answers: bool) -> list[Decision]:
    return [
        Decision(person=f"p{number}@acme.test", approve=answer, note="", at=NOW + timedelta(minutes=number))
        for number, answer in enumerate(answers)
    ]


TALLIES = {
    "nobody": (1, say(), S.PENDING),
    "one yes": (1, say(True), S.APPROVED),
    "one no": (1, say(False), S.REJECTED),
    "one yes of two": (2, say(True), S.PENDING),
    "two yes of two": (2, say(True, True), S.APPROVED),
    "a yes and a no": (1, say(True, False), S.REJECTED),
    "the same person twice": (2, [*say(True), *say(True)], S.PENDING),
}


@pytest.mark.parametrize("name", TALLIES)
def test_the_tally_of(name: str) -> None:
    quorum, decisions, expected = TALLIES[name]
    assert gates.tally(quorum, decisions) is expected
