"""What may be done about an object is what the manifest and the systems allow, and the manifest's word for the situation is proposed.

A remedy sets fields, calls a tool or is left to people. Fields are set where they still hold what the calls left; a tool is called once.
A copy that is merged goes after its original has what only the copy held, and nothing goes while something that stays may need it.
"""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from stopwork.incidents.attempt import AlreadyDone, Clash, Invoke, held_back, step, verify
from stopwork.incidents.net import Net
from stopwork.incidents.references import Reference
from stopwork.incidents.remedies import Offer, Undoing, as_way, with_way
from stopwork.incidents.reversal import reverse_plan
from stopwork.kernel.ids import CountingIds
from stopwork.ledger.records import Image, Item, ObjectRef
from stopwork.ledger.words import (
    Audience,
    EffectKind,
    IncidentType,
    ItemState,
    RecoverySituation,
    Remedy,
    Reversibility,
)
from stopwork.manifest.model import (
    DuplicateRule,
    MessageRule,
    Recovery,
    TaskRule,
    WriteRule,
)
from tests.unit.incidents.desk import Desk, ref, states

TASK = {"title": "Call Acme", "status": "open", "owner": "lee"}
CLOSED = Offer(remedy=Remedy.CLOSE, fields={"status": "closed"})
MARKED = Offer(remedy=Remedy.MARK, fields={"duplicate_of": "t1"})
COPIES = {"call_2": "call_1"}
DECLARED = {"desk": tuple(Reference(type="task", fields=(field,), to="task") for field in ("parent", "team"))}
VERIFIED, CONFLICT = ItemState.VERIFIED, ItemState.CONFLICT


def offering(*offers: Offer) -> Any:
    def offered(net: Net, original: ObjectRef | None) -> tuple[Offer, ...]:
        return offers

    return offered


def twice(first: dict[str, Any] = TASK, second: dict[str, Any] = TASK) -> Desk:
    desk = Desk()
    desk.call("call_1", "t1", first, tool="desk.create")
    desk.call("call_2", "t2", second, tool="desk.create")
    return desk


def by_id(items: list[Item]) -> dict[str, Item]:
    return {item.object.id: item for item in items}


# --- fields ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "offer", "left", "preview"),
    [
        (
            DuplicateRule.CLOSE,
            CLOSED,
            {**TASK, "status": "closed"},
            "close desk/task/t2, a duplicate of desk/task/t1: set status from open to closed",
        ),
        (
            DuplicateRule.MARK,
            MARKED,
            {**TASK, "duplicate_of": "t1"},
            "mark desk/task/t2, a duplicate of desk/task/t1: set duplicate_of from nothing to t1",
        ),
    ],
)
def test_a_duplicate_is_closed_or_marked_by_setting_fields(
    rule: DuplicateRule, offer: Offer, left: Any, preview: str
) -> None:
    desk = twice()
    [item] = desk.plan(
        "call_2", recovery=Recovery(duplicate_records=rule), offers=offering(offer), copies=COPIES
    )
    assert (item.remedy, item.preview) == (offer.remedy, preview)
    assert item.reversibility is Reversibility.PARTLY
    assert Remedy.DELETE in {way.remedy for way in item.ways}
    assert states(desk.run([item])) == [VERIFIED]
    assert desk.objects == {"t1": TASK, "t2": left}


def test_a_field_that_a_person_has_set_since_is_a_conflict_and_another_one_stays() -> None:
    for theirs, state in (({"status": "done"}, CONFLICT), ({"owner": "kim"}, VERIFIED)):
        desk = twice()
        desk.human("t2", {**TASK, **theirs})
        [item] = desk.plan("call_2", offers=offering(CLOSED), copies=COPIES)
        assert states(desk.run([item])) == [state]
        assert theirs.items() <= desk.objects["t2"].items()


def test_what_is_so_already_needs_nothing() -> None:
    desk = twice(second={**TASK, "status": "closed"})
    [item] = desk.plan("call_2", offers=offering(CLOSED), copies=COPIES)
    assert item.remedy is Remedy.ACCEPT
    assert "have these values already" in item.preview


