"""Contract of what is told of a call that a recovery undoes in part: what is taken back, and what is not."""

from __future__ import annotations

from msgspec.structs import replace

from stopwork.incidents.report import one_page
from stopwork.incidents.undone import in_words, partly_undone
from stopwork.ledger.records import Item
from stopwork.ledger.words import ItemState, Remedy, Reversibility
from tests.unit.detect.story import START
from tests.unit.incidents.cases import bad_monday

VERIFIED, CONFLICT, PROPOSED = ItemState.VERIFIED, ItemState.CONFLICT, ItemState.PROPOSED


def items(*states: ItemState, calls: tuple[str, ...] = ()) -> tuple[Item, ...]:
    return bad_monday().sealed().audited().planned(*states, calls=calls).case().items


def said(found: tuple[Item, ...]) -> list[str]:
    return [in_words(each) for each in partly_undone(found)]


def test_a_call_of_which_one_object_is_in_conflict_is_undone_in_part() -> None:
    assert said(items(VERIFIED, CONFLICT, calls=("A", "A"))) == [
        "A is undone in part: 1 of 2 objects taken back, not crm/task/2"
    ]


def test_calls_that_are_undone_whole_or_not_at_all_are_not_named() -> None:
    assert said(items(VERIFIED, CONFLICT, calls=("A", "B"))) == []


def test_before_anything_is_done_it_goes_by_what_is_proposed() -> None:
    one, other = items(PROPOSED, PROPOSED)
    assert said((one, other)) == []
    stays = replace(other, keep="it is no copy")
    assert said((one, stays)) == ["B would be undone in part: 1 of 2 objects taken back, not crm/task/2"]


def test_an_object_that_is_put_right_only_in_part_is_enough() -> None:
    (item,) = items(VERIFIED)
    partly = replace(item, reversibility=Reversibility.PARTLY)
    assert said((partly,)) == ["B is undone in part: 0 of 1 object taken back, only in part crm/task/1"]


def test_an_object_that_needs_nothing_says_nothing() -> None:
    one, other = items(VERIFIED, CONFLICT)
    assert said((replace(one, remedy=Remedy.ACCEPT), other)) == []


def test_an_object_whose_repair_was_undone_is_not_taken_back() -> None:
    one, other = items(VERIFIED, VERIFIED)
    assert said((one, other)) == []
    assert said((one, replace(other, takes_back=True))) == [
        "B is undone in part: 1 of 2 objects taken back, not crm/task/2"
    ]


def test_the_report_names_them() -> None:
    story = bad_monday().sealed().audited().planned(VERIFIED, CONFLICT)
    assert one_page(story.case(), START).undone_in_part.startswith("B is undone in part: 1 of 2 objects")
    assert one_page(bad_monday().case(), START).undone_in_part == "none"
