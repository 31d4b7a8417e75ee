"""What recovery cannot put back itself has left the system, or goes by a tool's inverse: a tool is called once and read back, the rest is named
with its reason and with who must be told. Of repeated work the owner says what becomes of the copy.
"""

from __future__ import annotations

from typing import Any

import pytest

from stopwork.incidents.attempt import (
    AlreadyDone,
    Clash,
    Invoke,
    step,
)
from stopwork.incidents.remedies import Undoing
from stopwork.incidents.reversal import reverse_plan
from stopwork.kernel.ids import CountingIds
from stopwork.ledger.records import Image
from stopwork.ledger.words import Audience, EffectKind, ItemState, RecoverySituation, Remedy
from stopwork.manifest.model import DuplicateRule, Recovery
from tests.unit.incidents.desk import ACME, LATE, Desk, states

VERIFIED, CONFLICT, ACCEPTED = ItemState.VERIFIED, ItemState.CONFLICT, ItemState.ACCEPTED


# --- what has left the system ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "external", "situation", "told"),
    [
        (
            EffectKind.SEND,
            True,
            RecoverySituation.BAD_EXTERNAL_MESSAGE,
            (Audience.BUSINESS_OWNER, Audience.EXTERNAL_PARTIES),
        ),
        (
            EffectKind.SEND,
            False,
            RecoverySituation.BAD_EXTERNAL_MESSAGE,
            (Audience.BUSINESS_OWNER, Audience.AFFECTED_INTERNAL_USERS),
        ),
        (
            EffectKind.PAY,
            True,
            RecoverySituation.BAD_PRODUCTION_WRITE,
            (Audience.BUSINESS_OWNER, Audience.LEGAL_COMPLIANCE, Audience.EXTERNAL_PARTIES),
        ),
        (
            EffectKind.APPROVE,
            False,
            RecoverySituation.APPROVAL_BYPASS,
            (Audience.BUSINESS_OWNER, Audience.AFFECTED_INTERNAL_USERS),
        ),
        (
            EffectKind.TRIGGER,
            False,
            RecoverySituation.BAD_PRODUCTION_WRITE,
            (Audience.TECHNICAL_OWNER, Audience.AFFECTED_INTERNAL_USERS),
        ),
    ],
)
def test_what_has_left_the_system_is_told(
    kind: EffectKind, external: bool, situation: RecoverySituation, told: tuple[Audience, ...]
) -> None:
    desk = Desk()
    desk.call("call_1", "m1", {"to": "acme"}, tool="mail.send", kind=kind)
    [item] = desk.plan(undoing={"mail.send": Undoing(kind=kind, external=external)})
    assert (item.remedy, item.reversible, item.situation, item.must_tell) == (
        Remedy.TELL,
        False,
        situation,
        told,
    )
    assert states(desk.run([item])) == [ACCEPTED]
    assert "m1" in desk.objects


def test_what_a_scan_found_beside_a_sent_message_stays_too() -> None:
    desk = Desk({"balance": {"usd": 10}})
    desk.call("call_1", "balance", {"usd": 0}, tool="bank.pay")
    [item] = desk.plan(undoing={"bank.pay": Undoing(kind=EffectKind.PAY)})
    assert item.remedy is Remedy.TELL


def test_a_declared_way_undoes_the_record_and_people_are_told_all_the_same() -> None:
    desk = Desk()
    desk.call("call_1", "m1", {"to": "acme"}, tool="mail.send", kind=EffectKind.SEND)
    [item] = desk.plan(undoing={"mail.send": Undoing(kind=EffectKind.SEND, system="desk")})
    assert item.remedy is Remedy.DELETE
    assert Audience.EXTERNAL_PARTIES in item.must_tell


def test_a_declared_reason_why_not_is_shown() -> None:
    desk = Desk({"acme": ACME})
    desk.call("call_1", "acme", LATE)
    [item] = desk.plan(undoing={"desk.write": Undoing(none="the ledger is closed")})
    assert item.preview == "desk/task/acme cannot be put back from here: the ledger is closed"
    assert item.remedy is Remedy.TELL


def test_without_a_system_people_must_act() -> None:
    desk = Desk({"acme": ACME})
    desk.call("call_1", "acme", LATE)
    [item] = desk.plan(restores=frozenset())
    assert item.remedy is Remedy.TELL
    assert "no system desk is configured here" in item.preview


# --- inverse tools and duplicates ------------------------------------------------------------------

