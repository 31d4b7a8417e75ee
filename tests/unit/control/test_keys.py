"""Contract of idempotency keys: what makes two calls one, and what the first means for the second."""

from __future__ import annotations

from typing import Any

import pytest

from stopwork.control import keys
from stopwork.control.keys import KeyStanding, difference
from stopwork.ledger.records import Key
from stopwork.ledger.words import Outcome
from tests.unit.control.world import NOW

ARGS = {"account_id": "acme", "title": "Call"}
USUAL = ("renewals", "2026-W10", "crm.create_task", ARGS, 1)


def test_the_same_call_on_the_same_occasion_has_the_same_key() -> None:
    assert keys.derived(*USUAL) == keys.derived(
        "renewals", "2026-W10", "crm.create_task", {"title": "Call", "account_id": "acme"}, 1
    )


OTHERS = {
    "another workflow": ("other", *USUAL[1:]),
    "another occasion": (USUAL[0], "2026-W11", *USUAL[2:]),
    "another tool": (*USUAL[:2], "crm.create_note", *USUAL[3:]),
    "other arguments": (*USUAL[:3], {"account_id": "acme", "title": "call"}, 1),
    "the second such call": (*USUAL[:4], 2),
}


@pytest.mark.parametrize("name", OTHERS)
def test_it_has_another_key_for(name: str) -> None:
    assert keys.derived(*OTHERS[name]) != keys.derived(*USUAL)


def test_a_business_key_depends_on_its_parts_alone_and_is_no_derived_key() -> None:
    assert keys.business("renewals", "crm.create_task", "acme") == keys.business(
        "renewals", "crm.create_task", "acme"
    )
    assert keys.business("renewals", "crm.create_task", ["2026-W10", ARGS, 1]) != keys.derived(*USUAL)


@pytest.mark.parametrize(
    ("nth", "done", "meant"),
    [(1, 0, 1), (1, 1, 1), (2, 1, 2), (2, 0, 1), (3, 1, 2), (7, 3, 4), (2**53 - 1, 5, 6), (4, 9, 4)],
)
def test_an_occurrence_is_the_first_that_is_not_done_up_to_the_one_that_is_named(
    nth: int, done: int, meant: int
) -> None:
    looked_at: list[int] = []

    def is_done(each: int) -> bool:
        looked_at.append(each)
        return each <= done

    assert keys.occurrence(nth, is_done) == meant
    assert len(looked_at) <= 54, "whatever number a caller names, little is looked up"


def held(outcome: Outcome | None, digest: str = "sha256:a") -> Key:
    return Key(
        id="renewals/k",
        workflow="renewals",
        call="call_0",
        tool="crm.create_task",
        args_digest=digest,
        taken_at=NOW,
        outcome=outcome,
    )


STANDINGS: dict[str, tuple[Key | None, str | None, KeyStanding]] = {
    "never used": (None, None, KeyStanding.FREE),
    "in flight": (held(None), "call_1", KeyStanding.IN_FLIGHT),
    "held by the asking call itself": (held(None), "call_0", KeyStanding.FREE),
    "done": (held(Outcome.SUCCEEDED), "call_1", KeyStanding.DONE),
    "failed": (held(Outcome.FAILED), "call_1", KeyStanding.FREE),
    "unknown": (held(Outcome.UNKNOWN), "call_1", KeyStanding.UNKNOWN),
    "done with other arguments": (held(Outcome.SUCCEEDED, "sha256:b"), "call_1", KeyStanding.OTHER_ARGUMENTS),
    "in flight with other arguments": (held(None, "sha256:b"), "call_1", KeyStanding.OTHER_ARGUMENTS),
    "unknown with other arguments": (held(Outcome.UNKNOWN, "sha256:b"), "call_1", KeyStanding.UNKNOWN),
    "failed with other arguments": (held(Outcome.FAILED, "sha256:b"), "call_1", KeyStanding.FREE),
}


@pytest.mark.parametrize("name", STANDINGS)
def test_a_key_stands(name: str) -> None:
    key, call, expected = STANDINGS[name]
    found = keys.standing(key, "sha256:a", call=call)
    assert found.standing is expected
    assert found.call == ("" if expected is KeyStanding.FREE else "call_0")


# Each case: the first call's arguments, the arguments now, and what is said of the difference.
DIFFERENCES: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "another value": ({"to": "a", "amount": 10}, {"to": "a", "amount": 20}, "amount 10 → 20"),
    "a field more": ({"to": "a"}, {"to": "a", "cc": ["b"]}, 'cc (nothing) → ["b"]'),
    "a field less": ({"to": "a", "note": None}, {"to": "a"}, "note null → (nothing)"),
    "below": ({"due": {"day": 1, "hour": 2}}, {"due": {"day": 1, "hour": 3}}, "due.hour 2 → 3"),
    "several": ({"a": 1, "b": 2}, {"a": 3, "b": 4}, "a 1 → 3; b 2 → 4"),
    "a secret": ({"api_key": "sk-1", "n": 1}, {"api_key": "sk-2", "n": 1}, "api_key differs"),
    "a secret below": ({"auth": {"token": "x"}}, {"auth": {"token": "y"}}, "auth.token differs"),
    "a list": ({"ids": [1, 2]}, {"ids": [2, 1]}, "ids [1,2] → [2,1]"),
    "nothing left": ({"a": {}}, {"a": {"b": 1}}, "a {} → (nothing); a.b (nothing) → 1"),
}


@pytest.mark.parametrize("name", DIFFERENCES)
def test_a_difference_of_arguments_is_told_field_by_field(name: str) -> None:
    first, now, told = DIFFERENCES[name]
    assert difference(first, now) == told


def test_a_difference_is_bounded() -> None:
    first = {f"field_{n}": "x" * 10_000 for n in range(500)}
    told = difference(first, dict.fromkeys(first, "y" * 10000))
    assert told.endswith("; and 492 more fields")
    assert len(told) < 2_000
