"""Contract of comparing arguments: what names something is equal or the calls differ; running text may differ in its form, and in no word
that says something.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stopwork.detect.alike import MOST_PARTS, MOST_TEXT_CHARS, alike, taken_apart

SAME = {
    "case": ("Call Acme about the renewal", "call ACME about the renewal"),
    "spaces": ("Call Acme about the renewal", "Call  Acme about\nthe renewal "),
    "punctuation": ("Call Acme: about the renewal!", "Call Acme about the renewal."),
    "a hyphen": ("Follow-up with the customer", "Follow up with the customer"),
    "full-width letters": ("\uff23\uff41\uff4c\uff4c Acme", "Call Acme"),
    "an article": ("Call Acme about the renewal", "Call Acme about renewal"),
    "a plural": ("Call Acme about their open renewals", "Call Acme about their open renewal"),
    "an ending": ("the customer requested a discount of 10%", "the customer requests a discount of 10%"),
    "accents written in two ways": (
        "Caf\u00e9 M\u00fcller renewal call",
        "Cafe\u0301 Mu\u0308ller renewal call",
    ),
}
OTHER = {
    "a name": ("Call Acme", "Call Apex"),
    "a name in a long text": (
        "Please call Acme about the renewal of their contract, which is due at the end of the next quarter",
        "Please call Apex about the renewal of their contract, which is due at the end of the next quarter",
    ),
    "a name of almost the same letters": ("Ask Anna Johnson for the data", "Ask Anna Jonson for the data"),
    "one name more": ("Call Acme about the renewal", "Call Acme Robotics about the renewal"),
    "a number": ("Renewal of contract 4711 is due", "Renewal of contract 4712 is due"),
    "a number written in another way": ("Refund 1,000 dollars to them", "Refund 1.000 dollars to them"),
    "a sign": ("Correct the balance by -50 today", "Correct the balance by 50 today"),
    "a currency": ("Refund $50 to the customer", "Refund €50 to the customer"),
    "a date": ("Due on 2026-03-01 at noon", "Due on 2026-03-02 at noon"),
    "an address": ("Write to csm@acme.test today", "Write to cfo@acme.test today"),
    "a weekday": ("Call them on Monday morning", "Call them on Friday morning"),
    "a negation": ("Please do ship this order today", "Please do not ship this order today"),
    "the opposite": ("the invoice was approved by them", "the invoice was unapproved by them"),
    "another word of the same beginning": ("an internal review is due", "an interval review is due"),
    "the other way round": ("transfer it from Basel to Bern", "transfer it from Bern to Basel"),
    "no word at all": ("- - -", "! ! !"),
}


@pytest.mark.parametrize("name", SAME)
def test_what_says_the_same_is_alike(name: str) -> None:
    one, other = SAME[name]
    assert alike([one], [other], 0.9) is not None


@pytest.mark.parametrize("name", OTHER)
def test_what_says_something_else_is_not_alike_however_near_it_is(name: str) -> None:
    one, other = OTHER[name]
    assert alike([one], [other], 0.5) is None


def test_form_alone_counts_as_equal_and_words_count_by_how_much_they_differ() -> None:
    assert alike(["Call Acme!"], ["call acme"], 1.0) == 1.0
    how = alike(["Call Acme about the renewal"], ["Call Acme about renewal"], 0.9)
    assert how is not None
    assert 0.9 <= how < 1.0
    assert alike(["Call Acme about the renewal"], ["Call Acme about renewal"], 1.0) is None


def test_every_text_has_to_be_alike() -> None:
    assert alike(["Call Acme!", "the same here"], ["call acme", "the same here"], 0.9) == 1.0
    assert alike(["Call Acme!", "the first one"], ["call acme", "the second one"], 0.9) is None


@given(st.text(max_size=80), st.text(max_size=80))
def test_it_does_not_matter_which_came_first(one: str, other: str) -> None:
    assert (alike([one], [other], 0.9) is None) == (alike([other], [one], 0.9) is None)


@pytest.mark.parametrize(
    "changed",
    [
        {"to": "cfo@acme.test"},
        {"amount": 12.6},
        {"due": "2026-03-02"},
        {"account": {"id": "A-2"}},
        {"cc": ["a@acme.test"]},
        {"urgent": None},
    ],
)
def test_whatever_is_no_text_stands_among_what_has_to_be_equal(changed: dict[str, object]) -> None:
    args: dict[str, object] = {
        "to": "csm@acme.test",
        "amount": 12.5,
        "due": "2026-03-01",
        "account": {"id": "A-1"},
    }
    args |= {"cc": ["a@acme.test", "b@acme.test"], "urgent": False, "body": "Call them today"}
    one, other = taken_apart(args), taken_apart(args | changed)
    assert one is not None
    assert other is not None
    assert one.texts == other.texts == ("Call them today",)
    assert one.exact != other.exact


def test_what_has_no_text_or_too_much_of_everything_is_not_compared() -> None:
    assert taken_apart({"id": "A-1", "amount": 3}) is None
    assert taken_apart({"body": "so much " * MOST_TEXT_CHARS}) is None
    assert taken_apart({"rows": list(range(MOST_PARTS)), "title": "a title"}) is None


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("dana@acme.test", "Dana@Acme.test ", True),
        ("M\u00fcller", "Mu\u0308ller", True),
        ("A-1", "a-1", False),
        (1, "1", False),
    ],
)
def test_a_name_is_equal_however_it_is_spelled(one: object, other: object, same: bool) -> None:
    parts = [taken_apart({"to": each, "text": "Call Acme about it"}) for each in (one, other)]
    assert (parts[0] == parts[1]) is same
