"""Backfilling: what has to be in order before a missed run is made up for, and again whenever its run wants to change something."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Final
from zoneinfo import ZoneInfo

from stopwork.control.backfilling import BACKFILL
from stopwork.control.holds import keeps_from_starting
from stopwork.control.stages import named
from stopwork.detect.missed_run import TRIGGER, occasions
from stopwork.kernel.errors import Invalid
from stopwork.kernel.phrases import count_of, lasting, listed, moment
from stopwork.ledger.records import (
    Backfill,
    BackfillCheck,
    BackfillFinding,
    Call,
    Hold,
    Record,
    Run,
    Workflow,
)
from stopwork.ledger.words import (
    BackfillState,
    CheckState,
    EffectKind,
    Outcome,
    RunStatus,
    Stage,
)
from stopwork.manifest.model import Manifest, Schedule, Source

OPEN: Final = (BackfillState.ORDERED, BackfillState.TAKEN)


class Occasion(Record):
    """What was missed. ``due`` and ``following`` are its time and the next one's, where a schedule makes them."""

    name: str
    due: datetime | None = None
    following: datetime | None = None


class SourceSaid(Record):
    """How old a source was said to be, when and where; ``record`` is the step, or who ordered the backfill."""

    as_of: datetime
    at: datetime
    record: str


class Attempts(Record):
    """What is known of the occasion: its runs, their calls that may have changed something, and other orders for it.

    ``trigger_id`` is what the keys of the run that makes up for it are made of.
    """

    trigger_id: str = ""
    runs: tuple[Run, ...] = ()
    calls: tuple[Call, ...] = ()
    orders: tuple[Backfill, ...] = ()


def occasion_of(text: str, schedule: Schedule | None) -> Occasion:
    """Answer the occasion that a person names: a time at which the schedule falls due, else the id that attempts at it bear.

    A time without a zone is one of the schedule. ``Invalid`` for a time at which nothing was due.
    """
    text = text.strip()
    if not text:
        raise Invalid("name the occasion", hint="Say when the run was due.", field="occasion")
    if schedule is None:
        return Occasion(name=text)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise Invalid(
            f"{text!r} is no time", hint="Say when the run was due, as 2026-03-02T08:00.", field="occasion"
        ) from None
    at = (at if at.tzinfo else at.replace(tzinfo=ZoneInfo(schedule.timezone))).astimezone(UTC)
    due, following = islice(occasions(schedule, after=at - timedelta(seconds=1)), 2)
    if due != at:
        raise Invalid(
            f"nothing was due at {moment(at)}; the next time after it is {moment(due)}",
            hint=f"The schedule is {schedule.cron} in {schedule.timezone}.",
            field="occasion",
        )
    return Occasion(name=at.isoformat(), due=at, following=following)


def check(
    occasion: Occasion,
    workflow: Workflow,
    manifest: Manifest,
    *,
    said: Mapping[str, SourceSaid],
    attempts: Attempts,
    holds: Iterable[Hold],
    why: str,
    now: datetime,
) -> tuple[BackfillFinding, ...]:
    """Answer every check with what it found. ``said`` is the latest that is known of each source, ``why`` what a person says of the rest."""
    return (
        *_in_time(occasion, manifest, now),
        *_freshness(manifest.sources, said, why, now),
        _duplicates(occasion, attempts),
        _holds(workflow, tuple(holds)),
        _stage(workflow),
    )


def failing(findings: Iterable[BackfillFinding]) -> tuple[BackfillFinding, ...]:
    """Answer what stands in the way."""
    return tuple(each for each in findings if each.state in (CheckState.FAILED, CheckState.UNKNOWN))


def _in_time(occasion: Occasion, manifest: Manifest, now: datetime) -> Iterator[BackfillFinding]:
    if occasion.due is None or manifest.schedule is None:
        return
    deadline = occasion.due + manifest.schedule.start_within
    missed = now >= deadline
    yield BackfillFinding(
        check=BackfillCheck.OCCASION,
        state=CheckState.PASSED if missed else CheckState.FAILED,
        text=f"it was due {moment(occasion.due)}"
        if missed
        else f"it is due {moment(occasion.due)} and may start by itself until {moment(deadline)}",
    )


