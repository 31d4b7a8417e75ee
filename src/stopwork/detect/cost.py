"""Notices spend that nears or leaves its limit, or that is out of proportion to what the workflow usually
spends.

Tokens, calls, writes and dollars have a budget, per run and per UTC day. What else is paid by use (retrievals, runs of a browser, enrichments, calls of
an API, and the time of a run) has the limits of the alert itself. What is usual is told by the last runs: see
:mod:`stopwork.detect.spending`. So a workflow whose work varies is not accused of it, and neither are its heavy Mondays; and one run that was far too
expensive does not make the next such run look normal.

The time of a run is taken from its own start and end. While people were waited for nothing was spent, so a run that had to is not timed; a run that
goes on is compared only with a limit that somebody wrote down, because its agent may have died.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import ClassVar

from msgspec.structs import replace

from stopwork.detect.detector import Detector, Finding
from stopwork.detect.rulebook import Rulebook, hold_of
from stopwork.detect.spending import (
    HISTORY_RUNS,
    NOTICEABLE,
    NOTICEABLE_TOKENS,
    NOTICEABLE_USD,
    PAID,
    Spend,
    Usual,
    amount,
    usual_of,
)
from stopwork.detect.table import Table
from stopwork.ledger.events import CallDecided, Entry, RunFinished, RunStarted, StepRecorded
from stopwork.ledger.records import Record
from stopwork.ledger.words import (
    EffectKind,
    IncidentType,
    RunStatus,
    ScopeKind,
    Severity,
    SignalKind,
    StepKind,
    Verdict,
)
from stopwork.manifest.alerts import RUNTIME, UseLimits
from stopwork.manifest.compiled import CompiledManifest, Limit
from stopwork.manifest.model import CostAlert, Manifest
from stopwork.manifest.parts import Unit

MOST_RUNS = 1_024
MOST_DAYS = 256
MOST_WORKFLOWS = 1_024
A_READ = Spend(calls=1.0)
A_WRITE = Spend(calls=1.0, writes=1.0)
NO_UNITS: dict[str, float] = {}
A_RETRIEVAL: dict[str, float] = {Unit.RETRIEVAL: 1.0}


class Going(Record):
    """A run that has waited for nobody so far."""

    workflow: str
    since: datetime


class State(Record):
    """Spend by run, by workflow and day, and the finished runs of each workflow, newest last, with what they say is usual where
    that was asked for.

    ``going`` are the runs that are timed.
    """

    runs: Table[Spend] = Table()
    days: Table[Spend] = Table()
    history: Table[tuple[Spend, ...]] = Table()
    usual: Table[dict[str, Usual | None]] = Table()
    finished: Table[bool] = Table()
    going: Table[Going] = Table()


class Cost(Detector[State]):
    """Fires once per limit and run or day: near the limit, at it, and beyond the usual."""

    name: ClassVar[str] = "cost"
    watches = (RunStarted, StepRecorded, CallDecided, RunFinished)
    state_type = State

    def step(self, state: State, entry: Entry, rules: Rulebook) -> tuple[State, tuple[Finding, ...]]:
        match entry.event:
            case StepRecorded() as event:
                retrieved = event.kind is StepKind.RETRIEVAL
                if not event.tokens and not event.cost_usd and not retrieved:
                    return state, ()
                if (compiled := _watched(rules, event.workflow)) is None:
                    return state, ()
                more = Spend(
                    usd=event.cost_usd or 0.0,
                    tokens=event.tokens,
                    unpriced=1 if event.tokens and event.cost_usd is None else 0,
                    units=A_RETRIEVAL if retrieved else NO_UNITS,
                )
                return _spent(state, event, more, compiled.limits_of_steps, entry.at, compiled.manifest)
            case CallDecided() as event:
                if event.verdict is Verdict.ALLOW:
                    return _called(state, event, entry.at, rules)
                if event.verdict is Verdict.WAIT and event.run in state.going:
                    return replace(state, going=state.going.without(event.run)), ()
                return state, ()
            case RunStarted() as event if event.run not in state.finished and event.run not in state.going:
                going = Going(workflow=event.workflow, since=entry.at)
                return replace(state, going=state.going.put(event.run, going, at_most=MOST_RUNS)), ()
            case RunFinished() as event if event.run not in state.finished:
                state, found = _timed(state, event, entry.at, rules)
                return _keep(state, event), found
            case _:
                return state, ()

    def tick(self, state: State, now: datetime, rules: Rulebook) -> tuple[State, tuple[Finding, ...]]:
        found: list[Finding] = []
        for run, going in state.going.items() if len(state.going) else ():
            compiled = _watched(rules, going.workflow)
            if compiled is None or compiled.manifest.alerts.cost.run.runtime is None:
                continue
            alert, known = compiled.manifest.alerts.cost, state.runs.get(run, Spend())
            so_far = known.plus(Spend(units={RUNTIME: (now - going.since).total_seconds()}))
            if breaches := [*_of_use("run", so_far, (RUNTIME,), alert.run, alert)]:
                state = replace(
                    state, runs=state.runs.put(run, _having_told(known, breaches), at_most=MOST_RUNS)
                )
                found += _findings(breaches, going.workflow, run, now, alert, so_far)
        return state, tuple(found)


def _watched(rules: Rulebook, workflow: str) -> CompiledManifest | None:
    """Answer the manifest of a workflow whose cost is watched."""
    compiled = rules(workflow)
    return compiled if compiled is not None and compiled.manifest.alerts.cost.enabled else None


def _called(
    state: State, event: CallDecided, at: datetime, rules: Rulebook
) -> tuple[State, tuple[Finding, ...]]:
    if (compiled := _watched(rules, event.workflow)) is None:
        return state, ()
    more = A_READ if event.effect is EffectKind.READ else A_WRITE
    tool = compiled.manifest.tools.get(event.tool)
    if tool is not None and tool.unit is not None:
        more = replace(more, units={tool.unit: 1.0})
    elif not compiled.limits_of_calls:
        return state, ()
    return _spent(state, event, more, compiled.limits_of_calls, at, compiled.manifest)


def _timed(
    state: State, event: RunFinished, at: datetime, rules: Rulebook
) -> tuple[State, tuple[Finding, ...]]:
    """Count the time that a run took; nobody knows when one that was abandoned came to its end."""
    going = state.going.get(event.run)
    if going is None:
        return state, ()
    state = replace(state, going=state.going.without(event.run))
    compiled = _watched(rules, event.workflow)
    if compiled is None or event.status is RunStatus.ABANDONED:
        return state, ()
    took = Spend(units={RUNTIME: max(0.0, (at - going.since).total_seconds())})
    return _spent(state, event, took, (), at, compiled.manifest)


def _keep(state: State, event: RunFinished) -> State:
    past = (*state.history.get(event.workflow, ()), state.runs.get(event.run, Spend()))[-HISTORY_RUNS:]
    return replace(
        state,
        history=state.history.put(event.workflow, past, at_most=MOST_WORKFLOWS),
        usual=state.usual.without(event.workflow),
        finished=state.finished.put(event.run, True, at_most=MOST_RUNS),
    )


def _usual(state: State, workflow: str, units: Iterable[str]) -> tuple[State, Mapping[str, Usual | None]]:
    """Answer what is usual of these units, which is worked out when it is asked for the first time after a run has ended."""
    known = state.usual.get(workflow, {})
    if new := [unit for unit in units if unit not in known]:
        past = state.history.get(workflow, ())
        known = known | {unit: usual_of(unit, past) for unit in new}
        state = replace(state, usual=state.usual.put(workflow, known, at_most=MOST_WORKFLOWS))
    return state, known


class Breach(Record):
    """One limit that was reached: ``name`` is said once per run or day."""

    name: str
    period: str
    unit: str
    value: float
    limit: float
    share: float | None
    summary: str
    over: bool


def _spent(
    state: State,
    event: StepRecorded | CallDecided | RunFinished,
    more: Spend,
    limits: Sequence[Limit],
    at: datetime,
    manifest: Manifest,
) -> tuple[State, tuple[Finding, ...]]:
    alert = manifest.alerts.cost
    known = state.runs.get(event.run)
    of_run = more if known is None else known.plus(more)
    breaches: list[Breach] = []
    by_day = False
    for unit, limit, of_a_day in limits:
        if of_a_day is not None:
            by_day = True
        if limit is not None and getattr(of_run, unit) >= alert.of_budget * limit:
            breaches += _of_limit("run", unit, of_run, limit, alert, "budget")
    much: Sequence[str] = ()
    if (more.usd or more.tokens) and (of_run.usd > NOTICEABLE_USD or of_run.tokens > NOTICEABLE_TOKENS):
        much = [unit for unit in PAID if of_run.of(unit) > NOTICEABLE[unit]]
    if more.units:
        breaches += _of_use("run", of_run, more.units, alert.run, alert)
        by_day = by_day or any(alert.day.most(unit) is not None for unit in more.units)
        much = (*much, *(unit for unit in more.units if of_run.units[unit] > NOTICEABLE[unit]))
    if much:
        state, usual = _usual(state, event.workflow, much)
        breaches += _unusual(of_run, much, usual, alert)
    if breaches:
        of_run = _having_told(of_run, breaches)
    runs, days = state.runs.put(event.run, of_run, at_most=MOST_RUNS), state.days
    if by_day:
        day = f"{event.workflow}/{at.toordinal()}"
        days, of_its_day = _of_day(days, day, more, limits, alert)
        breaches += of_its_day
    state = replace(state, runs=runs, days=days)
    return state, _findings(breaches, event.workflow, event.run, at, alert, of_run) if breaches else ()


def _having_told(spend: Spend, breaches: Iterable[Breach]) -> Spend:
    return replace(spend, told=(*spend.told, *(each.name for each in breaches)))


def _of_day(
    days: Table[Spend],
    day: str,
    more: Spend,
    limits: Sequence[Limit],
    alert: CostAlert,
) -> tuple[Table[Spend], list[Breach]]:
    """Count what was spent to its day, where anything of it has a limit."""
    known = days.get(day)
    spend = more if known is None else known.plus(more)
    breaches: list[Breach] = []
    for unit, _, limit in limits:
        if limit is not None and getattr(spend, unit) >= alert.of_budget * limit:
            breaches += _of_limit("day", unit, spend, limit, alert, "budget")
    if more.units:
        breaches += _of_use("day", spend, more.units, alert.day, alert)
    if breaches:
        spend = _having_told(spend, breaches)
    return days.put(day, spend, at_most=MOST_DAYS), breaches


def _of_use(
    period: str, spend: Spend, units: Iterable[str], use: UseLimits, alert: CostAlert
) -> Iterator[Breach]:
    """Yield the limits of the alert that are neared or reached."""
    for unit in units:
        limit = use.most(unit)
        if limit is not None and spend.of(unit) >= alert.of_budget * limit:
            yield from _of_limit(period, unit, spend, limit, alert, "limit")


def _of_limit(
    period: str, unit: str, spend: Spend, limit: float, alert: CostAlert, called: str
) -> Iterator[Breach]:
    """Yield that a limit of the period is reached, or neared, where that has not been told; only the graver of the two."""
    value = spend.of(unit)
    over = value >= limit
    name = f"{period}_{unit}_{'reached' if over else 'near'}"
    if name in spend.told:
        return
    this = "this run" if period == "run" else "today"
    share = "uses up" if over else f"is {value / limit:.0%} of"
    yield Breach(
        name=name,
        period=period,
        unit=unit,
        value=value,
        limit=float(limit),
        share=None if over else alert.of_budget,
        over=over,
        summary=f"{amount(unit, value)} spent {this}, which {share} the {called} of {amount(unit, limit)}",
    )


def _unusual(
    spend: Spend, units: Iterable[str], usual: Mapping[str, Usual | None], alert: CostAlert
) -> Iterator[Breach]:
    """Yield the units of which a run has spent more than its workflow ever does."""
    for unit in units:
        normal, value = usual.get(unit), spend.of(unit)
        if normal is None or value <= max(alert.over_usual * normal.median, normal.bound, NOTICEABLE[unit]):
            continue
        if (name := f"run_{unit}_unusual") not in spend.told:
            yield Breach(
                name=name,
                period="run",
                unit=unit,
                value=value,
                limit=max(alert.over_usual * normal.median, normal.bound, NOTICEABLE[unit]),
                share=None,
                over=unit in PAID,
                summary=f"{amount(unit, value)} spent this run, where {amount(unit, normal.median)} is usual",
            )


def _findings(
    breaches: Iterable[Breach], workflow: str, run: str, at: datetime, alert: CostAlert, of_run: Spend
) -> tuple[Finding, ...]:
    return tuple(_finding(each, workflow, run, at, alert, of_run.unpriced) for each in breaches)


def _finding(
    breach: Breach, workflow: str, run: str, at: datetime, alert: CostAlert, unpriced: int
) -> Finding:
    return Finding(
        type=IncidentType.COST_RUNAWAY,
        kind=SignalKind.COST,
        detector=Cost.name,
        key="spend",
        workflow=workflow,
        summary=breach.summary,
        occurred_at=at,
        facts={
            "rule": breach.name,
            "threshold": breach.limit if breach.share is None else breach.share * breach.limit,
            "value": breach.value,
            "unit": breach.unit,
            "period": breach.period,
            "steps_without_price": unpriced,
        },
        run=run,
        hold=_hold(breach, alert),
        severity=alert.severity or (Severity.SEV2 if breach.over else Severity.SEV3),
    )


def _hold(breach: Breach, alert: CostAlert) -> ScopeKind | None:
    # To near a budget is a warning; a hold at that point would itself be the outage.
    return hold_of(alert) if breach.over else None
