"""Notices scheduled runs that did not start, did not finish in time, or finished late.

Each occasion has its window of service: it opens when the run is due, and ``start_within`` and ``finish_within`` say when it closes. Hours
or days without service are hours and days that the schedule leaves out.

The schedule is read in its own time zone: a time that daylight saving skips falls due as soon as the clock
has jumped, one that it repeats falls due once (as cron does it). While a hold covers the workflow, or its
schedule, nothing is missed: people decided that it should not run, and the hold counts what it costs.

Another schedule, or the rule switched on again, counts from when the manifest that says so was applied: what would have been due before
was nobody's to run.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import ClassVar, NamedTuple
from zoneinfo import ZoneInfo

from cronsim import CronSim
from msgspec.structs import replace

from stopwork.detect.detector import Detector, Finding
from stopwork.detect.rulebook import Rulebook, hold_of, manifest_of
from stopwork.detect.table import Table
from stopwork.kernel.phrases import count_of, lasting, moment
from stopwork.ledger.events import Entry, HoldLifted, HoldSet, ManifestApplied, RunFinished, RunStarted
from stopwork.ledger.records import Record
from stopwork.ledger.words import HoldMode, IncidentType, ScopeKind, Severity, SignalKind
from stopwork.manifest.model import Alert, Schedule

TRIGGER = "schedule"
EARLY = timedelta(minutes=5)
"""A run that starts this long before its time still counts for it: clocks differ. Where runs follow each other closely it is a quarter of the time between them."""

MOST_WORKFLOWS = 1_024
MOST_RUNS = 200
MOST_HOLDS = 500
MOST_DUE = 200
"""The occasions judged in one look; after a long silence the next looks judge the rest."""


class Started(Record):
    """A scheduled run, and when it ended, however it ended: how is the business of another detector."""

    run: str
    at: datetime
    ended_at: datetime | None = None


class Watched(Record):
    """One workflow: the occasions up to ``started_until`` were judged for a start, up to ``ended_until`` for
    an end.

    ``plan`` is the schedule that they were judged by, and ``applied_at`` when a version came into force that may have another one.
    ``ends`` keeps the ends of runs whose start has not been seen: entries may come out of order.
    """

    started_until: datetime
    ended_until: datetime
    plan: str | None = None
    applied_at: datetime | None = None
    runs: Table[Started] = Table()
    ends: Table[datetime] = Table()


class Held(Record):
    """A hold that keeps scheduled runs from starting: of one workflow, or of all (``None``)."""

    workflow: str | None
    since: datetime
    until: datetime | None = None

    def touches(self, workflow: str, begin: datetime, end: datetime) -> bool:
        overlaps = self.since <= end and (self.until is None or self.until >= begin)
        return overlaps and self.workflow in (None, workflow)


class State(Record):
    """The workflows with their scheduled runs, and the holds that excuse them."""

    watched: Table[Watched] = Table()
    holds: Table[Held] = Table()


class MissedRun(Detector[State]):
    """Fires when an occasion's time to start, or to finish, has passed."""

    name: ClassVar[str] = "missed_run"
    watches = (ManifestApplied, RunStarted, RunFinished, HoldSet, HoldLifted)
    state_type = State

    def step(self, state: State, entry: Entry, rules: Rulebook) -> tuple[State, tuple[Finding, ...]]:
        match entry.event:
            case ManifestApplied() as event:
                state = _watched(state, event.workflow, entry.at)
                applied = replace(state.watched[event.workflow], applied_at=entry.at)
                return _put(state, event.workflow, applied), ()
            case RunStarted() as event:
                return _started(_watched(state, event.workflow, entry.at), event, entry.at), ()
            case RunFinished() as event:
                return _ended(state, event, entry.at), ()
            case HoldSet(mode=HoldMode.BLOCK) as event:
                return _held(state, event, entry.at), ()
            case HoldLifted() as event if event.hold in state.holds:
                held = replace(state.holds[event.hold], until=entry.at)
                return replace(state, holds=state.holds.put(event.hold, held, at_most=MOST_HOLDS)), ()
            case _:
                return state, ()

    def tick(self, state: State, now: datetime, rules: Rulebook) -> tuple[State, tuple[Finding, ...]]:
        findings: list[Finding] = []
        for workflow, watched in state.watched.items():
            manifest = manifest_of(rules, workflow)
            if manifest is None:
                continue
            schedule = manifest.schedule if manifest.alerts.missed_run.enabled else None
            plan = f"{schedule.cron} {schedule.timezone}" if schedule else ""
            after = _under(plan, watched)
            if schedule is not None and after.plan == plan:
                excuses = tuple(state.holds.values())
                judge = _Judge(workflow, after, schedule, manifest.alerts.missed_run, excuses)
                started_until, not_started = judge.starts(now)
                ended_until, not_ended = judge.ends(now)
                findings += [*not_started, *not_ended]
                after = replace(after, started_until=started_until, ended_until=ended_until)
            if after != watched:
                state = _put(state, workflow, after)
        return state, tuple(findings)


