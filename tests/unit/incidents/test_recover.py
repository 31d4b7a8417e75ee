"""Recovery undoes the chosen calls and nothing else.

Only the fields that they changed are put back, only where they still hold what the calls left, and the undo can be undone.
What somebody else wrote survives, as the value that stands or as a named conflict. What cannot be undone says so and says
who must be told.
"""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from stopwork.incidents.attempt import (
    AlreadyDone,
    Clash,
    Replace,
    columns,
    step,
    verify,
)
from stopwork.incidents.reversal import reverse_plan
from stopwork.kernel.ids import CountingIds
from stopwork.ledger.records import Image
from stopwork.ledger.words import Audience, EffectKind, ItemState, RecoverySituation, Remedy
from tests.unit.incidents.desk import ACME, LATE, Desk, ref, states

VERIFIED, CONFLICT, ACCEPTED = ItemState.VERIFIED, ItemState.CONFLICT, ItemState.ACCEPTED


# --- what is put back ------------------------------------------------------------------------------


def test_a_changed_field_is_set_back() -> None:
    desk = Desk({"acme": ACME})
    desk.call("call_1", "acme", LATE)
    [item] = desk.plan()
    assert item.remedy is Remedy.RESTORE
    assert item.situation is RecoverySituation.BAD_PRODUCTION_WRITE
    assert item.changes == {"renewal_date": ["2027-01-01", "2026-12-01"]}
    assert item.preview == "set renewal_date of desk/task/acme back from 2027-01-01 to 2026-12-01"
    assert states(desk.run([item])) == [VERIFIED]
    assert desk.objects == {"acme": ACME}


def test_another_field_that_a_person_wrote_since_stays() -> None:
    desk = Desk({"acme": ACME})
    desk.call("call_1", "acme", LATE)
    desk.human("acme", {**LATE, "plan": "silver"})
    assert states(desk.run(desk.plan())) == [VERIFIED]
    assert desk.objects == {"acme": {**ACME, "plan": "silver"}}


def test_the_same_field_that_a_person_wrote_since_is_a_conflict_in_three_columns() -> None:
    desk = Desk({"acme": ACME})
    desk.call("call_1", "acme", {**LATE, "plan": "lead"})
    desk.human("acme", {**LATE, "plan": "silver"})
    [item] = desk.run(desk.plan())
    assert (item.state, item.note) == (CONFLICT, "plan")
    assert desk.objects == {"acme": {**LATE, "plan": "silver"}}
    assert item.found is not None
    shown = [(c.field, c.before, c.left, c.now, c.conflict) for c in columns(item, item.found)]
    assert shown == [
        ("renewal_date", "2026-12-01", "2027-01-01", "2027-01-01", False),
        ("plan", "gold", "lead", "silver", True),
    ]


def test_what_was_made_is_deleted_and_what_was_deleted_is_made_again() -> None:
    desk = Desk({"acme": ACME})
    desk.call("call_1", "t1", {"title": "Call Acme"}, tool="desk.create_task")
    desk.call("call_2", "acme", None, tool="desk.delete")
    again, gone = desk.plan()
    assert (again.remedy, gone.remedy) == (Remedy.RECREATE, Remedy.DELETE)
    assert again.preview == "create desk/task/acme again as it was before desk.delete deleted it"
    assert gone.preview == "delete desk/task/t1, made by desk.create_task"
    assert states(desk.run([again, gone])) == [VERIFIED, VERIFIED]
    assert desk.objects == {"acme": ACME}


def test_a_made_object_that_a_person_wrote_in_is_not_deleted() -> None:
    desk = Desk()
    desk.call("call_1", "t1", {"title": "Call Acme"})
    desk.human("t1", {"title": "Call Acme", "comment": "on it"})
    assert states(desk.run(desk.plan())) == [CONFLICT]
    assert desk.objects["t1"]["comment"] == "on it"


