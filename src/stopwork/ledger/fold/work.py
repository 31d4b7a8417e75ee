"""What declarations, runs and calls do to the records."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Final

from stopwork.ledger import events as e
from stopwork.ledger import records as r
from stopwork.ledger import words as w
from stopwork.ledger.fold import backfills, drafts
from stopwork.ledger.fold.change import Change, Put, Update, Upsert, on, replace, same_fields, to
from stopwork.ledger.fold.controls import new_epoch


@on(e.ManifestApplied)
def _manifest_applied(entry: e.Entry, event: e.ManifestApplied) -> Iterator[Change]:
    yield Put(
        same_fields(
            r.ManifestVersion,
            event,
            id=_version_id(event.workflow, event.version),
            at=entry.at,
            by=entry.actor,
            in_force_since=entry.at,
        )
    )
    yield from _superseded(entry, event)
    yield _in_force(entry, event, event.stage)


@on(e.ManifestProposed)
def _manifest_proposed(entry: e.Entry, event: e.ManifestProposed) -> Iterator[Change]:
    yield Put(
        same_fields(
            r.ManifestVersion,
            event,
            id=_version_id(event.workflow, event.version),
            at=entry.at,
            by=entry.actor,
            state=w.VersionState.PROPOSED,
        )
    )
    yield from _superseded(entry, event)


@on(e.ManifestApproved)
def _manifest_approved(entry: e.Entry, event: e.ManifestApproved) -> Iterator[Change]:
    yield to(
        r.ManifestVersion,
        _version_id(event.workflow, event.version),
        state=w.VersionState.APPLIED,
        decided_by=entry.actor,
        decided_at=entry.at,
        note=event.note,
        in_force_since=entry.at,
    )
    yield _in_force(entry, event, w.Stage.READ_ONLY)


@on(e.ManifestDeclined)
def _manifest_declined(entry: e.Entry, event: e.ManifestDeclined) -> Iterator[Change]:
    yield to(
        r.ManifestVersion,
        _version_id(event.workflow, event.version),
        state=w.VersionState.DECLINED,
        decided_by=entry.actor,
        decided_at=entry.at,
        note=event.reason,
    )


def _version_id(workflow: str, version: int) -> str:
    return f"{workflow}@{version}"


def _superseded(entry: e.Entry, event: e.ManifestApplied | e.ManifestProposed) -> Iterator[Change]:
    """A proposal was made against the version in force; a newer version leaves it nothing to be compared with."""
    if event.supersedes is not None:
        yield to(
            r.ManifestVersion,
            _version_id(event.workflow, event.supersedes),
            state=w.VersionState.SUPERSEDED,
            decided_by=entry.actor,
            decided_at=entry.at,
            note=f"version {event.version} came after it",
        )


def _in_force(entry: e.Entry, event: e.ManifestApplied | e.ManifestApproved, start: w.Stage) -> Upsert:
    def evolve(known: r.Workflow | None) -> r.Workflow:
        # The stage belongs to the workflow, not to the manifest: a new version never gives autonomy back.
        stage = known.stage if known else start
        incident = known.incident if known else None
        since = known.stage_since if known else entry.at
        stage_epoch = known.stage_epoch if known else 0
        stage_reason = known.stage_reason if known else ""
        pause_test = known.pause_test if known else None
        return same_fields(
            r.Workflow,
            event,
            id=event.workflow,
            stage=stage,
            incident=incident,
            stage_since=since,
            stage_epoch=stage_epoch,
            stage_reason=stage_reason,
            pause_test=pause_test,
            applied_at=entry.at,
            applied_by=entry.actor,
        )

    return Upsert(r.Workflow, event.workflow, evolve)


@on(e.StageChanged)
def _stage_changed(entry: e.Entry, event: e.StageChanged) -> Iterator[Change]:
    yield to(
        r.Workflow,
        event.workflow,
        stage=event.after,
        stage_since=entry.at,
        stage_epoch=event.epoch,
        stage_reason=event.reason,
    )
    yield new_epoch(event.epoch)


@on(e.RunStarted)
def _run_started(entry: e.Entry, event: e.RunStarted) -> Iterator[Change]:
    yield Put(
        same_fields(
            r.Run, event, id=event.run, status=w.RunStatus.RUNNING, started_at=entry.at, by=entry.actor
        )
    )


@on(e.RunFinished)
def _run_finished(entry: e.Entry, event: e.RunFinished) -> Iterator[Change]:
    yield to(r.Run, event.run, status=event.status, error=event.error, finished_at=entry.at)
    if event.backfill is not None:
        yield backfills.run_ended(entry, event, event.backfill)


@on(e.StepRecorded)
def _step_recorded(entry: e.Entry, event: e.StepRecorded) -> Iterator[Change]:
    yield Put(same_fields(r.Step, event, id=event.step, at=entry.at))
    unpriced = 1 if event.tokens and event.cost_usd is None else 0
    taken_in = event.source is not None and event.kind in (w.StepKind.RETRIEVAL, w.StepKind.MESSAGE)

    def evolve(run: r.Run) -> r.Run:
        return replace(
            run,
            foreign=_with(run, event.step) if taken_in else run.foreign,
            tokens=run.tokens + event.tokens,
            cost_usd=run.cost_usd + (event.cost_usd or 0.0),
            unpriced=run.unpriced + unpriced,
        )

    yield Update(r.Run, event.run, evolve)
    yield _on_this_day(
        entry,
        event.workflow,
        tokens=event.tokens,
        cost_usd=event.cost_usd or 0.0,
        unpriced=unpriced,
    )


def _with(run: r.Run, record: str) -> tuple[str, ...]:
    """Answer what a run has read from outside, with one thing more; the newest are kept."""
    if not run.notes_reads or record in run.foreign:
        return run.foreign
    return (*run.foreign, record)[-MOST_FOREIGN:]


def _on_this_day(entry: e.Entry, workflow: str, **more: float) -> Upsert:
    day_id = r.Day.id_of(workflow, entry.at)

    def evolve(known: r.Day | None) -> r.Day:
        day = known or r.Day(id=day_id, workflow=workflow)
        return replace(day, **{name: getattr(day, name) + count for name, count in more.items()})

    return Upsert(r.Day, day_id, evolve)


def _steered(entry: e.Entry, event: e.CallDecided, found: r.Suspicion) -> Iterator[Change]:
    """What a call was found to follow is noted for its run, until people let the call pass: then they know what it was called with."""

    def evolve(run: r.Run) -> r.Run:
        others = tuple(thing for thing in run.steered if thing != found.thing)
        return replace(run, steered=others if event.let_pass else (*others, found.thing)[-MOST_FOREIGN:])

    yield Update(r.Run, event.run, evolve)
    if event.let_pass and found.value:
        vetted = r.Vetted.id_of(event.workflow, event.tool, found.value)

        def known(before: r.Vetted | None) -> r.Vetted:
            return before or r.Vetted(
                id=vetted, workflow=event.workflow, tool=event.tool, call=event.call, at=entry.at
            )

        yield Upsert(r.Vetted, vetted, known)


#: Of what a run has read from outside so many things are looked at when it wants to change something.
MOST_FOREIGN: Final = 64
_OUTSIDE: Final = ("external", "partner")


@on(e.CallDecided)
def _call_decided(entry: e.Entry, event: e.CallDecided) -> Iterator[Change]:
    permitted = event.verdict is w.Verdict.ALLOW
    destinations = (event.destination,) if event.destination else event.destinations

    def evolve(known: r.Call | None) -> r.Call:
        return same_fields(
            r.Call,
            event,
            id=event.call,
            requested_at=known.requested_at if known else event.began_at or entry.at,
            permitted_at=(event.began_at or entry.at) if permitted else known.permitted_at if known else None,
            in_flight=permitted,
            destinations=destinations,
        )

    yield Upsert(r.Call, event.call, evolve)
    if event.verdict is w.Verdict.DRAFT and event.draft is None:
        yield drafts.drafted(entry, event)
    if event.suspicion is not None:
        yield from _steered(entry, event, event.suspicion)
    if permitted:
        # A permit that is asked for again is still one call.
        calls = 0 if event.renewed else 1
        writes = 0 if event.effect is w.EffectKind.READ else calls
        outside = event.source_class in _OUTSIDE

        def counted(run: r.Run) -> r.Run:
            foreign = _with(run, event.call) if outside else run.foreign
            return replace(run, calls=run.calls + calls, writes=run.writes + writes, foreign=foreign)

        yield Update(r.Run, event.run, counted)
        yield _on_this_day(entry, event.workflow, calls=calls, writes=writes)

        def taken(known: r.Key | None) -> r.Key | None:
            # Where nothing is enforced a call may be permitted although its work is done, or may be: that stays known.
            if (
                known is not None
                and not known.expired
                and known.outcome in (w.Outcome.SUCCEEDED, w.Outcome.UNKNOWN)
            ):
                return None
            return r.Key(
                id=f"{event.workflow}/{event.key}",
                workflow=event.workflow,
                call=event.call,
                tool=event.tool,
                args_digest=event.args_digest,
                taken_at=entry.at,
            )

        if event.effect is not w.EffectKind.READ:
            yield Upsert(r.Key, f"{event.workflow}/{event.key}", taken)
        return

    def given_back(known: r.Key | None) -> r.Key | None:
        if known is not None and event.verdict is w.Verdict.REPLAY and known.idle_since is not None:
            return replace(known, idle_since=entry.at)
        # The call had a permit, asked again before it began, and is stopped now: its work is free for others.
        if known is None or known.call != event.call or known.outcome is not None:
            return None
        return replace(known, outcome=w.Outcome.FAILED, idle_since=entry.at)

    yield Upsert(r.Key, f"{event.workflow}/{event.key}", given_back)


@on(e.CallAttempted)
def _call_attempted(entry: e.Entry, event: e.CallAttempted) -> Iterator[Change]:
    yield to(r.Call, event.call, before=event.before, attempted_at=entry.at)


@on(e.CallFinished)
def _call_finished(entry: e.Entry, event: e.CallFinished) -> Iterator[Change]:
    yield Update(
        r.Call,
        event.call,
        lambda call: replace(
            call,
            outcome=event.outcome,
            result=event.result,
            error=event.error,
            finished_at=event.ended_at or entry.at,
            in_flight=False,
            reconciled=event.reconciled,
            effects=call.effects + len(event.effects),
            unseen=event.unseen or call.unseen,
            exceeding=call.exceeding + sum(effect.exceeds is not None for effect in event.effects),
        ),
    )
    # Only calls that write hold a key. A call that failed after it had changed something must not be tried again unseen.
    failed_halfway = event.outcome is w.Outcome.FAILED and bool(event.effects)
    outcome = w.Outcome.UNKNOWN if failed_halfway else event.outcome
    without_result = event.reconciled and event.result is None and outcome is w.Outcome.SUCCEEDED

    def ended(known: r.Key | None) -> r.Key | None:
        if known is None or known.call != event.call:
            return known
        return replace(
            known,
            outcome=outcome,
            settled_by=entry.actor.id if without_result else None,
            idle_since=None if outcome is w.Outcome.UNKNOWN else entry.at,
        )

    yield Upsert(r.Key, f"{event.workflow}/{event.key}", ended)
    yield from (Put(effect) for effect in event.effects)
    if event.draft is not None:
        yield drafts.ended(entry, event, event.draft)


@on(e.EffectsObserved)
def _effects_observed(entry: e.Entry, event: e.EffectsObserved) -> Iterator[Change]:
    yield from (Upsert(r.Effect, effect.id, functools.partial(_seen, effect)) for effect in event.effects)
    yield Update(
        r.Call, event.call, lambda call: replace(call, effects=event.total, exceeding=event.exceeding)
    )


def _seen(effect: r.Effect, _known: r.Effect | None) -> r.Effect:
    return effect


@on(e.KeysExpired)
def _keys_expired(entry: e.Entry, event: e.KeysExpired) -> Iterator[Change]:
    yield from (to(r.Key, key, expired=True, idle_since=None) for key in event.keys)


@on(e.PointRegistered)
def _point_registered(entry: e.Entry, event: e.PointRegistered) -> Iterator[Change]:
    yield Put(same_fields(r.Point, event, id=event.point, registered_at=entry.at))


@on(e.PointRetired)
def _point_retired(entry: e.Entry, event: e.PointRetired) -> Iterator[Change]:
    yield to(r.Point, event.point, retired_at=entry.at)
