"""Autonomy: it is taken at once, and comes back one stage at a time, after an incident only when its checks are answered and signed."""

from __future__ import annotations

from stopwork.control.stages import check_move, goes_up
from stopwork.incidents.lifecycle import require_before, require_open
from stopwork.incidents.reenable import CheckView, checks, require_answerable, require_raise
from stopwork.incidents.severity import ORDER
from stopwork.kernel.errors import Conflict, Denied, Invalid
from stopwork.ledger.events import CheckAnswered, IncidentReenabled, StageChanged
from stopwork.ledger.records import Hold, Incident, ManifestVersion, Run, Workflow
from stopwork.ledger.words import (
    UNENDED,
    IncidentStatus,
    Phase,
    ReenableCheck,
    Role,
    RunStatus,
    Severity,
    Stage,
)
from stopwork.operations.cases import gather
from stopwork.operations.holds import release
from stopwork.operations.manifests import Manifests, known_workflow
from stopwork.operations.people import refuse_agent, require_business_owner, require_person
from stopwork.operations.points import current_epoch
from stopwork.operations.standing import move
from stopwork.storage.transaction import Tx
from stopwork.storage.view import View


def answer(tx: Tx, manifests: Manifests, *, incident: str, check: ReenableCheck, note: str) -> CheckView:
    """Record a person's answer to a check that records cannot answer: an attestation, an exception, the owner's signature."""
    person = require_person(tx, "answer a check")
    case = gather(tx, manifests, incident)
    require_open(case.incident)
    state = require_answerable(case, check, person)
    if not note.strip():
        raise Invalid("say what you know and how", hint="One sentence is enough.", field="note")
    tx.record(
        CheckAnswered(
            incident=incident, workflow=case.incident.workflow, check=check, state=state, note=note.strip()
        )
    )
    return next(view for view in checks(gather(tx, manifests, incident)) if view.check is check)


def raise_stage(tx: Tx, manifests: Manifests, *, incident: str) -> Stage:
    """Take the next step of the return and answer the stage that now holds.

    The first step lifts the incident's holds onto the read-only stage, in one transaction. Each further step needs a clean run on
    the stage before. Every step is the business owner's.
    """
    person = require_business_owner(tx, tx.need(Incident, incident), "give autonomy back")
    case = gather(tx, manifests, incident)
    require_before(case, Phase.REENABLE)
    after = require_raise(case, person)
    first = case.incident.reenabled_at is None
    reason = f"re-enable of {incident}, signed by {person}"
    if case.workflow.stage is not after:
        _change(tx, case.workflow, after, reason=reason, incident=incident)
    if first:
        for hold in case.holds:
            if hold.active and hold.incident == incident:
                release(tx, hold, reason=reason)
    tx.record(
        IncidentReenabled(
            incident=incident, workflow=case.workflow.id, stage=after, final=after is Stage.NORMAL
        )
    )
    move(tx, incident, IncidentStatus.MONITORING, reason=reason)
    return after


def change_stage(
    tx: Tx, *, workflow: str, stage: Stage, reason: str, incident: str | None = None
) -> Workflow:
    """Take autonomy away, as any person and the detectors may, or give a workflow its next stage that no incident has stopped.

    Up it goes for the business owner only, one stage at a time, after a run that succeeded on the stage it is at. While an incident is
    open that is a ``Conflict``: then autonomy comes back through its re-enable.
    """
    known = known_workflow(tx, workflow)
    refuse_agent(tx.actor, "change a stage")
    check_move(known.stage, stage)
    if goes_up(known.stage, stage):
        _require_earned(tx, known)
    if not reason.strip():
        raise Invalid("a reason is needed", hint="Say in a sentence why.", field="reason")
    _change(tx, known, stage, reason=reason.strip(), incident=incident)
    return known_workflow(tx, workflow)


def blocks_raise(view: View, workflow: Workflow) -> str:
    """Answer why a workflow cannot be given its next stage without a re-enable, or nothing when its owner may give it."""
    if why := _open_besides(view, workflow):
        return why
    since = workflow.stage_since or view.need(ManifestVersion, f"{workflow.id}@1").at
    done = view.first(
        Run,
        workflow=workflow.id,
        status=RunStatus.SUCCEEDED,
        started_at_from=since,
        order="-started_at",
    )
    return "" if done else f"no run has succeeded at the stage {workflow.stage} yet"