CLOSE = {"desk.create": Undoing(tool="desk.close", args={"id": "t2"})}


def _duplicated() -> Desk:
    desk = Desk()
    desk.call("call_1", "t1", {"title": "Call Acme"}, tool="desk.create")
    desk.call("call_2", "t2", {"title": "Call Acme"}, tool="desk.create")
    desk.inverses["desk.close"] = lambda args: desk.human(
        args["id"], {**desk.objects[args["id"]], "open": False}
    )
    return desk


@pytest.mark.parametrize(
    ("rule", "undoing", "remedy", "preview"),
    [
        (
            DuplicateRule.CLOSE,
            CLOSE,
            Remedy.INVERSE,
            "call desk.close(id=t2) for desk/task/t2, a duplicate of",
        ),
        (DuplicateRule.CLOSE, {}, Remedy.DELETE, "delete desk/task/t2, a duplicate of desk/task/t1"),
        (DuplicateRule.DELETE, CLOSE, Remedy.DELETE, "delete desk/task/t2, a duplicate of desk/task/t1"),
        (DuplicateRule.MARK, CLOSE, Remedy.INVERSE, "call desk.close(id=t2)"),
        (DuplicateRule.MARK, {}, Remedy.TELL, "mark it as a copy of desk/task/t1"),
        (DuplicateRule.MERGE, {}, Remedy.DELETE, "delete desk/task/t2, a duplicate of desk/task/t1"),
    ],
)
def test_a_duplicate_is_treated_as_the_owner_rules(
    rule: DuplicateRule, undoing: dict[str, Undoing], remedy: Remedy, preview: str
) -> None:
    desk = _duplicated()
    [item] = desk.plan(
        "call_2",
        undoing=undoing,
        invokes=frozenset({"desk"}),
        recovery=Recovery(duplicate_records=rule),
        copies={"call_2": "call_1"},
    )
    assert item.situation is RecoverySituation.DUPLICATE_RECORDS
    assert item.remedy is remedy
    assert preview in item.preview


def test_an_inverse_tool_is_called_once_and_read_back() -> None:
    desk = _duplicated()
    [item] = desk.plan("call_2", undoing=CLOSE, invokes=frozenset({"desk"}))
    [done] = desk.run([item])
    assert done.state is VERIFIED
    assert desk.objects["t2"] == {"title": "Call Acme", "open": False}
    assert states(desk.run([item])) == [CONFLICT]
    assert desk.invoked == [("desk.close", {"id": "t2"})]


def test_an_inverse_tool_that_does_nothing_has_failed() -> None:
    desk = _duplicated()
    desk.inverses.clear()
    assert states(desk.run(desk.plan("call_2", undoing=CLOSE, invokes=frozenset({"desk"})))) == [
        ItemState.FAILED
    ]


def test_an_inverse_tool_is_not_called_for_what_is_gone() -> None:
    desk = _duplicated()
    desk.human("t2", None)
    assert states(desk.run(desk.plan("call_2", undoing=CLOSE, invokes=frozenset({"desk"})))) == [VERIFIED]
    assert desk.invoked == []


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (LATE, Invoke),
        (ACME, AlreadyDone),
        ({**LATE, "plan": "tin"}, Invoke),
        ({**ACME, "renewal_date": ""}, Clash),
    ],
)
def test_an_inverse_of_a_change_is_held_to_the_fields_it_is_for(now: Any, expected: type) -> None:
    desk = Desk({"acme": ACME})
    desk.call("call_1", "acme", LATE)
    [item] = desk.plan(undoing={"desk.write": Undoing(tool="desk.revert")}, invokes=frozenset({"desk"}))
    assert isinstance(step(item, Image.present(now)), expected)


def test_an_inverse_tool_out_of_reach_is_named_for_people() -> None:
    desk = _duplicated()
    [item] = desk.plan("call_2", undoing=CLOSE)
    assert item.remedy is Remedy.TELL
    assert "its inverse desk.close(id=t2) cannot be called from here" in item.preview


def test_what_an_inverse_tool_did_is_taken_back_by_people() -> None:
    desk = _duplicated()
    done = desk.run(desk.plan("call_2", undoing=CLOSE, invokes=frozenset({"desk"})))
    [item] = reverse_plan(done, plan="plan_2", new_id=CountingIds().new)
    assert (item.remedy, item.reversible) == (Remedy.TELL, False)
