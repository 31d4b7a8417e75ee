"""Backfills: a person orders that a missed run is made up for, a guard takes the order up once, and every change is checked again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct

from stopwork.control.backfilling import BACKFILL, BackfillStanding, ClaimedBackfill
from stopwork.detect.missed_run import EARLY, TRIGGER
from stopwork.incidents import backfill as rules
from stopwork.incidents.backfill import OPEN, Attempts, Occasion, SourceSaid
from stopwork.kernel.clock import in_utc
from stopwork.kernel.errors import Conflict, Invalid
from stopwork.ledger.events import BackfillExpired, BackfillOrdered, BackfillTaken, BackfillWithdrawn
from stopwork.ledger.records import (
    Backfill,
    BackfillFinding,
    Call,
    Hold,
    Incident,
    Run,
    Step,
    Workflow,
)
from stopwork.ledger.words import BackfillState, EffectKind, Outcome, StepKind
from stopwork.manifest.model import Manifest
from stopwork.operations.manifests import Manifests, known_workflow
from stopwork.operations.people import require_business_owner, require_person
from stopwork.operations.runs import require_own_workflow
from stopwork.storage.transaction import Tx
from stopwork.storage.view import View

#: How long an order may wait for a guard.
ORDER_VALID_FOR: Final = timedelta(days=1)
#: How long a guard may take from taking an order to beginning its run before another one may take it.
TAKEN_FOR: Final = timedelta(seconds=60)
#: So many of the latest runs are looked through for how old their sources were.
LATEST_RUNS: Final = 50
MAX_TAKEN: Final = 10


class Checked(Struct, frozen=True, kw_only=True):
    """What the checks of a backfill found: it may be ordered when nothing is ``against`` it."""

    workflow: str
    occasion: str
    trigger_id: str
    findings: tuple[BackfillFinding, ...]
    against: tuple[BackfillFinding, ...]
    due: datetime | None = None


def check(
    view: View,
    manifests: Manifests,
    *,
    workflow: str,
    occasion: str,
    now: datetime,
    why: str = "",
    as_of: Mapping[str, datetime] | None = None,
) -> Checked:
    """Answer whether a missed occasion could be made up for now; nothing is recorded."""
    known = known_workflow(view, workflow)
    manifest = manifests.version(view, known.id, known.version).manifest
    missed = rules.occasion_of(occasion, manifest.schedule)
    given = {name: in_utc(at) for name, at in (as_of or {}).items()}
    if unknown := sorted(given.keys() - manifest.sources.keys()):
        raise Invalid(
            f"{unknown[0]} is no source of {workflow}", hint="Name a source of the manifest.", field="as_of"
        )
    if future := sorted(name for name, at in given.items() if at > now):
        raise Invalid(f"{future[0]} cannot be of a later time than now", hint="Look again.", field="as_of")
    attested = {name: SourceSaid(as_of=at, at=now, record="") for name, at in given.items()}
    attempts = _attempts(view, known.id, missed)
    findings = _found(view, manifest, known, missed, attempts, attested=attested, why=why.strip(), now=now)
    return Checked(
        workflow=known.id,
        occasion=missed.name,
        trigger_id=attempts.trigger_id,
        findings=findings,
        against=rules.failing(findings),
        due=missed.due,
    )


def order(
    tx: Tx,
    manifests: Manifests,
    *,
    workflow: str,
    occasion: str,
    reason: str,
    incident: str | None = None,
    why: str = "",
    as_of: Mapping[str, datetime] | None = None,
) -> Backfill:
    """Order that a missed occasion is made up for; of an incident only its business owner does.

    ``as_of`` is how old the person says that sources are now, ``why`` why it may go ahead although of others nobody recorded it.
    Raises ``Conflict`` with everything that stands in the way.
    """
    require_person(tx, "order a backfill")
    if not reason.strip():
        raise Invalid("a reason is needed", hint="Say in a sentence why it is made up for.", field="reason")
    if incident is not None:
        home = tx.need(Incident, incident)
        require_business_owner(tx, home, "order a backfill")
        if home.workflow != workflow or home.status.ended:
            raise Conflict(
                f"{incident} is about {home.workflow} and {home.status}",
                hint="Name the open incident of this workflow, or none.",
                incident=incident,
            )
    found = check(tx, manifests, workflow=workflow, occasion=occasion, now=tx.now, why=why, as_of=as_of)
    if found.against:
        raise Conflict(
            f"{occasion} cannot be made up for: {'; '.join(each.text for each in found.against)}",
            hint=f"See every check: stopwork backfill check {workflow} --occasion {occasion}",
            findings=[each.text for each in found.against],
        )
    ordered = tx.new_id("backfill")
    tx.record(
        BackfillOrdered(
            backfill=ordered,
            workflow=workflow,
            occasion=found.occasion,
            trigger_id=found.trigger_id,
            reason=reason.strip(),
            expires_at=tx.now + ORDER_VALID_FOR,
            findings=found.findings,
            due=found.due,
            incident=incident,
            as_of={name: in_utc(at) for name, at in (as_of or {}).items()},
            why=why.strip(),
        )
    )
    return tx.need(Backfill, ordered)


def withdraw(tx: Tx, *, backfill: str, reason: str) -> Backfill:
    """Take an order back; a run that carries it out changes nothing more."""
    require_person(tx, "withdraw a backfill")
    known = tx.need(Backfill, backfill)
    if not reason.strip():
        raise Invalid("a reason is needed", hint="Say in a sentence why.", field="reason")
    if known.state not in OPEN:
        raise Conflict(f"{backfill} is {known.state}", hint="Nothing is left to withdraw.", found=known.state)
    tx.record(
        BackfillWithdrawn(
            backfill=backfill, workflow=known.workflow, reason=reason.strip(), incident=known.incident
        )
    )
    return tx.need(Backfill, backfill)


def claim(
    tx: Tx, manifests: Manifests, *, workflow: str, session: str, limit: int = MAX_TAKEN
) -> tuple[ClaimedBackfill, ...]:
    """Give this session the orders of a workflow that nobody has and whose every check still passes; asked again, those it has."""
    require_own_workflow(tx, workflow)
    known_workflow(tx, workflow)
    taken: list[ClaimedBackfill] = []
    for each in tx.each(Backfill, workflow=workflow, state=OPEN, order="ordered_at"):
        if len(taken) == limit:
            break
        known = _taken(tx, manifests, each, session)
        if known is not None and known.run is not None:
            taken.append(
                ClaimedBackfill(
                    backfill=known.id,
                    run=known.run,
                    occasion=known.occasion,
                    trigger_id=known.trigger_id,
                    reason=known.reason,
                    due=known.due,
                )
            )
    return tuple(taken)


def _taken(tx: Tx, manifests: Manifests, known: Backfill, session: str) -> Backfill | None:
    """Answer the order in the hands of this session, if it may have it; whoever had it and began nothing in time has lost it."""
    if known.state is BackfillState.TAKEN:
        begun = known.run is not None and tx.get(Run, known.run) is not None
        still_its = known.taken_until is not None and tx.now < known.taken_until
        if begun:
            return None
        if still_its:
            return known if known.session == session else None
    if tx.now >= known.expires_at:
        _expire(tx, known)
        return None
    findings = _again(tx, manifests, known, tx.now)
    if rules.failing(findings):
        return None
    tx.record(
        BackfillTaken(
            backfill=known.id,
            workflow=known.workflow,
            run=tx.new_id("run"),
            session=session,
            taken_until=tx.now + TAKEN_FOR,
            findings=findings,
            incident=known.incident,
        )
    )
    return tx.need(Backfill, known.id)


def expire_due(tx: Tx) -> None:
    """Close the orders that nobody took up in time."""
    for each in tx.each(Backfill, state=OPEN):
        begun = each.run is not None and tx.get(Run, each.run) is not None
        if tx.now >= each.expires_at and not begun:
            _expire(tx, each)


def standing(view: View, manifests: Manifests, run: Run, now: datetime) -> BackfillStanding | None:
    """Answer how the order of a backfill's run stands; ``None`` for any other run, and where the order is over."""
    known = view.get(Backfill, run.backfill) if run.backfill else None
    if known is None or known.run != run.id or known.state is not BackfillState.TAKEN:
        return None
    against = rules.failing(_again(view, manifests, known, now))
    return BackfillStanding(order=known.id, against=tuple(each.text for each in against))