def _require_earned(tx: Tx, workflow: Workflow) -> None:
    person, owner = require_person(tx, "give autonomy"), workflow.owners.get(Role.BUSINESS)
    if person != owner:
        raise Denied(
            f"only the business owner {owner} gives {workflow.id} autonomy",
            hint="Ask them; lowering a stage is free to anyone.",
            expected=owner,
            found=person,
        )
    if why := blocks_raise(tx, workflow):
        raise Conflict(
            f"the stage of {workflow.id} does not go up: {why}",
            hint=f"Look at it: stopwork workflows show {workflow.id}",
            found=workflow.stage,
        )


def demote(tx: Tx, manifests: Manifests, *, incident: str, because: str, rule: str = "") -> Stage | None:
    """Take autonomy back by itself, where the manifest says so; answer the stage, or ``None`` where nothing changes.

    Called for each signal that belongs to an incident, in its transaction, with the alert rule behind it; and without a ``rule`` where the
    records show later that the incident is graver. A workflow whose autonomy is being given back loses it to an incident that is grave
    enough, any other to the rules that the manifest names. Up again it goes only with its owner.
    """
    home = tx.need(Incident, incident)
    known = known_workflow(tx, home.workflow)
    demotion = manifests.version(tx, known.id, known.version).manifest.stages.demote
    if not goes_up(demotion.to, known.stage):
        return None
    grave = ORDER.index(home.severity) <= ORDER.index(demotion.severity) and _is_returning(tx, known)
    if not grave and rule not in demotion.on:
        return None
    why = f"the alert rule {rule}" if rule in demotion.on else f"a signal at {home.severity.name}"
    _change(
        tx, known, demotion.to, reason=f"by itself, for {why}: {because}", incident=incident, rule=rule or why
    )
    return demotion.to


def undo_demotion(tx: Tx, incident: Incident, *, person: str) -> tuple[Stage | None, str]:
    """Give back what was taken away by itself for an incident that was none; answer the stage, and why it is not given back.

    That is the business owner's, and it goes back to where it was: nothing has failed. It stays where it is while another incident is
    open, or when somebody has changed it since.
    """
    taken = [
        entry.event
        for entry in tx.entries(incident=incident.id, kinds=("workflow.stage_changed",))
        if isinstance(entry.event, StageChanged) and entry.event.rule
    ]
    known = known_workflow(tx, incident.workflow)
    if not taken or not goes_up(known.stage, taken[0].before):
        return None, ""
    if known.stage is not taken[-1].after:
        return None, "somebody has changed it since"
    if why := _open_besides(tx, known, incident.id):
        return None, why
    _change(
        tx,
        known,
        taken[0].before,
        reason=f"{incident.id} was a false alarm, signed by {person}",
        incident=incident.id,
    )
    return taken[0].before, ""


def _open_besides(view: View, workflow: Workflow, incident: str = "") -> str:
    for each in view.each(Incident, workflow=workflow.id, order="-opened_at", status=UNENDED):
        if each.id != incident and not each.practice:
            return f"{each.id} is open, and autonomy comes back through its re-enable"
    return ""


def _is_returning(tx: Tx, workflow: Workflow) -> bool:
    """Answer whether autonomy is being given back: it is not all there, or the incident after which it is is still watched."""
    watched = list(
        tx.each(Incident, workflow=workflow.id, status=IncidentStatus.MONITORING, order="opened_at")
    )
    return workflow.stage is not Stage.NORMAL or any(each.reenabled_at is not None for each in watched)


def close(tx: Tx, *, incident: str, reason: str) -> Incident:
    """Close an incident whose workflow has its full autonomy and whose lesson is written down.

    What was never paused needs no return; at sev3 the postmortem is optional.
    """
    require_person(tx, "close an incident")
    known = tx.need(Incident, incident)
    if known.status is IncidentStatus.CLOSED:
        return known
    missing = []
    paused = known.paused_at is not None and known.reenabled_at is None
    if paused or known_workflow(tx, known.workflow).stage is not Stage.NORMAL:
        missing.append("the return to the stage normal")
    if known.learned_at is None and known.severity is not Severity.SEV3:
        missing.append("the postmortem")
    if tx.count(Hold, incident=incident, active=True):
        missing.append("the end of its holds")
    if missing:
        raise Conflict(
            f"{incident} cannot be closed before " + " and ".join(missing),
            hint="Do that first.",
            missing=missing,
        )
    move(tx, incident, IncidentStatus.CLOSED, reason=reason)
    return tx.need(Incident, incident)


def _change(
    tx: Tx, workflow: Workflow, after: Stage, *, reason: str, incident: str | None, rule: str = ""
) -> None:
    tx.record(
        StageChanged(
            workflow=workflow.id,
            before=workflow.stage,
            after=after,
            reason=reason,
            epoch=current_epoch(tx) + 1,
            incident=incident,
            rule=rule,
        )
    )