def _under(plan: str, watched: Watched) -> Watched:
    """Answer the workflow under the plan in force; as it was, while the entry that brought another plan has not been read yet."""
    if watched.plan == plan and watched.applied_at is None:
        return watched
    if watched.plan in (plan, None):
        return replace(watched, plan=plan, applied_at=None)
    if watched.applied_at is None:
        return watched
    return replace(
        watched,
        started_until=max(watched.started_until, watched.applied_at),
        ended_until=max(watched.ended_until, watched.applied_at),
        plan=plan,
        applied_at=None,
    )


def occasions(schedule: Schedule, *, after: datetime) -> Iterator[datetime]:
    """Answer, in UTC, each moment after ``after`` at which the schedule falls due."""
    for due in CronSim(schedule.cron, after.astimezone(ZoneInfo(schedule.timezone))):
        yield due.astimezone(UTC)


@functools.lru_cache(maxsize=2 * MOST_WORKFLOWS)
def next_due(schedule: Schedule, *, after: datetime) -> datetime | None:
    """Answer when the schedule falls due next; ``None`` when it never does again.

    Every look at the clock asks this of every workflow, and the answer is another one only when an occasion has been judged.
    """
    return next(occasions(schedule, after=after), None)


class _Occasion(NamedTuple):
    """One time at which the schedule falls due; runs from ``opens`` to ``closes`` are its runs."""

    due: datetime
    deadline: datetime
    opens: datetime
    closes: datetime


