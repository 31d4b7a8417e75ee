"""Contract of approvals: they bind exact bytes, a version and an epoch; named people give them, once, and never their own."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from stopwork.control import gates
from stopwork.control.gates import Standing
from stopwork.kernel.errors import Conflict, Denied
from stopwork.ledger.records import Approval, Decision, Principal
from stopwork.ledger.words import ApprovalState, PrincipalKind
from tests.unit.control.world import AGENT, DANA, LEE, NOW, approval, request

SEND = request("mail.send", {"to": "x@customer.test"})
BOUND = gates.Binding(
    principal=AGENT,
    workflow="renewals",
    tool="mail.send",
    args={"to": "x@customer.test"},
    version=3,
    epoch=7,
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
    "another epoch": (approval(SEND), {"epoch": 8}, Standing.STALE),
}


@pytest.mark.parametrize("name", STANDINGS)
def test_an_approval_stands(name: str) -> None:
    given, changes, expected = STANDINGS[name]
    fields = {field: getattr(BOUND, field) for field in BOUND.__struct_fields__}
    assert gates.standing(given, gates.Binding(**(fields | changes)), NOW) is expected


def test_what_differs_is_said() -> None:
    assert gates.differences(approval(SEND, epoch=6, version=2), BOUND) == (
        "the manifest went from version 2 to 3",
        "a hold or a stage has changed since",
    )


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