def test_a_made_object_that_a_person_wrote_in_between_two_calls_is_not_deleted() -> None:
    desk = Desk()
    desk.call("call_1", "t1", {"title": "Call Acme"})
    desk.human("t1", {"title": "Call Acme", "comment": "on it"})
    desk.call("call_2", "t1", {"title": "Call Acme!", "comment": "on it"})
    [item] = desk.run(desk.plan())
    assert (item.state, item.note) == (CONFLICT, "comment")


def test_an_object_that_somebody_made_again_is_left_alone() -> None:
    desk = Desk({"acme": ACME})
    desk.call("call_1", "acme", None)
    desk.human("acme", {"name": "Acme, again"})
    assert states(desk.run(desk.plan())) == [CONFLICT]
    assert desk.objects == {"acme": {"name": "Acme, again"}}


def test_what_is_back_already_needs_nothing() -> None:
    desk = Desk({"acme": ACME})
    desk.call("call_1", "acme", LATE)
    desk.human("acme", ACME)
    [item] = desk.run(desk.plan())
    assert (item.state, item.attempted_at) == (VERIFIED, None)


# --- selective -------------------------------------------------------------------------------------


def test_only_the_chosen_calls_are_undone() -> None:
    desk = Desk({"acme": ACME})
    desk.call("call_1", "acme", {**ACME, "plan": "lead"})
    desk.call("call_2", "acme", {**LATE, "plan": "lead"})
    assert states(desk.run(desk.plan("call_1"))) == [VERIFIED]
    assert desk.objects == {"acme": LATE}


def test_several_chosen_calls_on_one_field_are_one_net_effect() -> None:
    desk = Desk({"acme": ACME})
    for date in ("2027-01-01", "2027-02-01", "2027-03-01"):
        desk.call(f"call_{date}", "acme", {**ACME, "renewal_date": date})
    [item] = desk.plan()
    assert item.changes == {"renewal_date": ["2027-03-01", "2026-12-01"]}
    assert len(item.calls) == 3


def test_a_value_that_another_call_wrote_in_between_is_the_one_that_returns() -> None:
    desk = Desk({"acme": ACME})
    desk.call("call_1", "acme", {**ACME, "plan": "lead"})
    desk.call("call_2", "acme", {**ACME, "plan": "silver"})
    desk.call("call_3", "acme", {**ACME, "plan": "tin"})
    assert states(desk.run(desk.plan("call_1", "call_3"))) == [VERIFIED]
    assert desk.objects["acme"]["plan"] == "silver"


def test_a_field_that_another_call_overwrote_stays_and_is_named() -> None:
    desk = Desk({"acme": ACME})
    desk.call("call_1", "acme", {**ACME, "plan": "lead"})
    desk.call("call_2", "acme", {**ACME, "plan": "silver"})
    desk.call("call_3", "acme", {**LATE, "plan": "silver"})
    [item] = desk.plan("call_1", "call_3")
    assert item.preview.endswith("; plan was written by somebody else in between and stays")
    desk.run([item])
    assert desk.objects["acme"] == {**ACME, "plan": "silver"}


def test_a_likely_conflict_is_announced() -> None:
    desk = Desk({"acme": ACME})
    desk.call("call_1", "acme", LATE)
    desk.call("call_2", "acme", {**LATE, "renewal_date": "2028-01-01"}, tool="desk.fix")
    [item] = desk.plan("call_1")
    assert item.preview.endswith("; a conflict is likely, since desk.fix in call_2 changed it afterwards")
    assert states(desk.run([item])) == [CONFLICT]


# --- objects that come and go ----------------------------------------------------------------------


def test_an_object_that_came_and_went_is_reported_and_needs_nothing() -> None:
    desk = Desk()
    desk.call("call_1", "t1", {"title": "x"}, tool="desk.create")
    desk.call("call_2", "t1", None, tool="desk.delete")
    [item] = desk.plan()
    assert item.remedy is Remedy.ACCEPT
    assert (
        item.preview
        == "nothing to do for desk/task/t1: made and removed again by desk.create and desk.delete"
    )
    assert states(desk.run([item])) == [ACCEPTED]


def test_a_change_that_was_taken_back_needs_nothing() -> None:
    desk = Desk({"acme": ACME})
    desk.call("call_1", "acme", LATE)
    desk.call("call_2", "acme", ACME)
    [item] = desk.plan()
    assert item.preview == "nothing to do for desk/task/acme: desk.write left it as it was"


