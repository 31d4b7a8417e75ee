"""Contract of the checker of histories: a history that no order of single steps explains is found out, and what breaks is named."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import chain

import pytest
from msgspec.structs import replace

from stopwork.ledger import events as e
from stopwork.ledger import words as w
from stopwork.ledger.records import Principal, Scope
from tests.support.history import MAX_AHEAD, Asked, Checker, Fault, Paused, Rule, Witness, faults_of
from tests.support.office import AGENT, DANA, KIM, MANIFEST, WORKFLOW
from tests.support.told import START, held, stepped

LINEAR_ENTRIES = 20_000

APPLIED = e.ManifestApplied(
    workflow=WORKFLOW,
    version=1,
    title="Renewals",
    mode=w.Mode.ENFORCE,
    stage=w.Stage.NORMAL,
    owners={},
    text=MANIFEST + "budget: {run_calls: 3, day_writes: 4, run_tokens: 1000}\n",
    digest="sha256:0",
    reason="the first version",
)


def permit(call: str, **changes: object) -> e.CallDecided:
    usual = e.CallDecided(
        call=call,
        run="run-1",
        workflow=WORKFLOW,
        version=1,
        tool="crm.create_task",
        effect=w.EffectKind.CREATE,
        risk=w.Risk.MEDIUM,
        permission="crm.tasks.write",
        trigger="schedule",
        args={},
        args_digest="sha256:0",
        key=f"key-of-{call}",
        business_key=None,
        verdict=w.Verdict.ALLOW,
        would=w.Verdict.ALLOW,
        reasons=(),
        epoch=0,
        not_after=START + timedelta(seconds=60),
    )
    return replace(usual, **changes)


def denied(call: str, **changes: object) -> e.CallDecided:
    return permit(call, **({"verdict": w.Verdict.DENY, "not_after": None} | changes))


def begun(call: str) -> e.CallAttempted:
    return e.CallAttempted(call=call, run="run-1", workflow=WORKFLOW, before=())


def ended(call: str, outcome: w.Outcome = w.Outcome.SUCCEEDED, *, key: str = "") -> e.CallFinished:
    return e.CallFinished(
        call=call,
        run="run-1",
        workflow=WORKFLOW,
        tool="crm.create_task",
        key=key or f"key-of-{call}",
        outcome=outcome,
    )


def lifted(hold: str, epoch: int) -> e.HoldLifted:
    return e.HoldLifted(hold=hold, scope=Scope(kind=w.ScopeKind.EVERYTHING), reason="looked", epoch=epoch)


def waits(hold: str, epoch: int = 1) -> e.HoldSet:
    return replace(held(hold, epoch), mode=w.HoldMode.APPROVAL_REQUIRED)


def staged(stage: w.Stage, epoch: int = 1) -> e.StageChanged:
    return e.StageChanged(
        workflow=WORKFLOW, before=w.Stage.NORMAL, after=stage, reason="caution", epoch=epoch
    )


def asked(
    call: str = "call-1", *, epoch: int = 0, quorum: int = 1, by: Principal = AGENT
) -> e.ApprovalRequested:
    return e.ApprovalRequested(
        approval="appr-1",
        subject=f"call:{call}",
        workflow=WORKFLOW,
        title="",
        digest="sha256:0",
        content={},
        approvers=(DANA.id, KIM.id),
        quorum=quorum,
        expires_at=START + timedelta(hours=4),
        version=1,
        epoch=epoch,
        requested_by=by,
        call=call,
    )


def agreed(person: Principal = DANA, *, approve: bool = True) -> e.ApprovalDecided:
    return e.ApprovalDecided(
        approval="appr-1",
        workflow=WORKFLOW,
        person=person.id,
        approve=approve,
        note="",
        digest="sha256:0",
        state=w.ApprovalState.APPROVED,
    )


def used(by: str = "call-1") -> e.ApprovalConsumed:
    return e.ApprovalConsumed(approval="appr-1", workflow=WORKFLOW, by=by, call=by)


def changed() -> e.ApprovalEdited:
    return e.ApprovalEdited(approval="appr-1", workflow=WORKFLOW, before={}, after={}, digest="sha256:1")


def entries(events: Sequence[e.Event], *, apart_s: float = 0.0) -> Iterator[e.Entry]:
    for seq, event in enumerate(events, start=1):
        at = START + timedelta(seconds=seq * apart_s)
        yield e.Entry(seq=seq, at=at, actor=AGENT, event=event)


TOOL_HELD = held("hold-1", 1, tool="crm.create_task")
MAIL_HELD = replace(
    TOOL_HELD, scope=Scope(kind=w.ScopeKind.SOURCE, name="inbox", item="mail-17", workflow=WORKFLOW)
)
READING = {"tool": "inbox.read", "effect": w.EffectKind.READ, "source": "inbox"}
EXPIRED = e.ApprovalExpired(approval="appr-1", workflow=WORKFLOW)
SPENT = stepped("step-1", "run-1", tokens=1_000)

GOOD: dict[str, list[e.Event]] = {
    "nothing": [],
    "a call": [permit("a"), begun("a"), ended("a")],
    "a pause and what it does not cover": [TOOL_HELD, permit("a", tool="crm.update_account", epoch=1)],
    "a pause and what it denies": [TOOL_HELD, denied("a", epoch=1)],
    "a call that began before its pause": [permit("a"), begun("a"), TOOL_HELD, ended("a")],
    "another item than the one in quarantine": [
        MAIL_HELD,
        permit("a", **READING, args={"id": "mail-18"}, epoch=1),
    ],
    "an item in quarantine under another source": [
        MAIL_HELD,
        permit("a", args={"id": "mail-17"}, source="crm", epoch=1),
    ],
    "a pause that was lifted": [TOOL_HELD, lifted("hold-1", 2), permit("a", epoch=2), begun("a")],
    "a permit asked for again": [permit("a"), permit("a", renewed=True), begun("a"), ended("a")],
    "a key that a failure gave back": [
        permit("a"),
        begun("a"),
        ended("a", w.Outcome.FAILED),
        permit("b", key="key-of-a"),
    ],
    "a key that a refusal gave back": [permit("a"), denied("a"), permit("b", key="key-of-a")],
    "a key that was kept for as long as it is kept": [
        permit("a"),
        ended("a"),
        e.KeysExpired(workflow=WORKFLOW, keys=(f"{WORKFLOW}/key-of-a",)),
        permit("b", key="key-of-a"),
    ],
    "reads with one key": [
        permit(call, key="key", effect=w.EffectKind.READ, tool="crm.read_account") for call in "ab"
    ],
    "an approved call under a hold that asks": [
        waits("hold-1"),
        asked(epoch=1),
        agreed(),
        used(),
        permit("call-1", epoch=1, approval="appr-1"),
    ],
    "an approved write at a stage that asks": [
        staged(w.Stage.APPROVED_WRITES),
        asked(epoch=1),
        agreed(),
        used(),
        permit("call-1", epoch=1, approval="appr-1"),
    ],
    "a read at a stage that only reads": [
        staged(w.Stage.READ_ONLY),
        permit("a", effect=w.EffectKind.READ, epoch=1),
    ],
    "two people where two are asked": [asked(quorum=2), agreed(DANA), agreed(KIM), used()],
    "a budget to the last": [permit("a"), permit("b"), permit("c"), denied("d"), denied("e")],
}

BAD: dict[str, tuple[Rule, list[e.Event]]] = {
    "an item that was read in quarantine": (
        Rule.PAUSE,
        [MAIL_HELD, permit("a", **READING, args={"id": "mail-17"}, epoch=1)],
    ),
    "a permit under a hold": (Rule.PAUSE, [TOOL_HELD, permit("a", epoch=1)]),
    "a permit decided before a pause and committed after it": (Rule.PAUSE, [TOOL_HELD, permit("a", epoch=0)]),
    "a permit that has not seen the newest controls": (
        Rule.NEWEST,
        [TOOL_HELD, permit("a", tool="crm.update_account", epoch=0)],
    ),
    "a permit under a hold that asks, of which nobody was asked": (
        Rule.PAUSE,
        [waits("hold-1"), permit("a", epoch=1)],
    ),
    "a permit that rests on an approval from before its hold": (
        Rule.PAUSE,
        [asked(epoch=0), agreed(), waits("hold-1"), used(), permit("call-1", epoch=1, approval="appr-1")],
    ),
    "a permit that rests on another call's approval": (
        Rule.PAUSE,
        [waits("hold-1"), asked(epoch=1), agreed(), used(), permit("b", epoch=1, approval="appr-1")],
    ),
    "a write at a stage that only reads": (Rule.STAGE, [staged(w.Stage.READ_ONLY), permit("a", epoch=1)]),
    "a write at a stage that asks": (Rule.STAGE, [staged(w.Stage.APPROVED_WRITES), permit("a", epoch=1)]),
    "two holds with one epoch": (Rule.EPOCHS, [held("hold-1", 1), held("hold-2", 1)]),
    "an epoch that was left out": (Rule.EPOCHS, [held("hold-1", 2)]),
    "a beginning under a hold": (Rule.BEGINNING, [permit("a"), TOOL_HELD, begun("a")]),
    "a beginning under a lowered stage": (
        Rule.BEGINNING,
        [permit("a"), staged(w.Stage.DRAFT_ONLY), begun("a")],
    ),
    "a beginning without a permit": (Rule.BEGINNING, [begun("a")]),
    "a beginning after a refusal": (Rule.BEGINNING, [permit("a"), denied("a"), begun("a")]),
    "a beginning after the end": (Rule.BEGINNING, [permit("a"), ended("a", w.Outcome.FAILED), begun("a")]),
    "two beginnings": (Rule.BEGINNING, [permit("a"), begun("a"), begun("a")]),
    "a permit for what runs already": (Rule.BEGINNING, [permit("a"), begun("a"), permit("a", renewed=True)]),
    "a key twice": (Rule.KEY, [permit("a"), permit("b", key="key-of-a")]),
    "a key again after it was done": (Rule.KEY, [permit("a"), ended("a"), permit("b", key="key-of-a")]),
    "a key again while nobody knows": (
        Rule.KEY,
        [permit("a"), begun("a"), ended("a", w.Outcome.UNKNOWN), permit("b", key="key-of-a")],
    ),
    "an approval twice": (Rule.APPROVAL, [asked(), agreed(), used(), used()]),
    "an approval of another call": (Rule.APPROVAL, [asked(), agreed(), used("b")]),
    "an approval that nobody gave": (Rule.APPROVAL, [asked(), used()]),
    "an approval that was refused": (Rule.APPROVAL, [asked(), agreed(approve=False), used()]),
    "an approval by one of two": (Rule.APPROVAL, [asked(quorum=2), agreed(), agreed(), used()]),
    "an approval of what was shown before it was changed": (
        Rule.APPROVAL,
        [asked(), agreed(), changed(), used()],
    ),
    "an approval that had expired": (Rule.APPROVAL, [asked(), agreed(), EXPIRED, used()]),
    "an approval that nobody asked for": (Rule.APPROVAL, [used()]),
    "an approval of one's own request": (Rule.APPROVAL, [asked(by=DANA), agreed(DANA), used()]),
    "a run's budget": (Rule.BUDGET, [permit(call, run="run-1") for call in "abcd"]),
    "a day's budget": (Rule.BUDGET, [permit(call, run=f"run-{call}") for call in "abcde"]),
    "tokens that were used": (Rule.BUDGET, [SPENT, permit("a")]),
}


def rules(faults: list[Fault]) -> set[Rule]:
    return {fault.rule for fault in faults}


@pytest.mark.parametrize("name", GOOD)
def test_a_history_that_can_be_is_let_pass(name: str) -> None:
    assert faults_of(entries([APPLIED, *GOOD[name]])) == []


@pytest.mark.parametrize("name", BAD)
def test_a_history_that_cannot_be_is_found_out(name: str) -> None:
    rule, events = BAD[name]
    faults = faults_of(entries([APPLIED, *events]))
    assert rule in rules(faults), faults
    assert all(str(fault).startswith(f"entry {fault.seq}: ") for fault in faults)


def test_permits_and_approvals_end_in_time() -> None:
    late = entries([APPLIED, permit("a"), begun("a")], apart_s=40)
    assert rules(faults_of(late)) == {Rule.BEGINNING}
    expired = entries([APPLIED, asked(), agreed(), used()], apart_s=3_600)
    assert rules(faults_of(expired)) == {Rule.APPROVAL}


def test_a_number_that_is_missing_or_comes_again_is_found_out() -> None:
    whole = list(entries([APPLIED, permit("a"), begun("a")]))
    assert rules(faults_of([whole[0], whole[2]])) >= {Rule.NUMBERS}
    assert rules(faults_of([*whole, whole[2]])) >= {Rule.NUMBERS}


def test_what_was_told_is_compared_with_what_is_there() -> None:
    def told(asked_s: float, lifted_s: float = 9.0, *, allowed: bool = True) -> set[Rule]:
        """Tell of a call that was asked for then, and of a pause that had returned at 3."""
        witness = Witness(
            asked=[Asked(call="a", asked_s=asked_s, answered_s=asked_s + 0.5, allowed=allowed)],
            paused=[Paused(hold="hold-1", returned_s=3.0, lifted_s=lifted_s)],
        )
        return rules(faults_of(entries([APPLIED, permit("a"), TOOL_HELD]), witness))

    assert told(2.0) == set()
    assert told(4.0) == {Rule.RETURNED}
    assert told(4.0, allowed=False) == set()
    assert told(8.7) == set(), "its end had been asked for before it was answered"
    assert told(9.5) == set()


def test_a_permit_that_was_answered_and_is_not_there_is_missed() -> None:
    witness = Witness(
        asked=[Asked(call=call, asked_s=1.0, answered_s=2.0, allowed=call != "c") for call in "abc"]
    )
    faults = faults_of(entries([APPLIED, permit("a")]), witness)
    assert [(fault.rule, fault.text.partition(" ")[0]) for fault in faults] == [(Rule.KEPT, "b")]


def test_a_pause_that_waited_behind_the_work_is_found_out() -> None:
    def ahead(count: int) -> set[Rule]:
        refusals = [denied(f"call-{n}") for n in range(count)]
        witness = Witness(paused=[Paused(hold="hold-1", returned_s=1.0, asked_seq=1)])
        return rules(faults_of(entries([APPLIED, *refusals, TOOL_HELD]), witness))

    assert ahead(MAX_AHEAD - 2) == set()
    assert ahead(MAX_AHEAD + 1) == {Rule.URGENT}


def test_the_checker_takes_time_by_the_entry() -> None:
    """Ten times the history takes about ten times the time, though holds come and go and keys pile up."""

    def taken_s(count: int) -> float:
        calls = (
            [
                permit(f"c{n}", run=f"run-{n}", epoch=2 * n),
                ended(f"c{n}"),
                held(f"h{n}", 2 * n + 1),
                lifted(f"h{n}", 2 * n + 2),
            ]
            for n in range(count)
        )
        made = list(entries([replace(APPLIED, text=MANIFEST), *chain.from_iterable(calls)]))
        asked_ = [Asked(call=f"c{n}", asked_s=n, answered_s=n + 0.1, allowed=True) for n in range(count)]
        paused = [Paused(hold=f"h{n}", returned_s=n + 0.2, lifted_s=n + 0.4) for n in range(count)]
        began = time.process_time()
        checker = Checker(Witness(asked=asked_, paused=paused))
        for entry in made:
            checker.check(entry)
        assert checker.end() == []
        return time.process_time() - began

    few, many = min(taken_s(LINEAR_ENTRIES // 40) for _ in range(3)), taken_s(LINEAR_ENTRIES // 4)
    assert many < 30 * few