class _Judge(NamedTuple):
    """Judges one workflow's occasions: how far it came, and at most one finding for all that is missing."""

    workflow: str
    watched: Watched
    schedule: Schedule
    alert: Alert
    holds: tuple[Held, ...]

    def starts(self, now: datetime) -> tuple[datetime, list[Finding]]:
        within = self.schedule.start_within
        judged = list(self._past(self.watched.started_until, within, now))
        missing = [
            each
            for each in judged
            if not any(run.at <= each.deadline for run in self._runs(each)) and not self._excused(each)
        ]
        until = judged[-1].due if judged else self.watched.started_until
        if not missing:
            return until, []
        last = missing[-1]
        also = (
            f" ({count_of(len(missing), 'run')} missed since {moment(missing[0].due)})" if missing[1:] else ""
        )
        summary = (
            f"the run due {moment(last.due)} had not started {lasting(within.total_seconds())} later{also}"
        )
        return until, [self._finding("start_within", summary, within, missing, now)]

    def ends(self, now: datetime) -> tuple[datetime, list[Finding]]:
        within = self.schedule.finish_within
        if within is None:
            return self.watched.ended_until, []
        judged = list(self._past(self.watched.ended_until, within, now))
        until = judged[-1].due if judged else self.watched.ended_until
        # An occasion without any run is a missed start, and has been told as one.
        late = [
            (each, runs)
            for each in judged
            if (runs := self._runs(each))
            and not any(run.ended_at and run.ended_at <= each.deadline for run in runs)
            and not self._excused(each)
        ]
        if not late:
            return until, []
        last, runs = late[-1]
        ended = max((run.ended_at for run in runs if run.ended_at), default=None)
        allowed = lasting(within.total_seconds())
        summary = (
            f"the run due {moment(last.due)} finished {lasting((ended - last.deadline).total_seconds())} late"
            if ended
            else f"the run due {moment(last.due)} had not finished {allowed} later"
        )
        finding = self._finding("finish_within", summary, within, [each for each, _ in late], now)
        return until, [replace(finding, run=runs[-1].run)]

    def _past(self, after: datetime, within: timedelta, now: datetime) -> Iterator[_Occasion]:
        """Answer the occasions after a moment whose deadline has passed."""
        first = next_due(self.schedule, after=after)
        if first is None or first + within > now:
            return
        due_times = occasions(self.schedule, after=after)
        due, opens = next(due_times, None), None
        for _ in range(MOST_DUE):
            if due is None or due + within > now:
                return
            following = next(due_times, None)
            early = min(EARLY, ((following or now + EARLY) - due) / 4)
            closes = (following or now + within) - early
            yield _Occasion(due, due + within, opens or due - early, closes)
            due, opens = following, closes

    def _runs(self, occasion: _Occasion) -> list[Started]:
        runs = self.watched.runs.values()
        its = (run for run in runs if occasion.opens <= run.at < occasion.closes)
        return sorted(its, key=lambda run: run.at)

    def _excused(self, occasion: _Occasion) -> bool:
        return any(hold.touches(self.workflow, occasion.due, occasion.deadline) for hold in self.holds)

    def _finding(
        self, rule: str, summary: str, within: timedelta, missed: list[_Occasion], now: datetime
    ) -> Finding:
        return Finding(
            type=IncidentType.MISSED_WORKFLOW,
            kind=SignalKind.ALERT,
            detector=MissedRun.name,
            key="schedule",
            workflow=self.workflow,
            summary=summary,
            occurred_at=missed[-1].deadline,
            facts={
                "rule": rule,
                "threshold": within.total_seconds(),
                "value": (now - missed[-1].due).total_seconds(),
                "unit": "seconds since the run was due",
                "due": [each.due.isoformat() for each in missed],
                "cron": self.schedule.cron,
                "timezone": self.schedule.timezone,
                "trigger": TRIGGER,
            },
            hold=hold_of(self.alert),
            severity=self.alert.severity or Severity.SEV3,
        )


def _put(state: State, workflow: str, watched: Watched) -> State:
    return replace(state, watched=state.watched.put(workflow, watched, at_most=MOST_WORKFLOWS))


def _watched(state: State, workflow: str, at: datetime) -> State:
    """Answer the state in which a workflow is watched: what fell due before anybody did was not missed."""
    if workflow in state.watched:
        return state
    return _put(state, workflow, Watched(started_until=at, ended_until=at))


def _started(state: State, event: RunStarted, at: datetime) -> State:
    watched = state.watched[event.workflow]
    if event.trigger != TRIGGER or event.run in watched.runs:
        return state
    run = Started(run=event.run, at=at, ended_at=watched.ends.get(event.run))
    runs = watched.runs.put(event.run, run, at_most=MOST_RUNS)
    return _put(state, event.workflow, replace(watched, runs=runs, ends=watched.ends.without(event.run)))


def _ended(state: State, event: RunFinished, at: datetime) -> State:
    watched = state.watched.get(event.workflow)
    if watched is None:
        return state
    run = watched.runs.get(event.run)
    if run is None:
        ends = watched.ends.put(event.run, at, at_most=MOST_RUNS)
        return _put(state, event.workflow, replace(watched, ends=ends))
    runs = watched.runs.put(event.run, replace(run, ended_at=run.ended_at or at), at_most=MOST_RUNS)
    return _put(state, event.workflow, replace(watched, runs=runs))


def _held(state: State, event: HoldSet, at: datetime) -> State:
    scope = event.scope
    match scope.kind:
        case ScopeKind.EVERYTHING:
            workflow = None
        case ScopeKind.WORKFLOW:
            workflow = scope.name
        case ScopeKind.TRIGGER if scope.name == TRIGGER:
            workflow = scope.workflow
        case _:
            return state
    held = Held(workflow=workflow, since=at)
    return replace(state, holds=state.holds.put(event.hold, held, at_most=MOST_HOLDS))