@pytest.mark.parametrize(
    ("recovery", "remedy"),
    [
        (Recovery(), Remedy.DELETE),
        (Recovery(wrong_internal_tasks=TaskRule.REASSIGN), Remedy.REASSIGN),
        (Recovery(wrong_internal_tasks=TaskRule.CLOSE), Remedy.CLOSE),
    ],
)
def test_a_wrong_task_is_put_right_as_the_manifest_says(recovery: Recovery, remedy: Remedy) -> None:
    desk = Desk()
    desk.call("call_1", "t1", TASK)
    offers = offering(CLOSED, Offer(remedy=Remedy.REASSIGN, fields={"owner": "kim"}))
    [item] = desk.plan(recovery=recovery, offers=offers)
    assert (item.situation, item.remedy) == (RecoverySituation.WRONG_INTERNAL_TASKS, remedy)
    assert {item.remedy, *(way.remedy for way in item.ways)} == {
        Remedy.DELETE,
        Remedy.CLOSE,
        Remedy.REASSIGN,
    }


def test_a_wrong_write_is_corrected_to_something_new() -> None:
    desk = Desk({"acme": {"date": "2026-12-01"}})
    desk.call("call_1", "acme", {"date": "2027-01-01"})
    [item] = desk.plan(
        recovery=Recovery(bad_production_write=WriteRule.CORRECT),
        offers=offering(Offer(remedy=Remedy.CORRECT, fields={"date": "2026-12-31"})),
    )
    assert item.changes == {"date": ["2027-01-01", "2026-12-31"]}
    assert states(desk.run([item])) == [VERIFIED]
    assert desk.objects == {"acme": {"date": "2026-12-31"}}


def test_a_remedy_that_cannot_be_worked_out_is_for_people_and_says_why() -> None:
    desk = twice()
    [item] = desk.plan(
        "call_2",
        recovery=Recovery(duplicate_records=DuplicateRule.MARK),
        offers=offering(Offer(remedy=Remedy.MARK, why_not="there is no original")),
        copies=COPIES,
    )
    assert item.remedy is Remedy.TELL
    assert "there is no original" in item.preview
    assert Remedy.DELETE in {way.remedy for way in item.ways}


def test_of_exposed_data_security_and_legal_are_told_although_it_is_removed() -> None:
    desk = Desk()
    desk.call("call_1", "t1", TASK)
    [item] = desk.plan(kind=IncidentType.SENSITIVE_DATA_EXPOSURE)
    assert (item.situation, item.remedy) == (RecoverySituation.SENSITIVE_DATA_EXPOSURE, Remedy.DELETE)
    assert item.must_tell == (Audience.SECURITY, Audience.LEGAL_COMPLIANCE)


# --- tools -----------------------------------------------------------------------------------------

RESEND = Offer(remedy=Remedy.RESEND, tool="mail.send", args={"to": "acme", "body": "Correction"})


def sent() -> Item:
    desk = Desk()
    desk.call("call_1", "m1", {"to": "acme"}, tool="mail.send", kind=EffectKind.SEND)
    [item] = desk.plan(
        undoing={"mail.send": Undoing(kind=EffectKind.SEND)},
        recovery=Recovery(bad_external_message=MessageRule.RESEND),
        offers=offering(RESEND),
        invokes=frozenset({"desk"}),
    )
    return item


def test_a_correction_is_sent_once_and_people_are_told_all_the_same() -> None:
    item = sent()
    assert (item.remedy, item.reversibility) == (Remedy.RESEND, Reversibility.PARTLY)
    assert item.preview == "call mail.send(to=acme, body=Correction) to resend desk/task/m1"
    assert Audience.EXTERNAL_PARTIES in item.must_tell
    assert step(item, Image.unknown("mail cannot be read")) == Invoke(tool="mail.send", args=RESEND.args)
    assert verify(item, Image.absent())
    assert not verify(item, Image.absent(), returned=False)


def test_a_correction_whose_sending_nobody_saw_end_is_not_sent_again() -> None:
    item = sent()
    found = step(replace(item, state=ItemState.IN_DOUBT, attempted_at=item.at), Image.absent())
    assert isinstance(found, Clash)
    assert "not called again" in found.why


def test_a_tool_that_may_have_been_called_is_not_called_again_although_its_object_looks_as_before() -> None:
    desk = Desk({"p": {"status": "open"}})
    desk.call("call_1", "p", {"status": "paid"}, tool="pay")
    [item] = desk.plan(
        undoing={"pay": Undoing(kind=EffectKind.PAY, tool="refund", args={"id": "p"})},
        invokes=frozenset({"desk"}),
    )
    left = Image.present({"status": "paid"})
    assert step(item, left) == Invoke(tool="refund", args={"id": "p"})
    begun = replace(item, state=ItemState.IN_DOUBT, attempted_at=item.at)
    found = step(begun, left)
    assert isinstance(found, Clash)
    assert "whether refund was called is not known" in found.why
    assert step(begun, Image.present({"status": "open"})) == AlreadyDone(), "where it shows, it is done"


