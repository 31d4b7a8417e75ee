"""Notices spend that nears or leaves its budget, or that is out of proportion to what the workflow usually
spends.

Tokens, calls, writes and dollars are watched, per run and per UTC day. What is usual is told by the last runs, in a way that wild ones
among them do not change: by their median, by how far runs commonly lie from it, and by what has come more than now and then. So a
workflow whose work varies is not accused of it, and neither are its heavy Mondays; and one run that was far too expensive does not make
the next such run look normal.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from statistics import median
from typing import ClassVar

from msgspec.structs import replace

from stopwork.detect.detector import Detector, Finding
from stopwork.detect.rulebook import Rulebook, hold_of, manifest_of
from stopwork.detect.table import Table
from stopwork.kernel.phrases import money
from stopwork.ledger.events import CallDecided, Entry, RunFinished, StepRecorded
from stopwork.ledger.records import Record
from stopwork.ledger.words import EffectKind, IncidentType, ScopeKind, Severity, SignalKind, Verdict
from stopwork.manifest.model import Budget, CostAlert

MOST_RUNS = 1_024
MOST_DAYS = 256
MOST_WORKFLOWS = 1_024
HISTORY_RUNS = 30
"""Four weeks of a daily workflow: what is heavy on one weekday alone has then come four times."""
LEAST_HISTORY_RUNS = 5
HABIT_RUNS = 3
"""What so many of the last runs spent is a habit, however far it lies from the rest."""
SPREADS = 6.0
"""So many times further from the median than runs commonly lie is out of proportion."""
NORMAL_SPREAD = 1.4826
"""The standard deviation of what is normally distributed, in median distances from its median."""
BY_STEP = (("usd", "run_usd", "day_usd"), ("tokens", "run_tokens", "day_tokens"))
BY_CALL = (("calls", "run_calls", "day_calls"), ("writes", "run_writes", "day_writes"))
"""What a step and a call spend, with the limits of a run and of a day."""
# Below these amounts "four times the usual" is noise; calls and writes follow the amount of work and are left
# to budgets.
NOTICEABLE_USD, NOTICEABLE_TOKENS = 0.10, 10_000.0
NOTICEABLE = {"usd": NOTICEABLE_USD, "tokens": NOTICEABLE_TOKENS}


class Spend(Record):
    """What was spent so far; ``told`` names the limits about which a finding was made already."""

    usd: float = 0.0
    tokens: float = 0.0
    calls: float = 0.0
    writes: float = 0.0
    unpriced: int = 0
    told: tuple[str, ...] = ()

    def plus(self, more: Spend) -> Spend:
        return Spend(
            usd=self.usd + more.usd,
            tokens=self.tokens + more.tokens,
            calls=self.calls + more.calls,
            writes=self.writes + more.writes,
            unpriced=self.unpriced + more.unpriced,
            told=self.told,
        )

    def having_told(self, breaches: Sequence[Breach]) -> Spend:
        return replace(self, told=(*self.told, *(each.name for each in breaches)))


class Usual(Record):
    """What a run of a workflow usually spends of one unit, and beyond how much that is neither its spread nor its habit."""

    median: float
    bound: float


NOTHING = Spend()
A_READ = Spend(calls=1.0)
A_WRITE = Spend(calls=1.0, writes=1.0)


class State(Record):
    """Spend by run, by workflow and day, and the finished runs of each workflow, newest last, with what they say is usual."""

    runs: Table[Spend] = Table()
    days: Table[Spend] = Table()
    history: Table[tuple[Spend, ...]] = Table()
    usual: Table[dict[str, Usual]] = Table()
    finished: Table[bool] = Table()


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


class Cost(Detector[State]):
    """Fires once per limit and run or day: near the budget, at it, and beyond the usual."""

    name: ClassVar[str] = "cost"
    watches = (StepRecorded, CallDecided, RunFinished)
    state_type = State

    def step(self, state: State, entry: Entry, rules: Rulebook) -> tuple[State, tuple[Finding, ...]]:
        match entry.event:
            case StepRecorded() as event:
                if not event.tokens and not event.cost_usd:
                    return state, ()
                unpriced = 1 if event.tokens and event.cost_usd is None else 0
                more = Spend(usd=event.cost_usd or 0.0, tokens=event.tokens, unpriced=unpriced)
                return _spent(state, event, more, BY_STEP, entry.at, rules)
            case CallDecided() as event:
                if event.verdict is not Verdict.ALLOW:
                    return state, ()
                more = A_READ if event.effect is EffectKind.READ else A_WRITE
                return _spent(state, event, more, BY_CALL, entry.at, rules)
            case RunFinished() as event if event.run not in state.finished:
                return _keep(state, event), ()
            case _:
                return state, ()


def _keep(state: State, event: RunFinished) -> State:
    past = (*state.history.get(event.workflow, ()), state.runs.get(event.run, Spend()))[-HISTORY_RUNS:]
    return replace(
        state,
        history=state.history.put(event.workflow, past, at_most=MOST_WORKFLOWS),
        usual=state.usual.put(event.workflow, _usual(past), at_most=MOST_WORKFLOWS),
        finished=state.finished.put(event.run, True, at_most=MOST_RUNS),
    )


def _usual(past: Sequence[Spend]) -> dict[str, Usual]:
    if len(past) < LEAST_HISTORY_RUNS:
        return {}
    usual = {}
    for unit in NOTICEABLE:
        spent = sorted([getattr(each, unit) for each in past])
        middle = median(spent)
        spread = NORMAL_SPREAD * median([abs(value - middle) for value in spent])
        usual[unit] = Usual(median=middle, bound=max(middle + SPREADS * spread, spent[-HABIT_RUNS]))
    return usual


def _spent(
    state: State,
    event: StepRecorded | CallDecided,
    more: Spend,
    units: Sequence[tuple[str, str, str]],
    at: datetime,
    rules: Rulebook,
) -> tuple[State, tuple[Finding, ...]]:
    manifest = manifest_of(rules, event.workflow)
    if manifest is None or not manifest.alerts.cost.enabled:
        return state, ()
    alert, budget = manifest.alerts.cost, manifest.budget
    near = alert.of_budget
    known = state.runs.get(event.run)
    of_run = more if known is None else known.plus(more)
    breaches: tuple[Breach, ...] = ()
    by_day = False
    for unit, for_run, for_day in units:
        if getattr(budget, for_day) is not None:
            by_day = True
        limit = getattr(budget, for_run)
        if limit is not None and getattr(of_run, unit) >= near * limit:
            breaches += _of_budget("run", unit, of_run, limit, alert)
    if units is BY_STEP and (of_run.usd > NOTICEABLE_USD or of_run.tokens > NOTICEABLE_TOKENS):
        for unit, normal in state.usual.get(event.workflow, {}).items():
            breaches += _unusual(of_run, unit, normal, alert)
    if breaches:
        of_run = of_run.having_told(breaches)
    runs, days = state.runs.put(event.run, of_run, at_most=MOST_RUNS), state.days
    if by_day:
        days, of_its_day = _of_day(days, f"{event.workflow}/{at.toordinal()}", more, units, budget, alert)
        breaches += of_its_day
    state = replace(state, runs=runs, days=days)
    if not breaches:
        return state, ()
    return state, tuple(
        _finding(each, event.workflow, event.run, at, alert, of_run.unpriced) for each in breaches
    )


def _of_day(
    days: Table[Spend],
    day: str,
    more: Spend,
    units: Sequence[tuple[str, str, str]],
    budget: Budget,
    alert: CostAlert,
) -> tuple[Table[Spend], tuple[Breach, ...]]:
    """Count what was spent to its day, where anything of it has a limit."""
    known = days.get(day)
    spend = more if known is None else known.plus(more)
    breaches: tuple[Breach, ...] = ()
    for unit, _, for_day in units:
        limit = getattr(budget, for_day)
        if limit is not None and getattr(spend, unit) >= alert.of_budget * limit:
            breaches += _of_budget("day", unit, spend, limit, alert)
    if breaches:
        spend = spend.having_told(breaches)
    return days.put(day, spend, at_most=MOST_DAYS), breaches


def _of_budget(period: str, unit: str, spend: Spend, limit: float, alert: CostAlert) -> tuple[Breach, ...]:
    """Answer that a limit of the period is reached, or neared, where that has not been told; only the graver of the two."""
    value = getattr(spend, unit)
    over = value >= limit
    name = f"{period}_{unit}_{'reached' if over else 'near'}"
    if name in spend.told:
        return ()
    this = "this run" if period == "run" else "today"
    share = "uses up" if over else f"is {value / limit:.0%} of"
    breach = Breach(
        name=name,
        period=period,
        unit=unit,
        value=value,
        limit=float(limit),
        share=None if over else alert.of_budget,
        over=over,
        summary=f"{_amount(unit, value)} spent {this}, which {share} the budget of {_amount(unit, limit)}",
    )
    return (breach,)


def _unusual(spend: Spend, unit: str, usual: Usual, alert: CostAlert) -> tuple[Breach, ...]:
    value = getattr(spend, unit)
    limit = max(alert.over_usual * usual.median, usual.bound, NOTICEABLE[unit])
    if value <= limit or (name := f"run_{unit}_unusual") in spend.told:
        return ()
    breach = Breach(
        name=name,
        period="run",
        unit=unit,
        value=value,
        limit=limit,
        share=None,
        over=True,
        summary=f"{_amount(unit, value)} spent this run, where {_amount(unit, usual.median)} is usual",
    )
    return (breach,)


def _amount(unit: str, value: float) -> str:
    return money(value) if unit == "usd" else f"{value:,.0f} {unit if value != 1 else unit[:-1]}"


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