def _expire(tx: Tx, known: Backfill) -> None:
    tx.record(BackfillExpired(backfill=known.id, workflow=known.workflow, incident=known.incident))


def _again(view: View, manifests: Manifests, known: Backfill, now: datetime) -> tuple[BackfillFinding, ...]:
    """Answer the checks of an order as they are now; it is no duplicate of itself."""
    workflow = known_workflow(view, known.workflow)
    manifest = manifests.version(view, workflow.id, workflow.version).manifest
    attested = {
        name: SourceSaid(as_of=at, at=known.ordered_at, record=known.id) for name, at in known.as_of.items()
    }
    missed = Occasion(name=known.occasion, due=known.due)
    if known.due is not None and manifest.schedule is not None:
        with suppress(Invalid):  # the schedule is another one by now, and the run stays missed
            missed = rules.occasion_of(known.occasion, manifest.schedule)
    attempts = _attempts(view, workflow.id, missed, own=known)
    return _found(view, manifest, workflow, missed, attempts, attested=attested, why=known.why, now=now)


def _found(
    view: View,
    manifest: Manifest,
    workflow: Workflow,
    missed: Occasion,
    attempts: Attempts,
    *,
    attested: dict[str, SourceSaid],
    why: str,
    now: datetime,
) -> tuple[BackfillFinding, ...]:
    limited = {name for name, source in manifest.sources.items() if source.fresh_within is not None}
    said = _said(view, workflow.id, limited) if limited else {}
    for name, each in attested.items():
        if name not in said or said[name].at <= each.at:
            said[name] = each
    return rules.check(
        missed,
        workflow,
        manifest,
        said=said,
        attempts=attempts,
        holds=view.each(Hold, active=True),
        why=why,
        now=now,
    )


