"""What has become of an object is told from what the calls left and what is there now, and by whom only where something says so.

Nothing is called unchanged that could not be compared.
"""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from stopwork.incidents.affected import AffectedObject
from stopwork.incidents.drift import Stamp, drifted
from stopwork.ledger.records import Drifted, Effect, Image, Principal
from stopwork.ledger.words import DriftState, ItemState, Operation, PrincipalKind
from tests.unit.incidents.desk import START, Desk, ref

BEFORE, LEFT, THEIRS = ({"date": date, "owner": "lee"} for date in ("old", "agent's", "theirs"))
LEE = Principal(kind=PrincipalKind.PERSON, id="lee@acme.test")


def left(after: Any = LEFT, *, before: Any = BEFORE) -> AffectedObject:
    def image(content: Any) -> Image:
        return Image.absent() if content is None else Image.present(content)

    return AffectedObject(
        object=ref("acme"),
        operation=Operation.MODIFIED,
        before=image(before),
        after=after if isinstance(after, Image) else image(after),
        runs=("run_1",),
        calls=("call_1",),
        effects=("effect_1",),
        approvals=(),
        reversible=True,
        transient=False,
    )


def later(after: Any) -> Effect:
    desk = Desk({"acme": LEFT})
    desk.call("call_9", "acme", after, tool="crm.fix")
    return replace(desk.effects[0], workflow="billing")


def drift(now: Image, found: AffectedObject | None = None, **more: Any) -> Drifted:
    [drifted_object] = drifted([found or left()], {ref("acme"): now}, **more)
    return drifted_object


@pytest.mark.parametrize(
    ("found", "now", "state", "fields"),
    [
        (left(), Image.present(LEFT), DriftState.UNCHANGED, ()),
        (left(), Image.present(THEIRS), DriftState.CHANGED, ("date",)),
        (left(), Image.present({**LEFT, "note": "x"}), DriftState.CHANGED, ("note",)),
        (left(), Image.absent(), DriftState.GONE, ()),
        (left(None), Image.absent(), DriftState.UNCHANGED, ()),
        (left(None), Image.present(BEFORE), DriftState.CHANGED, ()),
        (left(), Image.unknown("no answer"), DriftState.UNREADABLE, ()),
        (left(Image.unknown("cut off")), Image.present(LEFT), DriftState.UNREADABLE, ()),
    ],
)
def test_what_has_become_of_it(
    found: AffectedObject, now: Image, state: DriftState, fields: tuple[str, ...]
) -> None:
    told = drift(now, found)
    assert (told.state, told.fields, told.by) == (state, fields, "")


def test_what_the_audit_saw_stands_for_an_end_that_nobody_saw() -> None:
    found = replace(left(Image.unknown("cut off")), seen=Image.present(LEFT))
    assert drift(Image.present(LEFT), found).state is DriftState.UNCHANGED


def test_why_it_cannot_be_compared_is_said() -> None:
    assert drift(Image.unknown("crm did not answer")).note == "crm did not answer"
    assert "cut off" in drift(Image.present(LEFT), left(Image.unknown("cut off"))).note


# --- who -------------------------------------------------------------------------------------------


def test_a_recorded_call_of_any_workflow_that_left_this_is_named() -> None:
    told = drift(Image.present(THEIRS), later={ref("acme"): [later(THEIRS)]})
    assert told.by == "crm.fix in call_9 of billing"


def test_the_recovery_that_left_this_is_named() -> None:
    desk = Desk({"acme": BEFORE})
    desk.call("call_1", "acme", LEFT)
    [item] = desk.plan()
    done = replace(
        item, state=ItemState.VERIFIED, found=Image.present(BEFORE), done_by=LEE, finished_at=START
    )
    told = drift(Image.present(BEFORE), items=[done])
    assert told.by == "the recovery (item_0001, run by lee@acme.test)"


@pytest.mark.parametrize(
    ("stamp", "by"),
    [
        (Stamp(by="kim@acme.test", at="2026-11-23 09:00"), "kim@acme.test at 2026-11-23 09:00"),
        (Stamp(by="kim@acme.test"), "kim@acme.test"),
        (Stamp(at="2026-11-23"), "somebody at 2026-11-23"),
        (Stamp(), "somebody after crm.fix in call_9 of billing"),
    ],
)
def test_whom_the_system_names_stands_where_no_record_left_this(stamp: Stamp, by: str) -> None:
    told = drift(
        Image.present(THEIRS),
        later={ref("acme"): [later({**LEFT, "date": "another"})]},
        stamps={ref("acme"): stamp},
    )
    assert told.by == by


def test_nobody_is_named_without_a_reason() -> None:
    assert drift(Image.present(THEIRS)).by == ""
