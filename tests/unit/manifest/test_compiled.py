"""A compiled manifest answers for one call, in full or not at all: no answer is an error, never a guess."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from stopwork.kernel.errors import NotFound
from stopwork.ledger.records import ObjectRef, Principal, Run
from stopwork.ledger.words import Mode, PrincipalKind, RunStatus
from stopwork.manifest.compiled import MAX_KEY_CHARS
from stopwork.manifest.expressions import ExpressionError
from tests.unit.manifest.files import compiled, spoiled

NOW = datetime(2026, 3, 2, 13, 0, tzinfo=UTC)
TASK = "crm.create_task"
ARGS = {"account_id": "A-1", "title": "Call", "priority": "low"}
RUN = Run(
    id="R-1",
    workflow="weekly-renewal-risk",
    version=1,
    trigger="schedule",
    trigger_id="2026-W10",
    attempt=1,
    mode=Mode.ENFORCE,
    status=RunStatus.RUNNING,
    started_at=NOW,
    by=Principal(kind=PrincipalKind.AGENT, id="renewals"),
)
RULES = compiled()


def tool(text: str, *, effect: str = "send") -> Any:
    """Answer compiled rules of a tool "t" with these lines more."""
    owners = "owners: {business: a@acme.test, technical: b@acme.test}"
    return compiled(f"workflow: w\n{owners}\ntools:\n  t:\n    effect: {effect}\n    {text}\n")


def test_a_tool_that_is_not_listed_is_not_found() -> None:
    with pytest.raises(NotFound, match=r"crm\.create_task"):
        RULES.denies("crm.create_tsk", {}, RUN, NOW)


def test_deny_when() -> None:
    assert not RULES.denies(TASK, ARGS, RUN, NOW)
    assert not RULES.denies(TASK, ARGS | {"due": "2026-04-01T00:00:00Z"}, RUN, NOW)
    assert RULES.denies(TASK, ARGS | {"due": "2026-01-01T00:00:00+02:00"}, RUN, NOW)
    assert not RULES.denies("mail.search", {}, RUN, NOW)
    with pytest.raises(ExpressionError, match="Timestamp conversion"):
        RULES.denies(TASK, ARGS | {"due": "tomorrow"}, RUN, NOW)


def test_a_condition_sees_the_run_and_the_source() -> None:
    rules = tool("deny_when: source == 'inbox' && run.attempt > 1 && workflow == 'w' && run.started_at < now")
    again, later = replace(RUN, attempt=2), NOW + timedelta(seconds=1)
    assert rules.denies("t", {}, again, later, "inbox")
    assert not rules.denies("t", {}, again, later)
    assert not rules.denies("t", {}, RUN, later, "inbox")


def test_gate() -> None:
    assert RULES.gate_applies(TASK, ARGS | {"priority": "urgent"}, RUN, NOW)
    assert not RULES.gate_applies(TASK, ARGS, RUN, NOW)
    assert not RULES.gate_applies("crm.close_task", {"id": "T-1"}, RUN, NOW)
    assert tool("gate: {approvers: [business]}").gate_applies("t", {}, RUN, NOW)
    with pytest.raises(ExpressionError, match="priority"):
        RULES.gate_applies(TASK, {}, RUN, NOW)


def test_the_object_of_a_call() -> None:
    assert RULES.object_ref("mail.search", {}) is None
    assert RULES.object_ref("crm.close_task", {"id": "T-1"}) == ObjectRef(system="crm", type="task", id="T-1")
    assert RULES.object_ref(TASK, ARGS) is None, "its id is in the result"
    assert RULES.object_ref(TASK, ARGS, {"id": 7}) == ObjectRef(system="crm", type="task", id="7")


@pytest.mark.parametrize(
    "result", [None, {}, {"id": ""}, {"id": None}, {"id": True}, {"id": 1.5}, {"id": ["a"]}]
)
def test_an_object_without_an_id_is_an_error(result: Any) -> None:
    with pytest.raises(ExpressionError):
        RULES.object_ref(TASK, ARGS, result)


def test_business_key() -> None:
    key = RULES.business_key(TASK, ARGS, RUN)
    assert key == '["crm.create_task","2026-W10","A-1"]'
    assert RULES.business_key(TASK, ARGS, replace(RUN, id="R-2", attempt=2)) == key, "a retry is the same"
    assert RULES.business_key(TASK, ARGS, replace(RUN, trigger_id="2026-W11")) != key
    assert RULES.business_key("mail.search", {}, RUN) is None
    with pytest.raises(ExpressionError, match="account_id"):
        RULES.business_key(TASK, {}, RUN)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (1, 1.0, True),
        (1, "1", False),
        (True, 1, False),
        (None, "null", False),
        ("a", "A", False),
        ("\N{LATIN SMALL LETTER E WITH ACUTE}", "e\N{COMBINING ACUTE ACCENT}", False),
        (2**70, 2**70 + 1, False),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ([1, 2], [2, 1], False),
    ],
)
def test_keys_tell_values_apart(one: Any, other: Any, same: bool) -> None:
    keys = [RULES.business_key(TASK, {"account_id": value}, RUN) for value in (one, other)]
    assert (keys[0] == keys[1]) is same


def test_a_long_key_is_a_digest() -> None:
    key = RULES.business_key(TASK, {"account_id": "x" * MAX_KEY_CHARS}, RUN)
    assert key is not None
    assert key.startswith("sha256:")


def test_the_declared_alert_key() -> None:
    key = RULES.declared_alert_key(TASK, ARGS, RUN)
    assert key == '["crm.create_task","A-1","Call"]'
    assert RULES.declared_alert_key(TASK, ARGS, replace(RUN, id="R-2", trigger_id="x")) == key
    assert RULES.declared_alert_key("crm.close_task", {"id": "T-1"}, RUN) is None, "it has no such arguments"
    undeclared = compiled(spoiled("key: [tool, args.account_id, args.title], ", ""))
    assert undeclared.declared_alert_key(TASK, ARGS, RUN) is None


def test_undo_arguments() -> None:
    task = ObjectRef(system="crm", type="task", id="T-1")
    assert RULES.undo_args(TASK, ARGS, {"id": "T-1"}, task, RUN) == {"id": "T-1"}
    assert RULES.undo_args("crm.close_task", {"id": "T-1"}, None, task, RUN) == {}
    with pytest.raises(ExpressionError, match=r"object\.id"):
        RULES.undo_args(TASK, ARGS, {}, None, RUN)


def test_whether_a_call_took_hold() -> None:
    rules = tool("verify: result.status == 'ok' && object.id == args.id", effect="update")
    item = ObjectRef(system="s", type="t", id="1")
    assert rules.took_hold("t", {"id": "1"}, {"status": "ok"}, item) is True
    assert rules.took_hold("t", {"id": "2"}, {"status": "ok"}, item) is False
    assert RULES.took_hold(TASK, ARGS, {}, None) is None
    with pytest.raises(ExpressionError):
        rules.took_hold("t", {"id": "1"}, "ok", item)


def test_recipients_and_destination() -> None:
    rules = tool("recipients: args.to\n    destination: args.channel")
    assert rules.recipients("t", {"to": "a@acme.test"}) == ("a@acme.test",)
    assert rules.recipients("t", {"to": ["a@acme.test", "b@acme.test"]}) == ("a@acme.test", "b@acme.test")
    assert rules.recipients("t", {"to": []}) == ()
    assert rules.destinations("t", {"channel": "#ops"}) == ("#ops",)
    assert RULES.recipients(TASK, ARGS) == ()
    assert RULES.destinations(TASK, ARGS) == ()
    for wrong in (1, None, [""], [{"mail": "a@acme.test"}]):
        with pytest.raises(ExpressionError, match="text or a list of text"):
            rules.recipients("t", {"to": wrong})
