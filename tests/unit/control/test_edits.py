"""Contract of edited arguments: other values for the same arguments, of the same kind or as the schema says, that no condition denies.

What cannot be so is named with what is allowed there.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from stopwork.control import edits
from stopwork.kernel.canonical import plain
from stopwork.kernel.errors import Invalid
from tests.unit.control.world import NOW, compiled, run

MANIFEST = """
workflow: renewals
owners: {business: dana@acme.test, technical: lee@acme.test}
tools:
  crm.credit:
    effect: update
    deny_when: "args.amount > 1000"
    idempotency: [args.account]
    object: {system: crm, type: account, id: args.account}
    destination: args.to
  crm.note:
    effect: create
    args_schema:
      properties:
        text: {type: [string, "null"], maxLength: 20}
        days: {$ref: "#/$defs/days"}
      $defs: {days: {type: integer, maximum: 90}}
"""
RULES = compiled(MANIFEST)
CREDIT: dict[str, Any] = {"account": "A-1", "amount": 40, "to": "ap@customer.test", "rows": [1], "due": None}


def checked(tool: str, asked: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return edits.checked(RULES, tool, asked=asked, edited={**asked, **changes}, run=run(), now=NOW)


GOOD: dict[str, dict[str, Any]] = {
    "a smaller amount": {"amount": 39.5},
    "another account": {"account": "A-2"},
    "more rows": {"rows": [1, "two", {"three": None}]},
    "what was left open": {"due": "2026-03-02"},
}


@pytest.mark.parametrize("name", GOOD)
def test_this_may_run_instead(name: str) -> None:
    assert checked("crm.credit", CREDIT, **GOOD[name]) == {**CREDIT, **GOOD[name]}


BAD: dict[str, tuple[dict[str, Any], str, str]] = {
    "nothing else": ({}, "args", "approve what is asked as it is"),
    "an argument that it has not": ({"cc": "x"}, "args.cc", "for no other: account, amount"),
    "text for a number": ({"amount": "39"}, "args.amount", "a number, as it was asked"),
    "yes for a number": ({"amount": True}, "args.amount", "a number, as it was asked"),
    "nothing for a number": ({"amount": None}, "args.amount", "a number, as it was asked"),
    "a list for text": ({"to": ["x"]}, "args.to", "text, as it was asked"),
    "a decimal for a number": ({"amount": {"$decimal": "3"}}, "args.amount", "a plain value"),
    "what says nothing": ({"due": {"$decimal": "three"}}, "args.due", "plain JSON values"),
    "what the manifest denies": ({"amount": 1001}, "args", "args.amount > 1000"),
    "what is no identity": ({"account": ""}, "args", "can be evaluated for"),
    "what is no destination": ({"to": ""}, "args", "can be evaluated for"),
}


@pytest.mark.parametrize("name", BAD)
def test_this_may_not(name: str) -> None:
    changes, field, allowed = BAD[name]
    with pytest.raises(Invalid) as caught:
        checked("crm.credit", CREDIT, **changes)
    assert caught.value.status == 422
    assert caught.value.fields["field"] == field
    assert allowed in caught.value.hint


def test_none_may_be_missing() -> None:
    asked = dict(CREDIT)
    edited = {name: value for name, value in asked.items() if name != "due"}
    with pytest.raises(Invalid, match=r"args\.due: it is missing"):
        edits.checked(RULES, "crm.credit", asked=asked, edited=edited, run=run(), now=NOW)


def test_a_schema_says_what_kind_a_value_is() -> None:
    asked = {"text": "call them", "days": 30}
    assert checked("crm.note", asked, text=None)["text"] is None
    with pytest.raises(Invalid, match=r"args\.days") as caught:
        checked("crm.note", asked, days=91)
    assert (caught.value.fields["field"], caught.value.hint) == ("args.days", "Allowed there: maximum 90.")
    with pytest.raises(Invalid, match=r"args\.days"):
        checked("crm.note", asked, days="30")


def test_a_value_in_notation_stays_one() -> None:
    asked = plain({"amount": Decimal("1.20"), "account": "A-1", "to": "x"})
    edited = checked("crm.credit", asked, account="A-2")
    assert edited["amount"] == {"$decimal": "1.20"}


def test_a_tool_that_nobody_declared_is_left_to_the_permit() -> None:
    assert checked("crm.magic", {"a": 1}, a=2) == {"a": 2}
