"""Contract of the verdict: each control alone gives the answer of this table, with its reason; together the strictest wins
and every reason is kept; while observing, only what people or rules have set binds."""

from __future__ import annotations

from datetime import timedelta

import pytest

from stopwork.control.budget import Usage
from stopwork.control.decide import CallRequest, Controls, decide
from stopwork.control.keys import KeyStanding, KeyState
from stopwork.ledger.words import (
    ApprovalState,
    EffectKind,
    HoldMode,
    Mode,
    ReasonKind,
    Risk,
    Role,
    RunStatus,
    ScopeKind,
    Stage,
    Verdict,
)
from tests.unit.control.world import DANA, NOW, approval, compiled, controls, hold, request, run, workflow

READ = request("crm.read")
WRITE = request("crm.update")
SEND = request("mail.send", {"to": "x@customer.test"})
K = ReasonKind

CASES: dict[str, tuple[CallRequest, Controls, Verdict, list[ReasonKind]]] = {
    "a plain read": (READ, controls(), Verdict.ALLOW, []),
    "a plain write": (WRITE, controls(), Verdict.ALLOW, []),
    # registration
    "no manifest": (WRITE, Controls(), Verdict.DENY, [K.REGISTRATION]),
    "an undeclared tool": (request("crm.magic"), controls(), Verdict.DENY, [K.REGISTRATION]),
    "a run that has ended": (
        request(run=run(status=RunStatus.FAILED)),
        controls(),
        Verdict.DENY,
        [K.REGISTRATION],
    ),
    "a run of another workflow": (
        request(run=run(workflow="other")),
        controls(),
        Verdict.DENY,
        [K.REGISTRATION],
    ),
    # holds
    "blocked": (READ, controls(holds=(hold(HoldMode.BLOCK),)), Verdict.DENY, [K.HOLD]),
    "held read-only, reading": (READ, controls(holds=(hold(HoldMode.READ_ONLY),)), Verdict.ALLOW, []),
    "held read-only, writing": (WRITE, controls(holds=(hold(HoldMode.READ_ONLY),)), Verdict.DENY, [K.HOLD]),
    "held draft-only, reading": (READ, controls(holds=(hold(HoldMode.DRAFT_ONLY),)), Verdict.ALLOW, []),
    "held draft-only, writing": (
        WRITE,
        controls(holds=(hold(HoldMode.DRAFT_ONLY),)),
        Verdict.DRAFT,
        [K.HOLD],
    ),
    "held for approval": (WRITE, controls(holds=(hold(HoldMode.APPROVAL_REQUIRED),)), Verdict.WAIT, [K.HOLD]),
    "a hold that was lifted": (WRITE, controls(holds=(hold(active=False),)), Verdict.ALLOW, []),
    "the tool's own source is held": (
        request("inbox.read"),
        controls(holds=(hold(kind=ScopeKind.SOURCE, name="inbox"),)),
        Verdict.DENY,
        [K.HOLD],
    ),
    "the class of its source is held": (
        request("inbox.read"),
        controls(holds=(hold(kind=ScopeKind.SOURCE, name="class:external"),)),
        Verdict.DENY,
        [K.HOLD],
    ),
    "another class of sources is held": (
        READ,
        controls(holds=(hold(kind=ScopeKind.SOURCE, name="class:external"),)),
        Verdict.ALLOW,
        [],
    ),
    # stages
    "stage read_only, reading": (READ, controls(workflow=workflow(stage=Stage.READ_ONLY)), Verdict.ALLOW, []),
    "stage read_only": (WRITE, controls(workflow=workflow(stage=Stage.READ_ONLY)), Verdict.DENY, [K.STAGE]),
    "stage draft_only": (
        WRITE,
        controls(workflow=workflow(stage=Stage.DRAFT_ONLY)),
        Verdict.DRAFT,
        [K.STAGE],
    ),
    "stage approved_writes": (
        WRITE,
        controls(workflow=workflow(stage=Stage.APPROVED_WRITES)),
        Verdict.WAIT,
        [K.STAGE],
    ),
    "stage limited, not in the sample": (
        WRITE,
        controls(workflow=workflow(stage=Stage.LIMITED)),
        Verdict.ALLOW,
        [],
    ),
    "stage limited, over its cap": (
        WRITE,
        controls(workflow=workflow(stage=Stage.LIMITED), usage=Usage(run_writes=3)),
        Verdict.DENY,
        [K.BUDGET],
    ),
    "the cap of limited does not bind reads": (
        READ,
        controls(workflow=workflow(stage=Stage.LIMITED), usage=Usage(run_writes=3)),
        Verdict.ALLOW,
        [],
    ),
    # risk and conditions
    "a blocked tool": (request("crm.wipe"), controls(), Verdict.DENY, [K.RISK]),
    "a condition that is true": (request(args={"amount": 1001}), controls(), Verdict.DENY, [K.CONDITION]),
    "a condition without an answer": (request(args={}), controls(), Verdict.DENY, [K.CONDITION]),
    # idempotency
    "done before": (
        WRITE,
        controls(key=KeyState(standing=KeyStanding.DONE, call="call_0")),
        Verdict.REPLAY,
        [K.IDEMPOTENCY],
    ),
    "a run that something unlisted started": (
        request(run=run(trigger="inbox")),
        controls(),
        Verdict.DENY,
        [K.REGISTRATION],
    ),
    "such a run may look": (request("crm.read", run=run(trigger="inbox")), controls(), Verdict.ALLOW, []),
    "in flight": (
        WRITE,
        controls(key=KeyState(standing=KeyStanding.IN_FLIGHT, call="call_0")),
        Verdict.DENY,
        [K.IDEMPOTENCY],
    ),
    "outcome unknown": (
        WRITE,
        controls(key=KeyState(standing=KeyStanding.UNKNOWN, call="call_0")),
        Verdict.DENY,
        [K.IDEMPOTENCY],
    ),
    "same key, other arguments": (
        WRITE,
        controls(key=KeyState(standing=KeyStanding.OTHER_ARGUMENTS, call="call_0")),
        Verdict.DENY,
        [K.IDEMPOTENCY],
    ),
    "no key to be had": (
        WRITE,
        controls(key=KeyState(standing=KeyStanding.UNREADABLE, why="no such key")),
        Verdict.DENY,
        [K.IDEMPOTENCY],
    ),
    "a read is never replayed": (
        READ,
        controls(key=KeyState(standing=KeyStanding.DONE, call="call_0")),
        Verdict.ALLOW,
        [],
    ),
    # budget
    "calls used up": (READ, controls(usage=Usage(run_calls=50)), Verdict.DENY, [K.BUDGET]),
    "the last call": (READ, controls(usage=Usage(run_calls=49)), Verdict.ALLOW, []),
    "dollars used up": (WRITE, controls(usage=Usage(run_usd=2.5)), Verdict.DENY, [K.BUDGET]),
    "a price nobody knows": (WRITE, controls(usage=Usage(run_unpriced=1)), Verdict.DENY, [K.BUDGET]),
    # gates
    "a gate that asks": (SEND, controls(), Verdict.WAIT, [K.GATE]),
    "a gate that does not ask": (
        request("mail.send", {"to": "dana@acme.test"}),
        controls(),
        Verdict.ALLOW,
        [],
    ),
    "a gate without an answer": (request("mail.send", {}), controls(), Verdict.DENY, [K.GATE]),
    # people's answers
    "asked, not answered": (
        SEND,
        controls(approval=approval(SEND, ApprovalState.PENDING)),
        Verdict.WAIT,
        [K.GATE],
    ),
    "approved": (SEND, controls(approval=approval(SEND)), Verdict.ALLOW, [K.GATE, K.GATE]),
    "rejected": (
        SEND,
        controls(approval=approval(SEND, ApprovalState.REJECTED)),
        Verdict.DENY,
        [K.GATE, K.GATE],
    ),
    "expired": (
        SEND,
        controls(approval=approval(SEND, ApprovalState.EXPIRED)),
        Verdict.DENY,
        [K.GATE, K.GATE],
    ),
    "approved, and stopped since": (
        SEND,
        controls(approval=approval(SEND, epoch=6), lifted=(hold(active=False, lifted_by=DANA),)),
        Verdict.WAIT,
        [K.GATE],
    ),
    "approved, and something else stopped since": (
        SEND,
        controls(approval=approval(SEND, epoch=6), holds=(hold(name="invoices"),)),
        Verdict.ALLOW,
        [K.GATE, K.GATE],
    ),
    "approved, for another version": (
        SEND,
        controls(approval=approval(SEND, version=2)),
        Verdict.WAIT,
        [K.GATE],
    ),
    "approved, for other arguments": (
        SEND,
        controls(approval=approval(request("mail.send", {"to": "y@customer.test"}))),
        Verdict.WAIT,
        [K.GATE],
    ),
    "approved and used by another call": (
        SEND,
        controls(approval=approval(SEND, ApprovalState.CONSUMED, consumed_by="call_0")),
        Verdict.WAIT,
        [K.GATE],
    ),
    "approved and used by this very call": (
        SEND,
        controls(approval=approval(SEND, ApprovalState.CONSUMED, consumed_by="call_1")),
        Verdict.ALLOW,
        [K.GATE, K.GATE],
    ),
    "approved, but held since": (
        SEND,
        controls(approval=approval(SEND), holds=(hold(HoldMode.BLOCK),)),
        Verdict.DENY,
        [K.HOLD, K.GATE, K.GATE],
    ),
    "a rejection stands although nothing asks any more": (
        WRITE,
        controls(approval=approval(WRITE, ApprovalState.REJECTED)),
        Verdict.DENY,
        [K.GATE],
    ),
    # together
    "draft over wait": (SEND, controls(holds=(hold(HoldMode.DRAFT_ONLY),)), Verdict.DRAFT, [K.HOLD, K.GATE]),
    "replay over wait": (
        SEND,
        controls(key=KeyState(standing=KeyStanding.DONE, call="call_0")),
        Verdict.REPLAY,
        [K.IDEMPOTENCY, K.GATE],
    ),
    "deny over replay": (
        WRITE,
        controls(key=KeyState(standing=KeyStanding.DONE, call="call_0"), holds=(hold(HoldMode.BLOCK),)),
        Verdict.DENY,
        [K.HOLD, K.IDEMPOTENCY],
    ),
    "everything at once, in order": (
        request("crm.wipe", run=run(status=RunStatus.FAILED)),
        controls(
            holds=(hold(HoldMode.BLOCK),),
            workflow=workflow(stage=Stage.READ_ONLY),
            key=KeyState(standing=KeyStanding.UNKNOWN, call="call_0"),
            usage=Usage(run_calls=50),
        ),
        Verdict.DENY,
        [K.REGISTRATION, K.HOLD, K.STAGE, K.RISK, K.IDEMPOTENCY, K.BUDGET],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_each_control_gives_its_answer_and_its_reason(name: str) -> None:
    asked, given, verdict, kinds = CASES[name]
    decided = decide(asked, given, NOW)
    assert (decided.verdict, [reason.kind for reason in decided.reasons]) == (verdict, kinds)
    assert decided.would is verdict


@pytest.mark.parametrize("name", CASES)
def test_while_observing_only_holds_and_the_stage_bind(name: str) -> None:
    asked, given, verdict, kinds = CASES[name]
    if given.workflow is None:
        return  # no workflow, so none that could be observing
    observing = controls(
        workflow=workflow(mode=Mode.OBSERVE, stage=given.workflow.stage),
        holds=given.holds,
        key=given.key,
        usage=given.usage,
        approval=given.approval,
        lifted=given.lifted,
    )
    decided = decide(asked, observing, NOW)
    assert decided.would is verdict
    binding = {K.HOLD, K.STAGE} & set(kinds)
    if not binding:
        assert decided.verdict is Verdict.ALLOW


def test_a_block_set_while_observing_stops_the_call() -> None:
    observing = controls(workflow=workflow(mode=Mode.OBSERVE), holds=(hold(HoldMode.BLOCK),))
    assert decide(WRITE, observing, NOW).verdict is Verdict.DENY


def test_a_person_s_no_to_a_hold_s_question_binds_while_observing() -> None:
    observing = controls(
        workflow=workflow(mode=Mode.OBSERVE),
        holds=(hold(HoldMode.APPROVAL_REQUIRED),),
        approval=approval(WRITE, ApprovalState.REJECTED),
    )
    assert decide(WRITE, observing, NOW).verdict is Verdict.DENY


def test_an_unlisted_trigger_is_named_with_those_that_are_listed_and_only_recorded_while_observing() -> None:
    asked = request(run=run(trigger="inbox"))
    decided = decide(asked, controls(workflow=workflow(mode=Mode.OBSERVE)), NOW)
    assert (decided.verdict, decided.would) == (Verdict.ALLOW, Verdict.DENY)
    assert "was started by 'inbox'" in decided.reasons[0].text
    assert decided.reasons[0].text.endswith("it lists schedule, manual")


def test_every_write_is_in_a_sample_of_all() -> None:
    everything = compiled(
        "workflow: renewals\nowners: {business: dana@acme.test, technical: lee@acme.test}\n"
        "triggers: [schedule]\nschedule: {cron: '0 8 * * MON'}\n"
        "stages: {limited: {sample_rate: 1.0}}\ntools: {crm.update: {effect: update}}\n"
    )
    limited = controls(workflow=workflow(stage=Stage.LIMITED), rules=everything)
    assert decide(WRITE, limited, NOW).verdict is Verdict.WAIT


def test_a_waiting_call_says_who_is_to_be_asked_and_why() -> None:
    ask = decide(SEND, controls(), NOW).ask
    assert ask is not None
    assert (ask.approvers, ask.quorum, ask.expires_after) == (
        (Role.BUSINESS, Role.TECHNICAL),
        2,
        timedelta(hours=1),
    )
    assert "args.to != 'dana@acme.test'" in ask.why


def test_a_hold_without_a_gate_asks_the_business_owner() -> None:
    ask = decide(WRITE, controls(holds=(hold(HoldMode.APPROVAL_REQUIRED),)), NOW).ask
    assert ask is not None
    assert ask.approvers == (Role.BUSINESS,)


@pytest.mark.parametrize("state", [ApprovalState.EXPIRED, ApprovalState.REJECTED])
@pytest.mark.parametrize("mode", Mode)
def test_a_no_is_not_asked_for_again_by_way_of_a_draft(mode: Mode, state: ApprovalState) -> None:
    found = controls(
        workflow=workflow(mode=mode),
        approval=approval(WRITE, state),
        holds=(hold(HoldMode.DRAFT_ONLY),),
    )
    assert decide(WRITE, found, NOW).verdict is Verdict.DENY


def test_nobody_is_asked_twice() -> None:
    asked = controls(approval=approval(SEND, ApprovalState.PENDING))
    assert decide(SEND, asked, NOW).ask is None


def test_an_outdated_answer_is_asked_for_again() -> None:
    assert decide(SEND, controls(approval=approval(SEND, version=2)), NOW).ask is not None


def test_the_permit_uses_up_its_approval_once() -> None:
    assert decide(SEND, controls(approval=approval(SEND)), NOW).consumes == "appr_1"
    spent = approval(SEND, ApprovalState.CONSUMED, consumed_by="call_1")
    assert decide(SEND, controls(approval=spent), NOW).consumes is None


def test_an_approval_lasts_until_the_moment_it_expires() -> None:
    given = controls(approval=approval(SEND))
    assert decide(SEND, given, NOW + timedelta(minutes=59)).verdict is Verdict.ALLOW
    assert decide(SEND, given, NOW + timedelta(hours=1)).verdict is Verdict.DENY


def test_a_replay_names_the_call_it_stands_for() -> None:
    done = controls(key=KeyState(standing=KeyStanding.DONE, call="call_0"))
    assert decide(WRITE, done, NOW).replay_of == "call_0"


def test_an_undeclared_tool_is_taken_for_a_write() -> None:
    decided = decide(request("crm.magic"), controls(holds=(hold(HoldMode.READ_ONLY),)), NOW)
    assert [reason.kind for reason in decided.reasons] == [K.REGISTRATION, K.HOLD]
    assert (decided.effect, decided.risk) == (EffectKind.UPDATE, Risk.HIGH)


def test_a_reason_says_which_hold_who_set_it_and_why() -> None:
    [reason] = decide(WRITE, controls(holds=(hold(HoldMode.BLOCK),)), NOW).reasons
    assert reason.source == "hold_1"
    for words in ("hold_1", "workflow renewals", "lee@acme.test", "wrong dates"):
        assert words in reason.text


def test_a_broken_condition_is_shown_with_its_expression() -> None:
    [reason] = decide(request(args={}), controls(), NOW).reasons
    assert "args.amount > 1000" in reason.text
