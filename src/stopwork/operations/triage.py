"""Sorting incidents: a proposal is accepted or declined, what belongs together is merged, what does not is split.

What a rule did by itself is taken back in one step when its incident is declined: its holds are lifted and the autonomy it took is given
back. That lets an agent go on, so it is the business owner's; whoever else finds a false alarm tells them.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from stopwork.incidents import open as opening
from stopwork.incidents.lifecycle import require_move, require_open
from stopwork.incidents.severity import ORDER, assess
from stopwork.incidents.tags import proposed as proposed_tags
from stopwork.kernel.errors import Conflict, Invalid
from stopwork.kernel.phrases import listed
from stopwork.ledger import records as r
from stopwork.ledger.events import (
    IncidentMerged,
    IncidentSplit,
    ReadersChanged,
    RoleHandedOver,
    StageChanged,
    UpdateScheduled,
)
from stopwork.ledger.words import IncidentStatus, Stage
from stopwork.operations import returning
from stopwork.operations.acknowledging import taken
from stopwork.operations.holds import release
from stopwork.operations.manifests import Manifests
from stopwork.operations.people import administrators, require_business_owner, require_person
from stopwork.operations.signals import circumstances, new_incident_id, reassess, set_severity
from stopwork.operations.standing import move
from stopwork.storage.transaction import Tx
from stopwork.storage.view import View


class Declined(Struct, frozen=True, kw_only=True):
    """What declining an incident came to.

    ``lifted`` are the holds that rules had set; ``kept`` are those that people had set, which a second person lifts. ``stage`` is the one
    that was given back, and ``stage_stays`` says why none was.
    """

    incident: r.Incident
    lifted: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    stage: Stage | None = None
    stage_stays: str = ""


def accept(tx: Tx, *, incident: str) -> r.Incident:
    """Take a proposed incident on: it is open from now, and whoever accepts it commands it until they hand it over.

    Accepting what is open already changes nothing; a proposal that has ended is a ``Conflict`` that says how.
    """
    person = require_person(tx, "accept an incident")
    known = tx.need(r.Incident, incident)
    require_open(known)
    if known.status is not IncidentStatus.PROPOSED:
        return known
    move(tx, incident, IncidentStatus.INVESTIGATING, reason=f"accepted by {person}")
    taken(tx, known, person, note="by accepting the incident")
    if known.commander != person:
        tx.record(
            RoleHandedOver(
                incident=incident,
                workflow=known.workflow,
                role="commander",
                before=known.commander,
                after=person,
                note="by accepting the incident",
            )
        )
    tx.record(
        UpdateScheduled(
            incident=incident,
            workflow=known.workflow,
            next_update_at=opening.first_update_at(known.severity, tx.now),
            reason="the incident was accepted",
        )
    )
    return tx.need(r.Incident, incident)


def decline(tx: Tx, *, incident: str, reason: str) -> Declined:
    """Say that it is no incident, and why. It keeps its id and its history, and counts nowhere.

    What its rules did by themselves is taken back with it, and that is the business owner's. What was recovered or returned was an
    incident: it is closed and not declined. To decline it again changes nothing.
    """
    person = require_person(tx, "decline an incident")
    known = tx.need(r.Incident, incident)
    if known.status is IncidentStatus.DECLINED:
        return Declined(incident=known)
    require_open(known)
    require_move(known.status, IncidentStatus.DECLINED)
    reason = _said(reason, "why it is none")
    _require_untouched(known, "declined")
    holds = [hold for hold in tx.each(r.Hold, incident=incident) if hold.active]
    automatic = [hold for hold in holds if hold.rule]
    if automatic or _took_autonomy(tx, known):
        require_business_owner(tx, known, "take back what was done by itself, by declining the incident")
    why = f"{incident} was a false alarm: {reason}"
    for hold in automatic:
        release(tx, hold, reason=why)
    stage, stays = returning.undo_demotion(tx, known, person=person)
    move(tx, incident, IncidentStatus.DECLINED, reason=reason)
    return Declined(
        incident=tx.need(r.Incident, incident),
        lifted=tuple(hold.id for hold in automatic),
        kept=tuple(hold.id for hold in holds if not hold.rule),
        stage=stage,
        stage_stays=stays,
    )


def merge(tx: Tx, manifests: Manifests, *, incident: str, into: str, reason: str) -> r.Incident:
    """Let an incident go on in another one of its workflow, which gets its signals, runs, holds and causes; answer that one.

    The higher severity holds. Both keep their history; the merged one counts nowhere. What is private is merged with what is private
    only, and whoever saw either sees the one that goes on. To merge it again into the same one changes nothing.
    """
    require_person(tx, "merge incidents")
    known, home = tx.need(r.Incident, incident), tx.need(r.Incident, into)
    if known.merged_into == into:
        return home
    require_open(known)
    require_open(home)
    reason = _said(reason, "why they are one")
    if known.id == home.id:
        raise Invalid("an incident is not merged into itself", hint="Name the other one.", field="into")
    if (known.workflow, known.practice) != (home.workflow, home.practice):
        raise Conflict(
            f"{incident} and {into} are not about the same: {_about(known)}, and {_about(home)}",
            hint="Write a note in each that names the other.",
            expected=_about(known),
            found=_about(home),
        )
    if known.private != home.private:
        hidden, shown = (incident, into) if known.private else (into, incident)
        raise Conflict(
            f"{hidden} is private and {shown} is not",
            hint=f"Make {shown} private as well, or open {hidden} up: who sees the one that goes on has to be said first.",
            incident=hidden,
        )
    require_move(known.status, IncidentStatus.MERGED)
    _require_untouched(known, "merged")
    tx.record(
        IncidentMerged(
            incident=incident,
            workflow=known.workflow,
            into=into,
            reason=reason,
            signals=tuple(each.id for each in tx.each(r.Signal, incident=incident)),
            runs=known.runs,
            holds=tuple(hold.id for hold in tx.each(r.Hold, incident=incident) if hold.active),
            causes=(known.cause, *known.causes),
        )
    )
    _let_see(
        tx, tx.need(r.Incident, into), known.readers, reason=f"{incident}, which is private, goes on here"
    )
    if home.status is IncidentStatus.PROPOSED and known.status is not IncidentStatus.PROPOSED:
        accept(tx, incident=into)
    if ORDER.index(known.severity) < ORDER.index(home.severity):
        why = f"{incident}, which is {known.severity.name}, goes on here"
        set_severity(tx, tx.need(r.Incident, into), known.severity, factors=known.factors, reason=why)
    reassess(tx, manifests, into)
    return tx.need(r.Incident, into)


def split(
    tx: Tx,
    manifests: Manifests,
    *,
    incident: str,
    signals: Sequence[str] = (),
    runs: Sequence[str] = (),
    reason: str,
    title: str = "",
) -> r.Incident:
    """Open an incident of its own for some signals and runs of another one; answer it.

    A signal takes its run along unless one that stays is about it too. Holds stay where they are. The new one is as private as the other,
    and as grave until what happened is contained.
    """
    require_person(tx, "split an incident")
    known = tx.need(r.Incident, incident)
    require_open(known)
    reason = _said(reason, "why it is another cause")
    moved = _parts(tx, known, signals, runs)
    going = {each.id for each in moved}
    stay = [each for each in tx.each(r.Signal, incident=incident) if each.id not in going]
    stays = {each.run for each in stay}
    taken = dict.fromkeys((*runs, *(each.run for each in moved if each.run and each.run not in stays)))
    gone = tuple(run for run in taken if run in known.runs)
    if not stay and len(gone) == len(known.runs):
        raise Conflict(
            f"nothing would be left of {incident}",
            hint="Choose what is about the other cause only.",
            incident=incident,
        )
    first = moved[0] if moved else None
    kind = first.type if first else known.type
    cause = (
        first.key if first and first.key != known.cause else f"1/{kind}/{known.workflow}/split off {incident}"
    )
    workflow = tx.need(r.Workflow, known.workflow)
    manifest = manifests.version(tx, workflow.id, workflow.version).manifest
    at_least = known.severity if known.contained_at is None else None
    new = new_incident_id(tx)
    tx.record(
        opening.opening(
            incident=new,
            cause=cause,
            incident_type=kind,
            manifest=manifest,
            version=workflow.version,
            assessment=assess(circumstances(tx, manifest, kind, gone, at_least=at_least)),
            noticed_by=known.detected_by,
            detected_at=first.raised_at if first else known.detected_at,
            now=tx.now,
            opener=tx.actor,
            administrators=administrators(tx, tx.now),
            tools=[tool for each in moved for tool in opening.tools_of(each)],
            title=title,
            practice=known.practice,
            tags=proposed_tags(kind, first.kind if first else None),
        )
    )
    tx.record(
        IncidentSplit(
            incident=incident,
            workflow=known.workflow,
            into=new,
            reason=reason,
            signals=tuple(each.id for each in moved),
            runs=gone,
            cause=cause,
        )
    )
    _let_see(tx, tx.need(r.Incident, new), known.readers, reason=f"split off {incident}, which is private")
    reassess(tx, manifests, new)
    return tx.need(r.Incident, new)


def _let_see(tx: Tx, incident: r.Incident, readers: tuple[str, ...], *, reason: str) -> None:
    """Let the readers of a private incident see another one, and nobody besides those who see that one already."""
    seen = tuple(dict.fromkeys((*incident.readers, incident.commander, *readers)))
    if readers and (not incident.private or seen != incident.readers):
        tx.record(
            ReadersChanged(
                incident=incident.id, workflow=incident.workflow, private=True, readers=seen, reason=reason
            )
        )


def _said(reason: str, what: str) -> str:
    if not reason.strip():
        raise Invalid("a reason is needed", hint=f"Say in a sentence {what}.", field="reason")
    return reason.strip()


def _about(incident: r.Incident) -> str:
    return f"{incident.workflow}{', for practice' if incident.practice else ''}"


def _require_untouched(incident: r.Incident, ends: str) -> None:
    if incident.plan is not None or incident.reenabled_at is not None:
        raise Conflict(
            f"{incident.id} cannot be {ends}: its recovery or its return has begun",
            hint="Go on with it, and close it when it is over.",
            incident=incident.id,
        )


def _took_autonomy(view: View, incident: r.Incident) -> bool:
    changes = view.entries(incident=incident.id, kinds=("workflow.stage_changed",))
    return any(isinstance(entry.event, StageChanged) and entry.event.rule for entry in changes)


def _parts(
    view: View, incident: r.Incident, signals: Sequence[str], runs: Sequence[str]
) -> tuple[r.Signal, ...]:
    """Answer the signals that are chosen; ``Invalid`` where the incident does not hold what is chosen."""
    if not signals and not runs:
        raise Invalid("nothing is chosen", hint="Name signals, runs, or both.", field="signals")
    chosen = {each: view.get(r.Signal, each) for each in signals}
    held = {each: it for each, it in chosen.items() if it and it.incident == incident.id}
    strange = [
        *(each for each in chosen if each not in held),
        *(each for each in runs if each not in incident.runs),
    ]
    if strange:
        raise Invalid(
            f"{incident.id} holds nothing called {listed(strange)}",
            hint=f"Choose from it: stopwork incident show {incident.id}, and stopwork signals list --incident {incident.id}",
            field="signals" if strange[0] in signals else "runs",
        )
    return tuple(held.values())
