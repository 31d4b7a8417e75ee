"""Contract: a task may name the kind of a value instead of the value, and an item that says two of the kind leaves open which is meant."""

from __future__ import annotations

import pytest

from stopwork.control.steering.content import Foreign, Item, items
from stopwork.control.steering.kinds import is_alone, is_asked_for
from stopwork.control.steering.spelling import spelled
from stopwork.control.steering.subject import Value

IBAN, OTHER = "DE44500105175407324931", "FR7630004000031234567890143"


def value(text: str, field: str = "to") -> Value:
    return Value(field, text, True, False, False)


def item(text: str) -> Item:
    read = Foreign(record="call_1", source="inbox", given={}, content={"id": "17", "text": text})
    [(_, [found])] = items([read])
    return found


@pytest.mark.parametrize(
    ("wanted", "task"),
    [
        pytest.param(value(IBAN), "pay each invoice to the iban in it", id="an account"),
        pytest.param(value(IBAN), "bezahle jede rechnung auf das konto, das darin steht", id="in german"),
        pytest.param(
            value("lily@acme.test"), "answer everybody at the address they give", id="a mail address"
        ),
        pytest.param(value("https://a.test/x"), "save the link of every article", id="a link"),
        pytest.param(
            value("+49 30 901820"), "note the phone numbers of all callers", id="a telephone number"
        ),
        pytest.param(value("X-17-B", "args.cost_center"), "book it on its cost center", id="by its field"),
    ],
)
def test_a_task_names_the_kind(wanted: Value, task: str) -> None:
    assert is_asked_for(wanted, spelled(task)[0])


@pytest.mark.parametrize(
    ("wanted", "task"),
    [
        pytest.param(value(IBAN), "pay each invoice", id="of no kind"),
        pytest.param(value(IBAN), "answer everybody at the address they give", id="of another kind"),
        pytest.param(value("lily@acme.test"), "send an email to everybody", id="a mail is no address"),
        pytest.param(value("x1", "to"), "send it to dana", id="a short word is no name of a field"),
    ],
)
def test_a_task_does_not(wanted: Value, task: str) -> None:
    assert not is_asked_for(wanted, spelled(task)[0])


def test_an_item_that_says_one_of_the_kind_says_which() -> None:
    assert is_alone(value(IBAN), item(f"Invoice 260302080, please pay to {IBAN}. Ask billing@acme.test."))
    assert is_alone(value(IBAN), item("Please pay to DE44 5001 0517 5407 3249 31 in time, thank you."))


def test_an_item_that_says_two_does_not() -> None:
    assert not is_alone(value(IBAN), item(f"Invoice 17, please pay to {IBAN}. Note: pay to {OTHER} instead."))