def _freshness(
    sources: Mapping[str, Source], said: Mapping[str, SourceSaid], why: str, now: datetime
) -> Iterator[BackfillFinding]:
    for name, source in sources.items():
        if source.fresh_within is None:
            continue
        known = said.get(name)
        if known is None:
            text = f"nobody recorded how old {name} is"
            state = CheckState.ATTESTED if why else CheckState.UNKNOWN
            text += (
                f"; it goes ahead because: {why}" if why else "; say why it may go ahead, or how old it is"
            )
        else:
            age = now - known.as_of
            fresh = age <= source.fresh_within
            state = CheckState.PASSED if fresh else CheckState.FAILED
            text = f"{name} is of {moment(known.as_of)}, {lasting(max(0.0, age.total_seconds()))} old"
            text += "" if fresh else f"; at most {lasting(source.fresh_within.total_seconds())} is allowed"
        yield BackfillFinding(
            check=BackfillCheck.FRESHNESS,
            state=state,
            text=text,
            about=name,
            records=(known.record,) if known else (),
        )


def _duplicates(occasion: Occasion, attempts: Attempts) -> BackfillFinding:
    done = [run.id for run in attempts.runs if run.status is RunStatus.SUCCEEDED]
    running = [run.id for run in attempts.runs if run.status is RunStatus.RUNNING]
    writes = [call for call in attempts.calls if call.effect is not EffectKind.READ]
    doubtful = [call.id for call in writes if call.outcome is Outcome.UNKNOWN or call.in_flight]
    written = [call for call in writes if call.outcome is Outcome.SUCCEEDED]
    bears = {run.id: run.trigger_id for run in attempts.runs}
    again = [
        call.id for call in written if call.business_key is None and bears[call.run] != attempts.trigger_id
    ]
    against: tuple[str, Sequence[str]] | None = None
    if done:
        against = (f"a run of it has succeeded: {listed(done)}", done)
    elif running:
        against = (f"a run of it is running: {listed(running)}", running)
    elif attempts.orders:
        ids = [order.id for order in attempts.orders]
        against = (f"it is ordered already: {listed(ids)}", ids)
    elif doubtful:
        against = (f"nobody knows how these ended, settle them first: {listed(doubtful)}", doubtful)
    elif again:
        against = (f"attempts under another id than {attempts.trigger_id} have made {listed(again)}", again)
    if against is not None:
        return BackfillFinding(
            check=BackfillCheck.DUPLICATES,
            state=CheckState.FAILED,
            text=against[0],
            records=tuple(against[1]),
        )
    if written:
        keys = listed(f"{call.tool} ({call.id})" for call in written)
        text = (
            f"{count_of(len(written), 'change')} of earlier attempts will be replayed, not made again: {keys}"
        )
    elif attempts.runs:
        text = f"{count_of(len(attempts.runs), 'attempt')} at it changed nothing"
    else:
        text = f"no run of {occasion.name} is on record"
    return BackfillFinding(
        check=BackfillCheck.DUPLICATES,
        state=CheckState.PASSED,
        text=text,
        records=tuple(call.id for call in written),
    )


def _holds(workflow: Workflow, holds: tuple[Hold, ...]) -> BackfillFinding:
    found = [
        hold
        for trigger in (BACKFILL, TRIGGER)
        if (hold := keeps_from_starting(holds, workflow.id, trigger)) is not None
    ]
    return BackfillFinding(
        check=BackfillCheck.HOLDS,
        state=CheckState.FAILED if found else CheckState.PASSED,
        text=f"{found[0].scope} is held: {found[0].reason}" if found else "no hold keeps it from starting",
        records=tuple(dict.fromkeys(hold.id for hold in found)),
    )


def _stage(workflow: Workflow) -> BackfillFinding:
    only_reads = workflow.stage is Stage.READ_ONLY
    return BackfillFinding(
        check=BackfillCheck.STAGE,
        state=CheckState.FAILED if only_reads else CheckState.PASSED,
        text=f"{workflow.id} is at the stage {named(workflow.stage)}"
        + (", which changes nothing" if only_reads else ""),
        records=(workflow.id,),
    )
