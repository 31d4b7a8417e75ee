"""An item is changed before it is approved, within what its object, its systems and the order of the plan allow, and changed back.

What must be there before it runs is never changed: an edited item overwrites nobody either. A rule chooses items by what they say, is typed,
and is refused where it names what there is not.
"""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from stopwork.incidents.choosing import choose
from stopwork.incidents.editing import Change, edited, moved, unedited
from stopwork.incidents.references import Reference
from stopwork.incidents.remedies import Offer, as_way
from stopwork.kernel.errors import Conflict, Invalid
from stopwork.ledger.records import Image, Item
from stopwork.ledger.words import ItemState, Remedy
from tests.unit.incidents.desk import START, Desk, states
from tests.unit.incidents.test_remedies import CLOSED, COPIES, TASK, offering, twice

ACME = {"name": "Acme", "renewal": "2026-12-01", "seats": 5, "tags": ["a"], "address": {"city": "Bern"}}
LATE = {**ACME, "renewal": "2027-01-01"}
DESK = frozenset({"desk"})


def change(item: Item, **wanted: Any) -> Item:
    return edited(item, Change(**wanted), restores=DESK, person="lee@acme.test", at=START, reason="as agreed")


@pytest.fixture
def desk() -> Desk:
    desk = Desk({"acme": ACME})
    desk.call("call_1", "acme", LATE)
    return desk


@pytest.fixture
def item(desk: Desk) -> Item:
    [item] = desk.plan()
    return item


# --- edits -----------------------------------------------------------------------------------------


def test_another_value_is_put_there_and_who_wanted_it_is_kept(desk: Desk, item: Item) -> None:
    new = change(item, fields={"renewal": "2026-12-31"})
    assert new.changes == {"renewal": ["2027-01-01", "2026-12-31"]}
    assert new.expected == item.expected
    [edit] = new.edits
    assert (edit.person, edit.reason, edit.before) == ("lee@acme.test", "as agreed", as_way(item))
    assert states(desk.run([new])) == [ItemState.VERIFIED]
    assert desk.objects["acme"] == {**ACME, "renewal": "2026-12-31"}


def test_an_edited_item_overwrites_nobody(desk: Desk, item: Item) -> None:
    new = change(item, fields={"seats": 6})
    desk.human("acme", {**LATE, "seats": 9})
    assert states(desk.run([new])) == [ItemState.CONFLICT]
    assert desk.objects["acme"]["seats"] == 9


def test_edits_are_taken_back_one_by_one(item: Item) -> None:
    first = change(item, fields={"renewal": "2026-12-31"})
    second = change(first, remedy=Remedy.TELL)
    assert second.remedy is Remedy.TELL
    assert unedited(second) == first
    assert unedited(unedited(second)) == item
    with pytest.raises(Conflict, match="was not edited"):
        unedited(item)


def test_an_edited_remedy_is_the_offered_one_again_when_the_edit_is_taken_back() -> None:
    [item] = twice().plan("call_2", offers=offering(CLOSED), copies=COPIES)
    new = change(change(item, remedy=Remedy.DELETE), remedy=Remedy.CLOSE, fields={"owner": "kim"})
    assert new.changes == {"status": ["open", "closed"], "owner": ["lee", "kim"]}
    assert unedited(unedited(new)) == item


def test_a_copy_may_be_kept_and_corrected_instead_of_removed() -> None:
    desk = twice()
    [item] = desk.plan("call_2", copies=COPIES)
    assert item.remedy is Remedy.DELETE
    new = change(item, remedy=Remedy.CORRECT, fields={"title": "Call Globex"})
    assert states(desk.run([new])) == [ItemState.VERIFIED]
    assert desk.objects["t2"] == {**TASK, "title": "Call Globex"}


def test_arguments_of_a_tool_are_changed() -> None:
    desk = twice()
    offer = Offer(remedy=Remedy.CLOSE, tool="desk.close", args={"id": "t2", "why": "copy"})
    [item] = desk.plan("call_2", offers=offering(offer), invokes=DESK, copies=COPIES)
    new = change(item, args={"why": "made twice"})
    assert new.undo_args == {"id": "t2", "why": "made twice"}
    assert new.preview == 'call desk.close(id=t2, why="made twice") to close desk/task/t2'


@pytest.mark.parametrize(
    ("wanted", "field", "why"),
    [
        ({"remedy": Remedy.RECREATE}, "remedy", "recreate is not possible"),
        ({"remedy": Remedy.MERGE}, "remedy", "merge is not possible"),
        ({"args": {"id": "x"}}, "args", "calls no tool"),
        ({"fields": {"": 3}}, "set", "no place for ''"),
        ({"fields": {"renewal.day": 3}}, "set", "no place for 'renewal.day'"),
        ({"fields": {"renewal": 3}}, "set", "renewal of desk/task/acme holds text, not a number"),
        ({"fields": {"seats": "6"}}, "set", "holds a number, not text"),
        ({"fields": {"seats": True}}, "set", "holds a number, not true or false"),
        ({"fields": {"tags": {"a": 1}}}, "set", "holds a list, not a mapping"),
        ({"fields": {"address": "Bern"}}, "set", "holds a mapping, not text"),
        ({"fields": {"renewal": "2027-01-01"}}, "set", "no field would be set"),
        ({"fields": {"renewal": "2026-12-01"}}, None, "this changes nothing"),
        ({"remedy": Remedy.CORRECT}, "set", "no field would be set"),
        ({"remedy": Remedy.TELL, "fields": {"seats": 6}}, "set", "sets no fields"),
    ],
)
def test_what_is_not_possible_is_refused_and_says_what_is(
    item: Item, wanted: dict[str, Any], field: str | None, why: str
) -> None:
    with pytest.raises(Invalid, match=why.replace("(", r"\(")) as refused:
        change(item, **wanted)
    assert refused.value.fields.get("field") == field
    assert refused.value.hint


