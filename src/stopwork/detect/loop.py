"""Notices a run that goes round in circles: the same call again and again, or a few calls in turn, without anything new coming of it.

Whatever a run does for the first time is progress: to look up one thing for each of a hundred accounts is work. Between two such steps a
call that is answered the same, or is refused each time, learns nothing, and what follows it costs money. One that is answered something
else waits for something, and may: only when it asks very often is that a loop as well. Calls are counted as long as they come in quick
succession; a question asked every few minutes all day long is none.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any, ClassVar

import msgspec
from msgspec.structs import replace

from stopwork.detect import through_runs
from stopwork.detect.detector import Detector, Finding, facts_of
from stopwork.detect.rulebook import Rulebook, at_least, hold_of, manifest_of
from stopwork.detect.table import Table
from stopwork.detect.through_runs import LEAST_ROUNDS, Between, Chain, Echo, cycle_of
from stopwork.kernel.phrases import count_of, lasting
from stopwork.ledger.events import CallDecided, CallFinished, Entry, RunFinished, RunStarted
from stopwork.ledger.records import Record
from stopwork.ledger.words import EffectKind, IncidentType, Severity, SignalKind, Verdict
from stopwork.manifest.alerts import LoopAlert

PATIENCE = 10
"""A call that is answered something new each time may be made so many times as often."""

MOST_RUNS = 1_024
MOST_ACTIONS = 64
MOST_CALLS = 2_048
MOST_TURNS = 24
MOST_LISTED = 20
REFUSED = "refused"
NEVER_ANSWERED = ""


class Tally(Record):
    """One action of a run, a tool with its arguments: how often it was done since ``since``, and how often in a row it was answered the
    same, while the run did nothing new (``news``). ``calls`` are the latest ones.
    """

    tool: str
    since: datetime
    news: int
    times: int = 1
    same: int = 0
    answer: str = NEVER_ANSWERED
    calls: tuple[str, ...] = ()


class Course(Record):
    """What one run does: its actions, and in what order it has come back to them since the last new one; ``news`` counts those."""

    workflow: str
    trigger: str = ""
    actions: Table[Tally] = Table()
    turns: tuple[str, ...] = ()
    news: int = 0
    told: bool = False


class State(Record):
    """``asked`` are calls that repeat another and have not been answered: of which run and action."""

    runs: Table[Course] = Table()
    asked: Table[tuple[str, str]] = Table()
    between: Between = Between()


class Loop(Detector[State]):
    """Fires once for a run that repeats itself, for many runs that make the same write, and for runs that start each other."""

    name: ClassVar[str] = "loop"
    watches = (RunStarted, CallDecided, CallFinished, RunFinished)
    state_type = State

    def step(self, state: State, entry: Entry, rules: Rulebook) -> tuple[State, tuple[Finding, ...]]:
        match entry.event:
            case CallDecided(verdict=Verdict.ALLOW | Verdict.DENY) as event:
                state, found = _asked(state, event, entry.at, rules)
                if event.verdict is Verdict.DENY or event.effect is EffectKind.READ or event.renewed:
                    return state, found
                state, more = _written(state, event, entry.at, rules)
                return state, (*found, *more) if more else found
            case CallFinished() as event:
                if event.effects:
                    between = through_runs.made(state.between, event.effects, entry.at)
                    if between is not state.between:
                        state = replace(state, between=between)
                if event.call in state.asked:
                    return _answered(state, event.call, _digest(event), entry.at, rules)
                return state, ()
            case RunStarted() as event:
                return _started(state, event, entry.at, rules)
            case RunFinished() as event if event.run in state.runs:
                return replace(state, runs=state.runs.without(event.run)), ()
            case _:
                return state, ()


def _digest(event: CallFinished) -> str:
    answer = msgspec.json.encode((event.outcome, event.result, event.error), order="deterministic")
    return hashlib.blake2b(answer, digest_size=8).hexdigest()


def _asked(
    state: State, event: CallDecided, at: datetime, rules: Rulebook
) -> tuple[State, tuple[Finding, ...]]:
    action = f"{event.tool}\x1f{event.args_digest}"
    course = state.runs.get(event.run) or Course(workflow=event.workflow, trigger=event.trigger)
    known = course.actions.get(action)
    if known is None:
        news = course.news + 1
        tally = Tally(tool=event.tool, since=at, news=news, calls=(event.call,))
        actions = course.actions.put(action, tally, at_most=MOST_ACTIONS)
        course = replace(course, news=news, turns=(), actions=actions)
        return replace(state, runs=state.runs.put(event.run, course, at_most=MOST_RUNS)), ()
    manifest = manifest_of(rules, event.workflow)
    if manifest is None or event.call in known.calls or course.told:
        return state, ()
    calls = (*known.calls, event.call)[-MOST_LISTED:]
    if known.news < course.news or at - known.since > manifest.alerts.loop.within:
        tally = Tally(tool=event.tool, since=at, news=course.news, calls=calls)
    else:
        tally = replace(known, times=known.times + 1, calls=calls)
        state = replace(state, asked=state.asked.put(event.call, (event.run, action), at_most=MOST_CALLS))
    course = replace(course, turns=(*course.turns, action)[-MOST_TURNS:])
    state = _put(state, event.run, course, action, tally)
    if event.verdict is Verdict.DENY and event.call in state.asked:
        return _answered(state, event.call, REFUSED, at, rules)
    return state, ()


def _answered(
    state: State, call: str, answer: str, at: datetime, rules: Rulebook
) -> tuple[State, tuple[Finding, ...]]:
    run, action = state.asked[call]
    state = replace(state, asked=state.asked.without(call))
    course = state.runs.get(run)
    known = course.actions.get(action) if course else None
    if course is None or known is None or course.told:
        return state, ()
    tally = replace(known, answer=answer, same=known.same + 1 if known.answer == answer else 1)
    state = _put(state, run, course, action, tally)
    manifest = manifest_of(rules, course.workflow)
    if manifest is None or not manifest.alerts.loop.enabled:
        return state, ()
    alert = manifest.alerts.loop
    cycle = cycle_of(course.turns)
    # The first call of all was not compared with any.
    rounds = tally.same + 1
    stuck = rounds >= LEAST_ROUNDS and rounds * len(cycle) >= alert.repeats
    if not stuck and tally.times < PATIENCE * alert.repeats:
        return state, ()
    state = replace(state, runs=state.runs.put(run, replace(course, told=True), at_most=MOST_RUNS))
    return state, (_finding(run, course, tally, cycle, rounds if stuck else tally.times, stuck, at, alert),)


def _finding(
    run: str,
    course: Course,
    tally: Tally,
    cycle: tuple[str, ...],
    rounds: int,
    stuck: bool,
    at: datetime,
    alert: LoopAlert,
) -> Finding:
    tools = [action.partition("\x1f")[0] for action in cycle]
    what = (
        f"the run goes round in circles: {' → '.join([*tools, tools[0]])}, {count_of(rounds, 'time')}"
        if len(tools) > 1
        else f"{tally.tool} was called {count_of(rounds, 'time')} with the same arguments"
    )
    came = "refused each time" if tally.answer == REFUSED else "answered the same each time"
    lasted_s = (at - tally.since).total_seconds()
    return Finding(
        type=IncidentType.COST_RUNAWAY,
        kind=SignalKind.COST,
        detector=Loop.name,
        key="loop",
        workflow=course.workflow,
        summary=f"{what} in {lasting(lasted_s)}{f', and was {came}' if stuck else ''}",
        occurred_at=at,
        facts={
            "rule": "loop.repeats",
            "threshold": alert.repeats if stuck else PATIENCE * alert.repeats,
            "value": rounds * len(cycle) if stuck else rounds,
            "unit": "calls that repeat each other",
            "tool": tally.tool,
            "cycle": tools,
            "rounds": rounds,
            "answered": "refused" if tally.answer == REFUSED else "the same" if stuck else "something new",
            "within_s": alert.within.total_seconds(),
            "calls": list(tally.calls),
            "trigger": course.trigger,
        },
        run=run,
        call=tally.calls[-1],
        hold=hold_of(alert),
        severity=at_least(alert, Severity.SEV2),
        title=f"{tally.tool} is called over and over",
    )


def _put(state: State, run: str, course: Course, action: str, tally: Tally) -> State:
    actions = course.actions.put(action, tally, at_most=MOST_ACTIONS)
    return replace(state, runs=state.runs.put(run, replace(course, actions=actions), at_most=MOST_RUNS))


# --- loops through runs -----------------------------------------------------------------------------


def _written(
    state: State, event: CallDecided, at: datetime, rules: Rulebook
) -> tuple[State, tuple[Finding, ...]]:
    manifest = manifest_of(rules, event.workflow)
    if manifest is None or not manifest.alerts.loop.enabled or manifest.alerts.duplicate_action.key:
        return state, ()
    alert = manifest.alerts.loop
    between, echo = through_runs.written(state.between, event, at, alert)
    if between is not state.between:
        state = replace(state, between=between)
    return state, () if echo is None else (_echoed(echo, event, at, alert),)


def _echoed(echo: Echo, event: CallDecided, at: datetime, alert: LoopAlert) -> Finding:
    lasted = lasting((at - echo.since).total_seconds())
    return _between_runs(
        event.workflow,
        event.run,
        at,
        alert,
        summary=f"{count_of(echo.runs, 'run')} called {event.tool} with the same arguments in {lasted}",
        title=f"One run after the other calls {event.tool} with the same arguments",
        facts={
            "value": echo.runs,
            "unit": "runs that make the same write",
            **facts_of(event),
            "action": event.args_digest,
            "runs": [run for run, _ in echo.latest[-MOST_LISTED:]],
            "calls": [call for _, call in echo.latest[-MOST_LISTED:]],
        },
        call=event.call,
    )


def _started(
    state: State, event: RunStarted, at: datetime, rules: Rulebook
) -> tuple[State, tuple[Finding, ...]]:
    manifest = manifest_of(rules, event.workflow)
    if manifest is None:
        return state, ()
    alert = manifest.alerts.loop
    between, chain = through_runs.started(state.between, event, at, alert)
    state = replace(state, between=between)
    return state, () if chain is None or not alert.enabled else (_chained(chain, event, at, alert),)


def _chained(chain: Chain, event: RunStarted, at: datetime, alert: LoopAlert) -> Finding:
    turns = cycle_of(chain.turns)
    lasted = lasting((at - chain.since).total_seconds())
    return _between_runs(
        event.workflow,
        event.run,
        at,
        alert,
        summary=f"runs start each other: {' → '.join([*turns, turns[0]])}, {count_of(chain.length, 'run')} in {lasted}",
        title="Runs start each other over and over",
        facts={
            "value": chain.length,
            "unit": "runs that start each other",
            "cycle": list(turns),
            "workflows": sorted(set(turns)),
            "trigger": event.trigger,
            "runs": list(chain.runs[-MOST_LISTED:]),
        },
    )


def _between_runs(
    workflow: str,
    run: str,
    at: datetime,
    alert: LoopAlert,
    *,
    summary: str,
    title: str,
    facts: dict[str, Any],
    call: str | None = None,
) -> Finding:
    return Finding(
        type=IncidentType.COST_RUNAWAY,
        kind=SignalKind.COST,
        detector=Loop.name,
        key="loop through runs",
        workflow=workflow,
        summary=summary,
        occurred_at=at,
        facts={
            "rule": "loop.repeats",
            "threshold": alert.repeats,
            "within_s": alert.within.total_seconds(),
            **facts,
        },
        run=run,
        call=call,
        hold=hold_of(alert),
        severity=at_least(alert, Severity.SEV2),
        title=title,
    )