def test_a_summary_from_stale_sources_is_made_again_by_its_tool() -> None:
    desk = Desk({"r": {"text": "old"}})
    desk.call("call_1", "r", {"text": "wrong"}, tool="report.write")
    desk.inverses["report.write"] = lambda args: desk.human("r", {"text": "right"})
    [item] = desk.plan(
        kind=IncidentType.STALE_OR_WRONG_INPUT,
        offers=offering(Offer(remedy=Remedy.REGENERATE, tool="report.write", args={})),
        invokes=frozenset({"desk"}),
    )
    assert (item.situation, item.remedy) == (RecoverySituation.STALE_SUMMARY, Remedy.REGENERATE)
    assert states(desk.run([item])) == [VERIFIED]
    assert desk.objects == {"r": {"text": "right"}}
    assert states(desk.run([item])) == [CONFLICT], "it is not made twice"


def test_a_tool_that_cannot_be_called_from_here_is_no_way() -> None:
    desk = Desk()
    desk.call("call_1", "t1", TASK)
    [item] = desk.plan(offers=offering(Offer(remedy=Remedy.CLOSE, tool="desk.close")))
    assert [way.remedy for way in item.ways] == []


# --- merging ---------------------------------------------------------------------------------------

MERGE = Recovery(duplicate_records=DuplicateRule.MERGE)


def test_a_copy_goes_when_its_original_has_what_only_the_copy_held() -> None:
    desk = twice(second={**TASK, "phone": "123", "status": "done"})
    original, copy = desk.plan("call_2", recovery=MERGE, copies=COPIES)
    assert (original.object, original.remedy) == (ref("t1"), Remedy.MERGE)
    assert original.changes == {"phone": [{"absent": True}, "123"]}
    assert original.preview == "set of desk/task/t1 what only desk/task/t2 has: phone to 123"
    assert copy.after == (original.id,)
    assert states(desk.run([original, copy])) == [VERIFIED, VERIFIED]
    assert desk.objects == {"t1": {**TASK, "phone": "123"}}


def test_an_original_that_is_kept_is_completed_and_one_that_goes_is_not() -> None:
    desk = twice(second={**TASK, "phone": "123"})
    kept = by_id(desk.plan(recovery=MERGE, copies=COPIES, only_copies=True))
    assert (kept["t1"].remedy, kept["t1"].keep) == (Remedy.MERGE, "")
    assert set(kept["t1"].calls) == {"call_1", "call_2"}, "it stands for what the original's call did too"
    both = by_id(desk.plan(recovery=MERGE, copies=COPIES))
    assert {item.remedy for item in both.values()} == {Remedy.DELETE}


def test_a_copy_that_holds_nothing_more_just_goes() -> None:
    desk = twice()
    [copy] = desk.plan("call_2", recovery=MERGE, copies=COPIES)
    assert (copy.remedy, copy.after) == (Remedy.DELETE, ())


def test_a_merge_can_be_taken_back() -> None:
    desk = twice(second={**TASK, "phone": "123"})
    before = dict(desk.objects)
    done = desk.run(desk.plan("call_2", recovery=MERGE, copies=COPIES))
    back = reverse_plan(done, plan="plan_2", new_id=CountingIds().new)
    assert [item.remedy for item in back] == [Remedy.RECREATE, Remedy.RESTORE]
    assert back[1].after == (back[0].id,), "the original gives it up when the copy has it again"
    assert states(desk.run(back)) == [VERIFIED, VERIFIED]
    assert desk.objects == before


# --- what comes first ------------------------------------------------------------------------------


def test_an_object_goes_only_when_what_names_it_is_gone() -> None:
    desk = Desk()
    desk.call("call_1", "p", {"name": "Parent"})
    desk.call("call_2", "c", {"parent": "p"})
    child, parent = desk.plan(references=DECLARED)
    assert (child.object.id, child.after, parent.after) == ("c", (), (child.id,))
    assert held_back(parent, {child.id: replace(child, state=VERIFIED)}) == ""
    stays = held_back(parent, {child.id: replace(child, state=CONFLICT)})
    assert stays == "desk/task/c has to be put right first, and it is conflict"