def test_what_is_deleted_has_no_fields() -> None:
    [item] = twice().plan("call_2", copies=COPIES)
    with pytest.raises(Invalid, match="to delete desk/task/t2 sets no fields") as refused:
        change(item, fields={"status": "closed"})
    assert "correct" in refused.value.hint


def test_an_item_is_not_edited_when_it_is_decided(item: Item) -> None:
    with pytest.raises(Conflict, match="is approved"):
        change(replace(item, state=ItemState.APPROVED), remedy=Remedy.TELL)


# --- turns -----------------------------------------------------------------------------------------


def test_an_item_gets_another_turn_unless_another_one_has_to_come_first() -> None:
    desk = Desk({"a": {"v": 1}})
    desk.call("call_1", "p", {"name": "Parent"})
    desk.call("call_2", "c", {"parent": "p"})
    desk.call("call_3", "a", {"v": 2})
    items = desk.plan(references={"desk": (Reference(type="task", fields=("parent",), to="task"),)})
    a, c, p = items
    turned = {item.id: item.order for item in moved(items, a.id, 3)}
    assert turned == {c.id: 1, p.id: 2, a.id: 3}
    with pytest.raises(Conflict, match="desk/task/c has to be put right before desk/task/p"):
        moved(items, p.id, 1)
    with pytest.raises(Invalid, match="no turn 9"):
        moved(items, a.id, 9)


# --- rules -----------------------------------------------------------------------------------------


def chosen(items: list[Item], rule: str) -> set[str]:
    return {item.object.id for item in choose(items, rule)}


@pytest.mark.parametrize(
    ("rule", "ids"),
    [
        ("situation == 'duplicate_records'", {"t2", "t3"}),
        (
            "situation == 'duplicate_records' && at > timestamp('2026-11-23T08:00:02Z')",
            {"t3"},
        ),
        ("copy_of == 'desk/task/t1'", {"t2", "t3"}),
        ("operation == 'modified' && 'renewal' in fields", {"acme"}),
        ("calls.exists(c, c == 'call_3') || tools == ['desk.write']", {"t3", "acme"}),
        ("remedy == 'delete' && !stays", {"t2", "t3"}),
        ("object.type == 'task' && object.id.startsWith('t')", {"t1", "t2", "t3"}),
        ("'run_1' in runs && reversibility == 'fully'", {"t1", "t2", "t3", "acme"}),
        ("false", set()),
    ],
)
def test_a_rule_chooses_by_what_items_say(rule: str, ids: set[str]) -> None:
    desk = Desk({"acme": ACME})
    for number in (1, 2, 3):
        desk.call(f"call_{number}", f"t{number}", TASK, tool="desk.create")
    desk.call("call_4", "acme", LATE)
    items = desk.plan(copies={"call_2": "call_1", "call_3": "call_1"}, only_copies=True)
    assert chosen(items, rule) == ids


def test_what_only_people_can_do_is_never_chosen(desk: Desk) -> None:
    assert chosen(desk.plan(restores=frozenset()), "true") == set()


@pytest.mark.parametrize(
    ("rule", "why", "hint"),
    [
        ("situation == 'duplicates'", "there is no situation 'duplicates'", "duplicate_records"),
        ('remedy == "remove"', "there is no remedy 'remove'", "restore"),
        ("at > '2026-11-23'", "cannot be read", "such as situation =="),
        ("status == 'open'", '"status" is not known', "situation"),
        ("fields", "not true or false", "such as situation =="),
        ("situation ==", "cannot be read", ""),
        ("fields[3] == 'x'", "the rule has no answer for item_0001", "Ask first"),
    ],
)
def test_a_rule_that_cannot_be_told_is_refused(item: Item, rule: str, why: str, hint: str) -> None:
    with pytest.raises(Invalid) as refused:
        choose([item], rule)
    assert why in refused.value.detail
    assert hint in refused.value.hint
    assert refused.value.fields["field"] == "where"


def test_an_image_that_nobody_saw_is_no_place_for_fields(item: Item) -> None:
    unseen = replace(item, expected=Image.unknown("not seen"), target=Image.unknown("not seen"))
    with pytest.raises(Invalid, match="sets no fields"):
        change(unseen, fields={"renewal": "x"})


def test_the_offered_way_is_one_of_those_to_choose_from() -> None:
    [item] = twice().plan("call_2", offers=offering(CLOSED), copies=COPIES)
    assert change(item, remedy=Remedy.DELETE).remedy is Remedy.DELETE
