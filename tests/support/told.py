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


def incident_with_evidence(incident: str, *, path: str, digest: str) -> tuple[e.Event, ...]:
    """Answer how a workflow is declared, how an incident of it is opened, and how that is sealed into one file."""
    declared = e.ManifestApplied(
        workflow="renewals",
        version=1,
        title="Renewals",
        mode=w.Mode.ENFORCE,
        stage=w.Stage.NORMAL,
        owners={},
        text="",
        digest="",
        reason="first",
    )
    opened = e.IncidentOpened(
        incident=incident,
        type=w.IncidentType.TOOL_MISUSE,
        title="Wrong tool",
        workflow="renewals",
        version=1,
        detected_by=w.DetectedBy.OWNER,
        detected_at=START,
        commander="lee@acme.test",
        business_owner="dana@acme.test",
        technical_owner="lee@acme.test",
        backup_owner="",
        communication_owner="dana@acme.test",
        postmortem_owner="lee@acme.test",
        severity=w.Severity.SEV2,
        factors=(),
        cause="",
    )
    sealed = e.EvidenceSealed(
        incident=incident,
        workflow="renewals",
        bundle="bundle_1",
        digest=digest,
        size_bytes=0,
        entries=0,
        tree_size=0,
        kinds={},
        missing=(),
        path=path,
    )
    return declared, opened, sealed


def recording(*events: e.Event) -> Callable[[Tx], e.Entry]:
    """Answer the work of a transaction that records these events, and answers the last entry."""

    def work(tx: Tx) -> e.Entry:
        return [tx.record(event) for event in events][-1]

    return work