def test_of_an_object_made_twice_the_last_maker_decides() -> None:
    desk = Desk()
    desk.call("call_1", "t1", {"title": "x"}, tool="desk.create")
    desk.call("call_2", "t1", None, tool="desk.delete")
    desk.call("call_3", "t1", {"title": "y"}, tool="desk.import")
    [item] = desk.plan()
    assert item.preview == "delete desk/task/t1, made by desk.import"
    assert states(desk.run([item])) == [VERIFIED]


def test_an_id_that_the_calls_used_again_gets_its_first_object_back() -> None:
    desk = Desk({"7": {"title": "Invoice"}})
    desk.call("call_1", "7", None)
    desk.call("call_2", "7", {"title": "Spam"})
    [item] = desk.plan()
    assert item.remedy is Remedy.RECREATE
    assert item.preview.startswith("put back the desk/task/7 that was deleted, in place of the one")
    assert states(desk.run([item])) == [VERIFIED]
    assert desk.objects == {"7": {"title": "Invoice"}}


def test_an_id_that_another_call_used_again_is_another_object() -> None:
    desk = Desk({"7": {"title": "Invoice", "read": False}})
    desk.call("call_1", "7", {"title": "Invoice", "read": True})
    desk.call("call_2", "7", None, tool="desk.trash")
    desk.call("call_3", "7", {"title": "Letter", "read": True})
    [item] = desk.plan("call_1")
    assert item.remedy is Remedy.ACCEPT
    assert "removed or replaced by desk.trash in call_2" in item.preview
    desk.run([item])
    assert desk.objects == {"7": {"title": "Letter", "read": True}}


def test_a_deleted_object_whose_id_is_taken_is_for_people() -> None:
    desk = Desk({"7": {"title": "Invoice"}})
    desk.call("call_1", "7", None)
    desk.call("call_2", "7", {"title": "Letter"}, tool="desk.receive")
    desk.call("call_3", "7", {"title": "Letter", "read": True})
    restored, lost = desk.plan("call_1", "call_3")
    assert restored.changes == {"read": [True, {"absent": True}]}
    assert lost.remedy is Remedy.TELL
    assert "desk.receive in call_2 made another object under this id" in lost.preview
    assert Audience.BUSINESS_OWNER in lost.must_tell


def test_an_object_that_somebody_unseen_made_anew_is_another_object() -> None:
    desk = Desk({"7": {"title": "Invoice"}})
    desk.call("call_1", "7", None)
    desk.human("7", {"title": "Letter"})
    desk.call("call_2", "7", {"title": "Letter", "read": True})
    restored, lost = desk.plan()
    assert lost.remedy is Remedy.TELL
    assert "somebody outside these records" in lost.preview
    desk.run([restored, lost])
    assert desk.objects == {"7": {"title": "Letter"}}


# --- what nobody saw -------------------------------------------------------------------------------


@pytest.mark.parametrize(("now", "state"), [(ACME, VERIFIED), (LATE, CONFLICT)], ids=["as before", "other"])
def test_without_an_image_of_what_was_left_only_the_earlier_content_is_accepted(
    now: Any, state: ItemState
) -> None:
    desk = Desk({"acme": ACME})
    desk.call("call_1", "acme", now, kind=EffectKind.UPDATE, seen=False)
    [item] = desk.plan()
    assert not item.reversible
    assert item.preview.startswith("check that desk/task/acme is as it was before")
    assert states(desk.run([item])) == [state]
    assert desk.objects == {"acme": now}


def test_without_an_image_of_what_was_before_people_must_act() -> None:
    desk = Desk({"acme": ACME})
    desk.call("call_1", "acme", LATE, kind=EffectKind.UPDATE, kept=False)
    [item] = desk.plan()
    assert (item.remedy, item.reversible) == (Remedy.TELL, False)
    assert "its content before these calls was not seen" in item.preview