def _said(view: View, workflow: str, sources: set[str]) -> dict[str, SourceSaid]:
    """Answer the latest that runs have recorded of how old each source was."""
    runs = [run.id for run in view.find(Run, workflow=workflow, order="-started_at", limit=LATEST_RUNS)]
    said: dict[str, SourceSaid] = {}
    for step in view.each(Step, run=tuple(runs)) if runs else ():
        if step.kind is not StepKind.RETRIEVAL or step.as_of is None or step.source not in sources:
            continue
        known = said.get(step.source)
        if known is None or known.at <= step.at:
            said[step.source] = SourceSaid(as_of=step.as_of, at=step.at, record=step.id)
    return said


def _attempts(view: View, workflow: str, missed: Occasion, own: Backfill | None = None) -> Attempts:
    """Answer what is on record of an occasion: the runs of its schedule, and whatever bears the same id as one of them."""
    scheduled: list[Run] = []
    if missed.due is not None and missed.following is not None:
        begin, end = missed.due - EARLY, missed.following - EARLY
        started = view.each(Run, workflow=workflow, started_at_from=begin, started_at_before=end)
        scheduled = [run for run in started if run.trigger == TRIGGER]
    ids = {missed.name, *(run.trigger_id for run in scheduled)} | ({own.trigger_id} if own else set())
    same = view.each(Run, workflow=workflow, trigger_id=tuple(sorted(ids)))
    runs = {run.id: run for run in (*scheduled, *same) if _counts(run, own)}
    calls = (
        [call for call in view.each(Call, run=tuple(runs)) if call.effect is not EffectKind.READ]
        if runs
        else []
    )
    orders = view.each(Backfill, workflow=workflow, state=OPEN)
    others = tuple(
        each for each in orders if each.occasion == missed.name and (own is None or each.id != own.id)
    )
    return Attempts(
        trigger_id=own.trigger_id if own else _trigger_id(missed, runs, calls),
        runs=tuple(runs.values()),
        calls=tuple(calls),
        orders=others,
    )


def _counts(run: Run, own: Backfill | None) -> bool:
    """Answer whether a run was an attempt: a backfill without an order changed nothing, and an order is none beside itself."""
    ordered = run.trigger != BACKFILL or run.backfill is not None
    return ordered and (own is None or run.backfill != own.id)


def _trigger_id(missed: Occasion, runs: Mapping[str, Run], calls: Sequence[Call]) -> str:
    """Answer the id that keys of the occasion are made of: that under which most was done, else the newest attempt's, else its name."""
    done = Counter(runs[call.run].trigger_id for call in calls if call.outcome is Outcome.SUCCEEDED)
    if done:
        return done.most_common(1)[0][0]
    newest = max(runs.values(), key=lambda run: run.started_at, default=None)
    return newest.trigger_id if newest else missed.name
