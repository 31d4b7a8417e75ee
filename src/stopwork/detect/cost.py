"""Notices spend that nears or leaves its budget, or that is out of proportion to what the workflow usually
spends.

Tokens, calls, writes and dollars are watched, per run and per UTC day. What is usual is the median of the
last runs: one run that was far too expensive does not make the next such run look normal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
HISTORY_RUNS = 20
LEAST_HISTORY_RUNS = 5
UNITS = ("usd", "tokens", "calls", "writes")
UNLIMITED = Budget()
# Below these amounts "four times the usual" is noise; calls and writes follow the amount of work and are left
# to budgets.
NOTICEABLE = {"usd": 0.10, "tokens": 10_000.0}


class Spend(Record):
    """What was spent so far; ``told`` names the limits about which a finding was made already."""

    usd: float = 0.0
    tokens: float = 0.0
    calls: float = 0.0
    writes: float = 0.0
    unpriced: int = 0
    told: tuple[str, ...] = ()

    def plus(self, more: Spend) -> Spend:
        return replace(
            self,
            usd=self.usd + more.usd,
            tokens=self.tokens + more.tokens,
            calls=self.calls + more.calls,
            writes=self.writes + more.writes,
            unpriced=self.unpriced + more.unpriced,
        )

    def having_told(self, breaches: Sequence[Breach]) -> Spend:
        return replace(self, told=(*self.told, *(each.name for each in breaches))) if breaches else self

    def of(self, unit: str) -> float:
        return float(getattr(self, unit))


class State(Record):
    """Spend by run, by workflow and day, and the finished runs of each workflow, newest last."""

    runs: Table[Spend] = Table()
    days: Table[Spend] = Table()
    history: Table[tuple[Spend, ...]] = Table()
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
                unpriced = 1 if event.tokens and event.cost_usd is None else 0
                more = Spend(usd=event.cost_usd or 0.0, tokens=event.tokens, unpriced=unpriced)
                return _spent(state, event.workflow, event.run, more, entry.at, rules)
            case CallDecided(verdict=Verdict.ALLOW) as event:
                more = Spend(calls=1, writes=event.effect is not EffectKind.READ)
                return _spent(state, event.workflow, event.run, more, entry.at, rules)
            case RunFinished() as event if event.run not in state.finished:
                return _keep(state, event), ()
            case _:
                return state, ()


def _keep(state: State, event: RunFinished) -> State:
    past = (*state.history.get(event.workflow, ()), state.runs.get(event.run, Spend()))[-HISTORY_RUNS:]
    return replace(
        state,
        history=state.history.put(event.workflow, past, at_most=MOST_WORKFLOWS),
        finished=state.finished.put(event.run, True, at_most=MOST_RUNS),
    )


def _spent(
    state: State, workflow: str, run: str, more: Spend, at: datetime, rules: Rulebook
) -> tuple[State, tuple[Finding, ...]]:
    day = f"{workflow}/{at.date()}"
    run_spend = state.runs.get(run, Spend()).plus(more)
    day_spend = state.days.get(day, Spend()).plus(more)
    breaches: list[Breach] = []
    manifest = manifest_of(rules, workflow)
    if manifest is not None and manifest.alerts.cost.enabled:
        alert, budget = manifest.alerts.cost, manifest.budget
        in_run = [*_budget_breaches("run", run_spend, budget, alert)]
        in_run += _unusual(run_spend, state.history.get(workflow, ()), alert)
        in_run = [breach for breach in in_run if breach.name not in run_spend.told]
        in_day = [
            b for b in _budget_breaches("day", day_spend, budget, alert) if b.name not in day_spend.told
        ]
        run_spend = run_spend.having_told(in_run)
        day_spend = day_spend.having_told(in_day)
        breaches = in_run + in_day
        findings = tuple(_finding(b, workflow, run, at, alert, run_spend.unpriced) for b in breaches)
    else:
        findings = ()
    state = replace(
        state,
        runs=state.runs.put(run, run_spend, at_most=MOST_RUNS),
        days=state.days.put(day, day_spend, at_most=MOST_DAYS),
    )
    return state, findings


def _budget_breaches(period: str, spend: Spend, budget: Budget, alert: CostAlert) -> Iterator[Breach]:
    """Answer each limit of the period that is reached, or neared; only the graver of the two."""
    if budget == UNLIMITED:
        return
    for unit in UNITS:
        limit = getattr(budget, f"{period}_{unit}")
        value = spend.of(unit)
        if limit is None or value < alert.of_budget * limit:
            continue
        over = value >= limit
        this = "this run" if period == "run" else "today"
        yield Breach(
            name=f"{period}_{unit}_{'reached' if over else 'near'}",
            period=period,
            unit=unit,
            value=value,
            limit=float(limit),
            share=None if over else alert.of_budget,
            over=over,
            summary=(
                f"{_amount(unit, value)} spent {this}, which "
                f"{'uses up' if over else f'is {value / limit:.0%} of'} the budget of {_amount(unit, limit)}"
            ),
        )


def _unusual(spend: Spend, history: tuple[Spend, ...], alert: CostAlert) -> Iterator[Breach]:
    if len(history) < LEAST_HISTORY_RUNS:
        return
    for unit, noticeable in NOTICEABLE.items():
        usual = median(past.of(unit) for past in history)
        limit = max(alert.over_usual * usual, noticeable)
        value = spend.of(unit)
        if value > limit:
            yield Breach(
                name=f"run_{unit}_unusual",
                period="run",
                unit=unit,
                value=value,
                limit=limit,
                share=None,
                over=True,
                summary=f"{_amount(unit, value)} spent this run, where {_amount(unit, usual)} is usual",
            )


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
