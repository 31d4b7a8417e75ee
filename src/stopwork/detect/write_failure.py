"""Notices writes that did not come to a good end: refused by their target, lost on the way, or not in force after all.

A write that returned and is not what its ``verify`` says is found at once. One of unknown outcome is given a moment,
or until its run ends, because its guard may come back and settle it. One that failed, and so changed nothing, is
judged when its run ends: tried again with success it was a hiccup and nothing is said, a few that stay undone are
logged, and many of one tool are alarming, because its target does not take writes any more.

A call that people have settled is not judged: they have looked.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar

from msgspec.structs import replace

from stopwork.detect.detector import Detector, Finding, facts_of, once
from stopwork.detect.rulebook import Rulebook, at_least, hold_of, insists, manifest_of
from stopwork.detect.table import Table
from stopwork.kernel.phrases import count_of
from stopwork.ledger.events import CallDecided, CallFinished, Entry, RunFinished
from stopwork.ledger.records import Record
from stopwork.ledger.words import EffectKind, IncidentType, Outcome, Severity, SignalKind, Verdict
from stopwork.manifest.compiled import CompiledManifest
from stopwork.manifest.expressions import ExpressionError
from stopwork.manifest.model import Alert

SETTLES_WITHIN = timedelta(minutes=1)
"""A guard that lost its answer, and is alive, has come back by then."""

MADE_GOOD_WITHIN = timedelta(hours=1)
"""A run that goes on for longer is not waited for: what failed in it so far is judged."""

MANY = 3
"""So many different writes of one tool that failed in one run are alarming although none of them changed anything."""

MOST_CALLS = 2_048
MOST_LISTED = 50
MOST_ERROR_CHARS = 300


class How(StrEnum):
    """In which way a write failed."""

    FAILED = "failed"
    UNKNOWN = "unknown"
    NOT_VERIFIED = "not_verified"


class Write(Record):
    """A permitted write that has not come to a good end; ``failure`` is how it ended at ``at``.

    ``action`` is what would be done again by trying again. ``args`` are kept only where ``verify`` asks for them.
    """

    call: str
    workflow: str
    run: str
    tool: str
    effect: EffectKind
    permission: str | None
    trigger: str
    action: str
    at: datetime
    args: dict[str, Any] = {}
    failure: How | None = None
    error: str = ""


class State(Record):
    """``failed`` are the writes that changed nothing and may be made good, ``writes`` all others that have not come to a good end.

    ``told`` says when each way of failing was reported last, by tool.
    """

    writes: Table[Write] = Table()
    failed: Table[Write] = Table()
    told: Table[datetime] = Table()

    def without(self, calls: Iterable[str]) -> State:
        """Answer what is left when these calls need no more watching."""
        calls = tuple(calls)
        return replace(self, writes=self.writes.without_any(calls), failed=self.failed.without_any(calls))


class WriteFailure(Detector[State]):
    """Fires when a write did not take hold, may or may not have, or failed and was not made good."""

    name: ClassVar[str] = "write_failure"
    watches = (CallDecided, CallFinished, RunFinished)
    state_type = State

    def step(self, state: State, entry: Entry, rules: Rulebook) -> tuple[State, tuple[Finding, ...]]:
        match entry.event:
            case CallDecided() as event:
                if event.verdict is not Verdict.ALLOW or event.effect is EffectKind.READ:
                    return state, ()
                return _permitted(state, event, entry.at, rules), ()
            case CallFinished() as event:
                write = state.writes.get(event.call) or state.failed.get(event.call)
                return (state, ()) if write is None else _ended(state, write, event, entry.at, rules)
            case RunFinished() as event:
                every = (*state.failed.values(), *state.writes.values())
                ended = [each for each in every if each.run == event.run and each.failure]
                return _tell(state, sorted(ended, key=lambda each: each.at), rules)
            case _:
                return state, ()

    def tick(self, state: State, now: datetime, rules: Rulebook) -> tuple[State, tuple[Finding, ...]]:
        writes, failed = state.writes.values(), state.failed.values()
        unsettled = [
            each for each in writes if each.failure is How.UNKNOWN and now - each.at >= SETTLES_WITHIN
        ]
        long_ago = {each.run for each in failed if now - each.at >= MADE_GOOD_WITHIN}
        return _tell(state, [*unsettled, *(each for each in failed if each.run in long_ago)], rules)


def _permitted(state: State, event: CallDecided, at: datetime, rules: Rulebook) -> State:
    compiled = rules(event.workflow)
    tool = compiled.manifest.tools.get(event.tool) if compiled else None
    write = Write(
        call=event.call,
        workflow=event.workflow,
        run=event.run,
        tool=event.tool,
        effect=event.effect,
        permission=event.permission,
        trigger=event.trigger,
        action=event.args_digest,
        at=at,
        args=event.args if tool and tool.verify else {},
    )
    return replace(state, writes=state.writes.put(event.call, write, at_most=MOST_CALLS))


def _ended(
    state: State, known: Write, event: CallFinished, at: datetime, rules: Rulebook
) -> tuple[State, tuple[Finding, ...]]:
    state = replace(state, writes=state.writes.without(event.call), failed=state.failed.without(event.call))
    if event.reconciled:
        return state, ()
    error = (event.error or "")[:MOST_ERROR_CHARS]
    if event.outcome is Outcome.UNKNOWN:
        write = replace(known, at=at, error=error, failure=How.UNKNOWN)
        return replace(state, writes=state.writes.put(event.call, write, at_most=MOST_CALLS)), ()
    if event.outcome is not Outcome.SUCCEEDED:
        write = replace(known, at=at, error=error, failure=How.FAILED)
        return replace(state, failed=state.failed.put(event.call, write, at_most=MOST_CALLS)), ()
    if len(state.failed):
        state = state.without([call for call, each in state.failed.items() if _same_action(each, known)])
    doubt = _doubt(rules(event.workflow), known, event.result)
    if not doubt:
        return state, ()
    return _tell(state, [replace(known, at=at, failure=How.NOT_VERIFIED, error=doubt)], rules)


def _same_action(each: Write, other: Write) -> bool:
    return (each.run, each.tool, each.action) == (other.run, other.tool, other.action)


def _doubt(compiled: CompiledManifest | None, write: Write, result: Any) -> str:
    """Answer why a write that returned is not known to have taken hold; nothing when it is, or nothing is declared."""
    tool = compiled.manifest.tools.get(write.tool) if compiled else None
    if compiled is None or tool is None or tool.verify is None:
        return ""
    try:
        ref = compiled.object_ref(write.tool, write.args, result)
        took_hold = compiled.took_hold(write.tool, write.args, result, ref)
    except ExpressionError as error:
        return f"{tool.verify} cannot be evaluated: {error.message}"
    return "" if took_hold else f"{tool.verify} is not true"


def _tell(state: State, failed: Iterable[Write], rules: Rulebook) -> tuple[State, tuple[Finding, ...]]:
    """Judge these writes, and no more after that: one finding for each tool and way of failing."""
    groups: dict[tuple[str, str, How | None], list[Write]] = {}
    for each in failed:
        groups.setdefault((each.workflow, each.tool, each.failure), []).append(each)
    if not groups:
        return state, ()
    judged = {each.call for group in groups.values() for each in group}
    told = state.told
    findings: list[Finding] = []
    for (workflow, _, failure), group in groups.items():
        manifest = manifest_of(rules, workflow)
        if failure is None or manifest is None or not manifest.alerts.write_failure.enabled:
            continue
        told, new = once(told, [_finding(failure, group, manifest.alerts.write_failure)], failure)
        findings += new
    return replace(state.without(judged), told=told), tuple(findings)


def _finding(failure: How, group: list[Write], alert: Alert) -> Finding:
    *_, last = sorted(group, key=lambda each: each.at)
    # The same write tried three times is one write that failed.
    value = len({(each.run, each.action) for each in group})
    grave = failure is not How.FAILED or value >= MANY
    severity = Severity.SEV2 if grave else Severity.SEV3
    return Finding(
        type=IncidentType.BAD_WRITEBACK,
        kind=SignalKind.ALERT,
        detector=WriteFailure.name,
        key=last.tool,
        workflow=last.workflow,
        summary=_words(failure, value, last),
        occurred_at=last.at,
        facts={
            "rule": WriteFailure.name,
            "how": failure.value,
            "threshold": MANY if failure is How.FAILED else 1,
            "value": value,
            "unit": "writes",
            **facts_of(last),
            "calls": [each.call for each in group[-MOST_LISTED:]],
            "error": last.error,
            "runs": list(dict.fromkeys(each.run for each in group)),
        },
        run=last.run,
        call=last.call,
        hold=hold_of(alert),
        severity=at_least(alert, severity),
        alarming=grave or insists(alert),
    )


def _words(failure: How, value: int, last: Write) -> str:
    why = f": {last.error}" if last.error else ""
    match failure:
        case How.FAILED:
            return f"{count_of(value, 'write')} by {last.tool} failed and stayed undone{why}"
        case How.UNKNOWN:
            return f"{count_of(value, 'write')} by {last.tool} may or may not have happened{why}"
        case How.NOT_VERIFIED:
            return f"{last.tool} returned, but the write did not take hold{why}"