def test_a_declared_creation_needs_no_image_of_before() -> None:
    desk = Desk()
    desk.call("call_1", "t1", {"title": "x"}, kind=EffectKind.CREATE, kept=False)
    assert states(desk.run(desk.plan())) == [VERIFIED]
    assert desk.objects == {}


def test_an_object_that_cannot_be_read_now_is_a_conflict() -> None:
    desk = Desk({"acme": ACME})
    desk.call("call_1", "acme", LATE)
    [item] = desk.plan()
    assert isinstance(step(item, Image.unknown("no answer")), Clash)
    assert not verify(item, Image.unknown("no answer"))


# --- order -----------------------------------------------------------------------------------------


def test_the_plan_runs_against_the_order_of_events() -> None:
    desk = Desk({"team": {"name": "Sales"}, "acme": {"team": "team"}, "bolt": {"team": "team"}})
    desk.call("call_1", "new", {"name": "New team"})
    desk.call("call_2", "acme", {"team": "new"})
    desk.call("call_3", "bolt", {"team": "new"})
    desk.call("call_4", "task", {"of": "new"})
    desk.call("call_5", "team", None)
    assert [item.object.id for item in desk.plan()] == ["team", "bolt", "acme", "task", "new"]
    assert [item.order for item in desk.plan()] == [1, 2, 3, 4, 5]


def test_a_cascade_returns_with_the_named_object_first_and_goes_with_it_last() -> None:
    desk = Desk({"p": {"name": "Parent"}, "c": {"parent": "p"}, "g": {"parent": "c"}})
    for object_id in ("p", "g", "c"):
        desk.call("call_1", object_id, None)
    for object_id, parent in (("q", None), ("s", "r"), ("r", "q")):
        desk.call("call_2", object_id, {"parent": parent})
    assert [item.object.id for item in desk.plan()] == ["p", "c", "g", "s", "r", "q"]


def test_objects_that_name_each_other_keep_their_order() -> None:
    desk = Desk({"a": {"peer": "b"}, "b": {"peer": "a"}})
    for object_id in ("a", "b"):
        desk.call("call_1", object_id, None)
    assert sorted(item.object.id for item in desk.plan()) == ["a", "b"]


# --- after a crash, and back -----------------------------------------------------------------------


def test_an_item_in_doubt_is_looked_at_before_anything_is_tried_again() -> None:
    desk = Desk({"acme": ACME})
    desk.call("call_1", "acme", LATE)
    item = replace(desk.plan()[0], state=ItemState.IN_DOUBT)
    assert isinstance(step(item, Image.present(ACME)), AlreadyDone)
    assert isinstance(step(item, Image.present(LATE)), Replace)
    assert isinstance(step(item, Image.present({**ACME, "renewal_date": "2030-01-01"})), Clash)
    assert isinstance(step(item, Image.absent()), Clash)


def test_only_what_the_recovery_did_itself_is_taken_back() -> None:
    desk = Desk({"a": {"v": 1}, "b": {"v": 1}, "c": {"v": 1}})
    for object_id in "abc":
        desk.call(f"call_{object_id}", object_id, {"v": 2})
    desk.human("b", {"v": 1})
    desk.human("c", {"v": 3})
    done = desk.run(desk.plan())
    back = reverse_plan(done, plan="plan_2", new_id=CountingIds().new)
    assert [item.object for item in back] == [ref("a")]
    assert states(desk.run(back)) == [VERIFIED]
    assert desk.objects == {"a": {"v": 2}, "b": {"v": 1}, "c": {"v": 3}}


def test_a_field_that_a_person_had_put_back_is_not_taken_back() -> None:
    desk = Desk({"acme": ACME})
    desk.call("call_1", "acme", {**LATE, "plan": "lead"})
    desk.human("acme", {**LATE, "plan": "gold"})
    done = desk.run(desk.plan())
    assert desk.objects == {"acme": ACME}
    [item] = reverse_plan(done, plan="plan_2", new_id=CountingIds().new)
    assert item.changes == {"renewal_date": ["2026-12-01", "2027-01-01"]}
    desk.run([item])
    assert desk.objects == {"acme": LATE}