def test_an_object_comes_back_before_what_names_it() -> None:
    desk = Desk({"team": {"name": "Sales"}, "acme": {"team": "team"}})
    desk.call("call_1", "acme", {"team": None})
    desk.call("call_2", "team", None)
    team, acme = desk.plan(references=DECLARED)
    assert (team.object.id, acme.after) == ("team", (team.id,))


def test_an_object_is_named_by_the_fields_that_a_reference_names() -> None:
    desk = Desk()
    desk.call("call_1", "1", {"code": "a", "year": 2026})
    for number, year in enumerate((2026, 2025, None)):
        desk.call(f"call_2{number}", f"2{number}", {"code": "a", "of": year})
    declared = Reference(type="task", fields=("code", "of"), to="task", named=("code", "year"))
    items = by_id(desk.plan(references={"desk": (declared,)}))
    assert items["1"].after == (items["20"].id,)


def test_a_value_that_equals_an_id_decides_the_order_and_holds_nothing_back() -> None:
    desk = Desk({"70": {"stars": 5}})
    desk.call("call_1", "1", {"name": "made up"})
    desk.call("call_1", "2", {"parent": "1"})
    desk.call("call_1", "70", {"stars": 1})
    items = desk.plan()
    assert [(item.object.id, item.after) for item in items] == [("70", ()), ("2", ()), ("1", ())]


def test_what_is_declared_decides_the_order_where_values_suggest_a_circle() -> None:
    desk = Desk()
    desk.call("call_1", "1", {"stars": 2})
    desk.call("call_1", "2", {"parent": "1"})
    assert [item.object.id for item in desk.plan(references=DECLARED)] == ["2", "1"]


def test_changes_of_objects_that_stay_wait_for_nothing() -> None:
    desk = Desk({str(each): {"n": each} for each in range(3)})
    for each in range(3):
        desk.call(f"call_{each}", str(each), {"n": each + 1})
    assert {item.after for item in desk.plan()} == {()}


# --- changing one's mind ---------------------------------------------------------------------------


def test_another_way_can_be_chosen_and_the_first_one_again() -> None:
    desk = twice()
    [item] = desk.plan("call_2", offers=offering(CLOSED), copies=COPIES)
    [delete] = [way for way in item.ways if way.remedy is Remedy.DELETE]
    changed = with_way(item, delete)
    assert (changed.remedy, changed.target) == (Remedy.DELETE, Image.absent())
    assert as_way(with_way(changed, as_way(item))) == as_way(item)


# --- done twice ------------------------------------------------------------------------------------


def test_of_a_change_made_twice_only_the_second_is_taken_back() -> None:
    desk = Desk({"eve": {"n": 0}})
    desk.call("call_1", "eve", {"n": 5}, tool="credit.add")
    desk.call("call_2", "eve", {"n": 10}, tool="credit.add")
    [item] = desk.plan(copies=COPIES, only_copies=True)
    assert (item.remedy, item.changes, item.keep) == (Remedy.RESTORE, {"n": [10, 5]}, "")
    assert states(desk.run([item])) == [VERIFIED]
    assert desk.objects == {"eve": {"n": 5}}


def test_of_a_change_made_twice_the_second_is_taken_back_by_one_inverse() -> None:
    desk = Desk({"eve": {"n": 0}})
    desk.call("call_1", "eve", {"n": 5}, tool="credit.add")
    desk.call("call_2", "eve", {"n": 10}, tool="credit.add")
    inverse = Undoing(tool="credit.take", args={"who": "eve", "n": 5})
    [item] = desk.plan(
        copies=COPIES, only_copies=True, invokes=frozenset({"desk"}), undoing={"credit.add": inverse}
    )
    assert (item.remedy, item.undo_args, item.calls) == (Remedy.INVERSE, inverse.args, ("call_2",))


def test_an_original_whose_copy_changed_nothing_more_stays() -> None:
    desk = Desk({"eve": {"tier": "basic"}})
    desk.call("call_1", "eve", {"tier": "gold"})
    desk.call("call_2", "eve", {"tier": "gold"})
    [item] = desk.plan(copies=COPIES, only_copies=True)
    assert item.keep == "it is the original of 1 copy; only copies are taken back"
