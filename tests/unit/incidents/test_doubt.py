"""Contract: what a system shows settles a call only where it can have come from nothing else than that call, or from its absence."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from stopwork.incidents.doubt import doubtful, shown
from stopwork.ledger.records import Call, Captured, Image, ObjectRef
from stopwork.ledger.words import EffectKind, Outcome, Risk, Verdict
from tests.unit.control.world import NOW

REF = ObjectRef(system="crm", type="account", id="acme")
BEFORE = Image.present({"renewal": "2026-06-01", "owner": "lee", "version": 3})
DONE = Image.present({"renewal": "2025-01-01", "owner": "lee", "version": 4})
ABSENT = Image.absent()


def call(effect: EffectKind = EffectKind.UPDATE, before: Image = BEFORE, **args: Any) -> Call:
    return Call(
        id="call_1",
        run="run_1",
        workflow="renewals",
        version=1,
        tool="crm.update_account",
        effect=effect,
        risk=Risk.MEDIUM,
        permission=None,
        trigger="schedule",
        args=args or {"account_id": "acme", "renewal": "2025-01-01"},
        args_digest="sha256:a",
        key="sha256:k",
        requested_at=NOW,
        verdict=Verdict.ALLOW,
        would=Verdict.ALLOW,
        reasons=(),
        epoch=1,
        before=(Captured(object=REF, image=before),),
        attempted_at=NOW,
        outcome=Outcome.UNKNOWN,
        finished_at=NOW,
    )


def with_fields(image: Image, **fields: Any) -> Image:
    return replace(image, content=image.content | fields)


DELETE, CREATE = EffectKind.DELETE, EffectKind.CREATE
CREATED = Image.present({"account_id": "acme", "renewal": "2025-01-01", "id": 9})

# Each case: the call, what its object holds now, and what that shows.
CASES: dict[str, tuple[Call, Image, Outcome | None]] = {
    "it holds what was asked": (call(), DONE, Outcome.SUCCEEDED),
    "it is as it was": (call(), BEFORE, Outcome.FAILED),
    "it was as asked before": (call(before=DONE), DONE, None),
    "somebody else changed something else": (call(), with_fields(BEFORE, owner="kim"), None),
    "it holds what was asked, and more has changed": (
        call(),
        with_fields(DONE, owner="kim"),
        Outcome.SUCCEEDED,
    ),
    "it holds another value": (call(), with_fields(BEFORE, renewal="2030-01-01"), None),
    "half of what was asked": (call(renewal="2025-01-01", owner="kim"), DONE, None),
    "no argument is a field": (call(when="2025-01-01"), BEFORE, None),
    "it is gone": (call(), ABSENT, None),
    "nobody can look": (call(), Image.unknown("the CRM does not answer"), None),
    "nobody could look before": (call(before=Image.unknown("x")), DONE, None),
    "what is no mapping": (call(), Image.present("text"), None),
    "deleted": (call(DELETE), ABSENT, Outcome.SUCCEEDED),
    "not deleted": (call(DELETE), BEFORE, Outcome.FAILED),
    "not deleted and changed": (call(DELETE), DONE, None),
    "nothing to delete": (call(DELETE, ABSENT), ABSENT, None),
    "created": (call(CREATE, ABSENT), CREATED, Outcome.SUCCEEDED),
    "created by somebody else": (call(CREATE, ABSENT), Image.present({"renewal": "2030-01-01"}), None),
    "not created": (call(CREATE, ABSENT), ABSENT, Outcome.FAILED),
}


@pytest.mark.parametrize("name", CASES)
def test_an_object_shows(name: str) -> None:
    known, now, outcome = CASES[name]
    assert shown(known, {REF: now}) is outcome


def test_objects_that_say_different_things_say_nothing() -> None:
    other = replace(REF, id="globex")
    both = replace(call(), before=(Captured(object=REF, image=BEFORE), Captured(object=other, image=BEFORE)))
    assert shown(both, {REF: DONE, other: BEFORE}) is None
    assert shown(both, {REF: DONE, other: DONE}) is Outcome.SUCCEEDED


@pytest.mark.parametrize("effect", [EffectKind.SEND, EffectKind.PAY, EffectKind.APPROVE, EffectKind.TRIGGER])
def test_what_no_object_holds_is_for_a_person(effect: EffectKind) -> None:
    assert not doubtful(call(effect))


def test_only_a_call_that_began_and_ended_unseen_is_looked_at() -> None:
    assert doubtful(call())
    assert not doubtful(replace(call(), attempted_at=None))
    assert not doubtful(replace(call(), outcome=None))
    assert not doubtful(replace(call(), outcome=Outcome.SUCCEEDED))
    assert not doubtful(replace(call(), before=()))
