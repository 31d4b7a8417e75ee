"""Notices runs that fail, and says how: cleanly, partly done, as a retry, or on and on after an error.

*Partly done* is the dangerous one: something was written before the failure, and a plain retry would write it
again. So it is told at once, however many clean failures in a row are let pass.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, TypeVar

from msgspec.structs import replace

from stopwork.detect.detector import Detector, Finding
from stopwork.detect.rulebook import Rulebook, hold_of, manifest_of
from stopwork.detect.table import Table
from stopwork.kernel.phrases import count_of, listed
from stopwork.ledger.events import CallDecided, CallFinished, Entry, RunFinished, RunStarted
from stopwork.ledger.records import Record
from stopwork.ledger.words import (
    EffectKind,
    IncidentType,
    Outcome,
    RunStatus,
    Severity,
    SignalKind,
    Verdict,
)
from stopwork.manifest.model import FailureAlert

V = TypeVar("V")

MOST_RUNS = 1_024
MOST_CALLS = 500


class How(StrEnum):
    """In which way a run failed."""

    FAILED_CLEANLY = "failed_cleanly"
    PARTLY_DONE = "partly_done"
    RETRIED = "retried"
    WENT_ON = "went_on"


_SEVERITY = {
    How.FAILED_CLEANLY: Severity.SEV3,
    How.PARTLY_DONE: Severity.SEV2,
    How.RETRIED: Severity.SEV3,
    How.WENT_ON: Severity.SEV3,
}
_TYPE = {
    How.FAILED_CLEANLY: IncidentType.MISSED_WORKFLOW,
    How.PARTLY_DONE: IncidentType.BAD_WRITEBACK,
    How.RETRIED: IncidentType.DUPLICATE_WORK,
    How.WENT_ON: IncidentType.BAD_WRITEBACK,
}


class Pending(Record):
    """A permitted call without a certain outcome; ``action`` is what would be done again by trying again."""

    action: str
    writes: bool


class Tally(Record):
    """What a run did so far. ``failed`` maps an action to the call that failed, until the same action
    succeeds; ``pending`` are the calls of this run alone, and few at a time.

    ``writes`` changed something; ``unsure`` may have. ``after_error`` counts the writes that followed an
    error.
    """

    attempt: int = 1
    retry_of: str | None = None
    pending: dict[str, Pending] = {}
    writes: tuple[str, ...] = ()
    unsure: tuple[str, ...] = ()
    failed: dict[str, str] = {}
    refused: int = 0
    after_error: int = 0
    finished: RunStatus | None = None


class State(Record):
    """``in_a_row`` counts the failed runs of a workflow since the last good one."""

    runs: Table[Tally] = Table()
    in_a_row: Table[int] = Table()


class FailedRun(Detector[State]):
    """Fires when a run fails, when one succeeds in spite of an error, and at a risky retry."""

    name: ClassVar[str] = "failed_run"
    watches = (RunStarted, CallDecided, CallFinished, RunFinished)
    state_type = State

    def step(self, state: State, entry: Entry, rules: Rulebook) -> tuple[State, tuple[Finding, ...]]:
        match entry.event:
            case CallDecided() as event:
                return _put(state, event.run, _decided(_tally(state, event.run), event)), ()
            case CallFinished() as event if (tally := state.runs.get(event.run)) is not None:
                return _put(state, event.run, _call_finished(tally, event)), ()
            case RunStarted() as event:
                return _started(state, event, entry.at, rules)
            case RunFinished() as event:
                return _finished(state, event, entry.at, rules)
            case _:
                return state, ()


def _tally(state: State, run: str) -> Tally:
    return state.runs.get(run) or Tally()


def _put(state: State, run: str, tally: Tally) -> State:
    return replace(state, runs=state.runs.put(run, tally, at_most=MOST_RUNS))


def _decided(tally: Tally, event: CallDecided) -> Tally:
    if event.verdict is Verdict.DENY:
        return replace(tally, refused=tally.refused + 1)
    if event.verdict is not Verdict.ALLOW or event.call in tally.pending:
        return tally
    action = f"{event.tool}\x1f{event.args_digest}"
    writes = event.effect is not EffectKind.READ
    # To try the failed action again is not to go on after the error.
    went_on = writes and bool(tally.failed) and action not in tally.failed
    pending = _with(tally.pending, event.call, Pending(action=action, writes=writes))
    return replace(tally, pending=pending, after_error=tally.after_error + went_on)


def _call_finished(tally: Tally, event: CallFinished) -> Tally:
    call = tally.pending.get(event.call)
    if call is None:
        return tally
    unsure = tally.unsure and tuple(other for other in tally.unsure if other != event.call)
    if event.outcome is Outcome.SUCCEEDED:
        return replace(
            tally,
            pending=_without(tally.pending, event.call),
            writes=_and(tally.writes, event.call) if call.writes else tally.writes,
            unsure=unsure,
            failed=_without(tally.failed, call.action),
        )
    unknown = event.outcome is Outcome.UNKNOWN
    changed = bool(event.effects)
    return replace(
        tally,
        pending=tally.pending if unknown else _without(tally.pending, event.call),
        writes=_and(tally.writes, event.call) if changed and not unknown else tally.writes,
        unsure=_and(unsure, event.call) if unknown and call.writes else unsure,
        failed=_with(tally.failed, call.action, event.call),
    )


def _with(known: dict[str, V], name: str, value: V) -> dict[str, V]:
    """Answer these with one more; the oldest are forgotten where they are too many."""
    more = {**_without(known, name), name: value}
    return more if len(more) <= MOST_CALLS else dict(list(more.items())[-MOST_CALLS:])


def _without(known: dict[str, V], name: str) -> dict[str, V]:
    if name not in known:
        return known
    left = dict(known)
    del left[name]
    return left


def _and(calls: tuple[str, ...], call: str) -> tuple[str, ...]:
    return calls if call in calls or len(calls) >= MOST_CALLS else (*calls, call)


def _started(
    state: State, event: RunStarted, at: datetime, rules: Rulebook
) -> tuple[State, tuple[Finding, ...]]:
    known = _tally(state, event.run)
    state = _put(state, event.run, replace(known, attempt=event.attempt, retry_of=event.retry_of))
    first = state.runs.get(event.retry_of or "")
    manifest = manifest_of(rules, event.workflow)
    if first is None or manifest is None or not manifest.alerts.failed_run.enabled:
        return state, ()
    touched = len(first.writes) + len(first.unsure)
    if how_of(first) is not How.PARTLY_DONE:
        return state, ()
    summary = (
        f"a retry (attempt {event.attempt}) began although the run before it had already "
        f"made {count_of(touched, 'change')}"
    )
    # It answers what the run before it did, and says itself which run that was.
    tally = replace(first, attempt=event.attempt, retry_of=event.retry_of)
    alert = manifest.alerts.failed_run
    return state, (_finding(How.RETRIED, event.workflow, event.run, tally, summary, at, alert, 1),)


def _finished(
    state: State, event: RunFinished, at: datetime, rules: Rulebook
) -> tuple[State, tuple[Finding, ...]]:
    tally = _tally(state, event.run)
    if tally.finished is not None:
        return state, ()
    tally = _ended(tally, event.status)
    failed = event.status is not RunStatus.SUCCEEDED
    in_a_row = state.in_a_row.get(event.workflow, 0) + 1 if failed else 0
    state = replace(
        _put(state, event.run, tally),
        in_a_row=state.in_a_row.put(event.workflow, in_a_row, at_most=MOST_RUNS),
    )
    manifest = manifest_of(rules, event.workflow)
    if manifest is None or not manifest.alerts.failed_run.enabled:
        return state, ()
    alert = manifest.alerts.failed_run
    how = how_of(tally)
    if how is None or (how is How.FAILED_CLEANLY and in_a_row < alert.after):
        return state, ()
    summary = _failure_words(event, tally, how) if failed else _went_on_words(tally)
    return state, (_finding(how, event.workflow, event.run, tally, summary, at, alert, in_a_row),)


def _ended(tally: Tally, status: RunStatus) -> Tally:
    # A permit whose outcome never came may have happened.
    open_writes = (call for call, pending in tally.pending.items() if pending.writes)
    return replace(tally, finished=status, unsure=tuple(dict.fromkeys((*tally.unsure, *open_writes))))


def how_of(tally: Tally) -> How | None:
    """Answer how a run failed, in the word that matters most; ``None`` where it did not, or has not ended."""
    if tally.finished is None:
        return None
    if tally.finished is RunStatus.SUCCEEDED:
        return How.WENT_ON if tally.failed and tally.after_error else None
    return How.PARTLY_DONE if tally.writes or tally.unsure else How.FAILED_CLEANLY


def answers(entries: Iterable[Entry]) -> dict[str, Any]:
    """Answer from the entries of one run how it failed, whoever noticed that it did; empty where it did not, or has not ended."""
    tally = Tally()
    for entry in entries:
        match entry.event:
            case RunStarted() as event:
                tally = replace(tally, attempt=event.attempt, retry_of=event.retry_of)
            case CallDecided() as event:
                tally = _decided(tally, event)
            case CallFinished() as event:
                tally = _call_finished(tally, event)
            case RunFinished() as event if tally.finished is None:
                tally = _ended(tally, event.status)
            case _:
                pass
    how = how_of(tally)
    return {} if how is None else _facts(how, tally)


def _facts(how: How, tally: Tally) -> dict[str, Any]:
    """Answer in which way a run failed, in which others ``also``, and by which calls that is known."""
    also = [
        way
        for way, so in ((How.RETRIED, tally.retry_of or tally.attempt > 1), (How.WENT_ON, tally.after_error))
        if so and way is not how
    ]
    return {
        "how": how.value,
        "also": [way.value for way in also],
        "attempt": tally.attempt,
        "retry_of": tally.retry_of,
        "writes": list(tally.writes),
        "unsure": list(tally.unsure),
        "errors": list(tally.failed.values()),
        "refused": tally.refused,
        "calls_after_error": tally.after_error,
    }


def _went_on_words(tally: Tally) -> str:
    return (
        f"a run reported success although {count_of(len(tally.failed), 'call')} failed, "
        f"and went on to {count_of(tally.after_error, 'further write')}"
    )


def _failure_words(event: RunFinished, tally: Tally, how: How) -> str:
    verb = "was abandoned" if event.status is RunStatus.ABANDONED else "failed"
    again = f" (attempt {tally.attempt})" if tally.attempt > 1 else ""
    if how is How.FAILED_CLEANLY:
        return f"a run{again} {verb} and changed nothing"
    done = [count_of(len(tally.writes), "change")] if tally.writes else []
    if tally.unsure:
        done.append(count_of(len(tally.unsure), "call of unknown outcome", "calls of unknown outcome"))
    began = f", and began {count_of(tally.after_error, 'write')} after an error" if tally.after_error else ""
    return f"a run{again} {verb} after {listed(done)}{began}"


def _finding(
    how: How,
    workflow: str,
    run: str,
    tally: Tally,
    summary: str,
    at: datetime,
    alert: FailureAlert,
    in_a_row: int,
) -> Finding:
    return Finding(
        type=_TYPE[how],
        kind=SignalKind.FAILED_RUN,
        detector=FailedRun.name,
        key="run",
        workflow=workflow,
        summary=summary,
        occurred_at=at,
        facts={
            "rule": FailedRun.name,
            "threshold": alert.after if how is How.FAILED_CLEANLY else 1,
            "value": in_a_row,
            **_facts(how, tally),
        },
        run=run,
        hold=hold_of(alert),
        severity=min(filter(None, (alert.severity, _SEVERITY[how]))),
    )
