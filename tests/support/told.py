"""Events in a few words, for tests of whatever stores them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from stopwork.ledger import events as e
from stopwork.ledger import records as r
from stopwork.ledger import words as w
from stopwork.storage.transaction import Tx

START = datetime(2026, 3, 2, 13, 0, tzinfo=UTC)


def run_started(run: str, *, workflow: str = "renewals", trigger: str = "manual") -> e.RunStarted:
    return e.RunStarted(
        run=run,
        workflow=workflow,
        version=1,
        trigger=trigger,
        trigger_id=run,
        attempt=1,
        mode=w.Mode.ENFORCE,
    )


def run_finished(run: str, status: w.RunStatus = w.RunStatus.SUCCEEDED) -> e.RunFinished:
    return e.RunFinished(run=run, workflow="renewals", status=status)


def stepped(step: str, run: str, *, tokens: int = 0, said: str = "") -> e.StepRecorded:
    return e.StepRecorded(
        step=step,
        run=run,
        workflow="renewals",
        kind=w.StepKind.MESSAGE,
        name="said",
        facts={"text": said} if said else {},
        tokens=tokens,
    )


def held(hold: str, epoch: int = 1, *, tool: str = "") -> e.HoldSet:
    kind = w.ScopeKind.TOOL if tool else w.ScopeKind.EVERYTHING
    return e.HoldSet(
        hold=hold,
        scope=r.Scope(kind=kind, name=tool),
        mode=w.HoldMode.BLOCK,
        reason="wrong",
        epoch=epoch,
    )


def recording(*events: e.Event) -> Callable[[Tx], e.Entry]:
    """Answer the work of a transaction that records these events, and answers the last entry."""

    def work(tx: Tx) -> e.Entry:
        return [tx.record(event) for event in events][-1]

    return work
