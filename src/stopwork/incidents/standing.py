"""How each phase of an incident stands by itself: done and how one knows, or what it asks for and of whom.

What must come before what is decided in :mod:`stopwork.incidents.lifecycle`; here each phase looks only at
its own records.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

from msgspec import Struct

from stopwork.incidents.case import Case
from stopwork.incidents.communicate import audiences, outstanding
from stopwork.incidents.contain import ENDED
from stopwork.incidents.followup import put_back, taken_back
from stopwork.incidents.learn import shallow
from stopwork.incidents.pause import Proposal, facts_of, proposals
from stopwork.incidents.reenable import GOOD, checks, next_step
from stopwork.incidents.scope import uncovered
from stopwork.incidents.severity import WHOLE
from stopwork.kernel.phrases import count_of, listed
from stopwork.ledger.records import Hold
from stopwork.ledger.words import (
    Audience,
    IncidentStatus,
    IncidentType,
    ItemState,
    MessageState,
    Phase,
    PlanState,
    ReenableCheck,
    RunStatus,
    Severity,
    Stage,
)

_NOT_PUT_BACK: Final = (ItemState.CONFLICT, ItemState.FAILED, ItemState.CANCELLED)


class Standing(Struct, frozen=True, kw_only=True):
    """One phase: ``why`` says how one knows that it is done, or why its ``task`` comes next.

    ``waits`` is true where nobody can do anything now: something has to happen first, such as the next run.
    """

    done: bool
    why: str
    task: str = ""
    who: str = ""
    at: datetime | None = None
    waits: bool = False


def _done(why: str, at: datetime | None) -> Standing:
    return Standing(done=True, why=why, at=at)


def _open(task: str, why: str, who: str = "") -> Standing:
    return Standing(done=False, task=task, why=why, who=who)


def _opened(case: Case) -> Standing:
    incident = case.incident
    if incident.status is IncidentStatus.PROPOSED:
        return _open(
            "Accept the incident, decline it, or merge it into another one",
            f"proposed by {f'the alert rule {incident.rule}' if incident.rule else incident.opened_by}",
            incident.commander,
        )
    return _done(f"opened by {incident.opened_by}; {incident.commander} commands it", incident.opened_at)


def protecting(case: Case) -> tuple[Hold, ...]:
    """Answer the active holds that remove this incident's risk: its own, one on the whole workflow, and the one that would be proposed.

    A part that is held for another incident says nothing about this one.
    """
    smallest = _smallest(case).scope
    return tuple(
        hold
        for hold in case.holds
        if hold.active
        and (hold.incident == case.incident.id or hold.scope.kind in WHOLE or hold.scope == smallest)
    )


def _smallest(case: Case) -> Proposal:
    return proposals(case.incident.type, facts_of(case.signals), case.current)[0]


def _paused(case: Case) -> Standing:
    holds = [str(hold.scope) for hold in protecting(case)]
    if holds:
        flying = sum(call.in_flight for call in case.calls)
        still = f"; {count_of(flying, 'call')} still in flight" if flying else ""
        return _done(f"held: {listed(holds)}{still}", case.incident.paused_at)
    if case.incident.reenabled_at is not None:
        return _done(f"returned at the stage {_stage(case.workflow.stage)}", case.incident.paused_at)
    # Where no run is known the records cannot say that nothing was written, unless it is that none began.
    looked_at = bool(case.runs) or case.incident.type is IncidentType.MISSED_WORKFLOW
    if looked_at and not case.writes and not any(run.status is RunStatus.RUNNING for run in case.runs):
        return _done("nothing was written and no run is going on: a pause would stop nothing", None)
    elsewhere = [str(hold.scope) for hold in case.holds if hold.active]
    other = f"; {listed(elsewhere)} is held for something else" if elsewhere else ""
    return _open("Pause the smallest unsafe part", f"proposed: stop {_smallest(case).stops}{other}")


def _preserved(case: Case) -> Standing:
    incident = case.incident
    if incident.sealed_at is None:
        return _open("Seal the evidence", "nothing is put back before it, and later work would overwrite it")
    entries = f"{count_of(case.bundle.entries, 'journal entry')} sealed" if case.bundle else "sealed"
    return _done(entries, incident.sealed_at)


def _contained(case: Case) -> Standing:
    if case.incident.contained_at is not None:
        return _done(f"{count_of(len(case.containment), 'item')} verified", case.incident.contained_at)
    if not case.containment:
        return _open("Start the containment checklist", "it is made from what the incident touched")
    left = [item for item in case.containment if item.state not in ENDED]
    if not left:
        return _open("Confirm the containment", "every item has ended; one has to be confirmed by a person")
    return _open(
        f"Verify {count_of(len(left), 'containment item')}",
        f"{len(case.containment) - len(left)} of {len(case.containment)} done; next: {left[0].what}",
        case.incident.technical_owner,
    )


def _audited(case: Case) -> Standing:
    if case.audit is None:
        return _open("Audit the side effects", "twelve questions are answered from the records")
    if (left_out := uncovered(case)) and not case.audit.scope.narrowed:
        return _open("Audit the side effects again", left_out)
    return _done(f"{count_of(case.audit.objects, 'object')} listed", case.audit.at)


def _recovered(case: Case) -> Standing:
    incident, plan = case.incident, case.plan
    if plan is None:
        if case.audit is not None and case.audit.objects == 0:
            return _done("no object was changed; there is nothing to put back", case.audit.at)
        return _open("Propose the recovery plan", "it shows for each object what would be put back")
    match plan.state:
        case PlanState.PROPOSED:
            objects = count_of(plan.items, "object")
            return _open("Approve the recovery plan", f"{objects} to be put right", incident.business_owner)
        case PlanState.APPROVED:
            return _open("Run the recovery plan", f"approved by {plan.approved_by}", incident.technical_owner)
        case PlanState.RUNNING:
            left = sum(item.state in (ItemState.APPROVED, ItemState.IN_DOUBT) for item in case.plan_items)
            return _open(
                "Finish the recovery", f"{left} of {plan.items} still to do", incident.technical_owner
            )
        case PlanState.PAUSED:
            return _open("Resume or cancel the recovery", f"paused by {plan.steered_by}: {plan.reason}")
        case PlanState.FINISHED:
            return _finished_plan(case)


def _finished_plan(case: Case) -> Standing:
    stuck = [item for item in case.items if item.state in _NOT_PUT_BACK]
    if stuck:
        return _open(
            f"Decide about {count_of(len(stuck), 'object')} not put back",
            f"{stuck[0].object}: {stuck[0].note or stuck[0].state}",
            case.incident.business_owner,
        )
    if again := taken_back(case.items):
        return _open(
            f"Decide about {count_of(len(again), 'object')} whose repair was taken back",
            f"{again[0].object}: it holds what the agent left",
            case.incident.business_owner,
        )
    repaired = len(put_back(case.items))
    accepted = len(case.items) - repaired
    rest = f", {accepted} left as they are with a reason" if accepted else ""
    return _done(f"{repaired} put back and read back{rest}", case.incident.recovered_at)


def _communicated(case: Case) -> Standing:
    left = outstanding(case)
    if not left:
        sent = sum(message.state is MessageState.SENT for message in case.messages)
        return _done(f"{count_of(sent, 'message')} sent", case.incident.communicated_at)
    message = next(
        (m for m in case.messages if m.audience in left and m.state is not MessageState.DISCARDED), None
    )
    if message is None:
        why = next(told.why for told in audiences(case) if told.audience is left[0])
        return _open(
            f"Draft messages for {count_of(len(left), 'audience')}",
            f"{_audience(left[0])}: {why}",
            case.incident.communication_owner,
        )
    to, who = _audience(message.audience), case.incident.communication_owner
    match message.state:
        case MessageState.APPROVED:
            return _open(f"Send the message to {to}", f"approved by {message.approved_by}", who)
        case MessageState.FAILED:
            return _open(f"Send the message to {to} again", message.error or "it could not be delivered", who)
        case _:
            return _open(
                f"Approve the message to {to}", "nothing is sent before a person approved its text", who
            )


def _learned(case: Case) -> Standing:
    incident, saved = case.incident, case.postmortem
    if incident.learned_at is not None:
        return _done("the postmortem is closed", incident.learned_at)
    optional = " (optional at SEV3)" if incident.severity is Severity.SEV3 else ""
    if not incident.root_cause:
        return _open(
            f"Record the root cause{optional}", "why did the system allow it?", incident.technical_owner
        )
    if saved is None:
        why = "it is filled in from the records; people complete it"
        return _open(f"Write the postmortem{optional}", why, incident.postmortem_owner)
    why = shallow(saved.fields, saved.follow_ups) or "it is written and not closed"
    return _open(f"Close the postmortem{optional}", why, incident.postmortem_owner)


_CHECK_TASKS: Final = {
    ReenableCheck.PAUSED_OR_NARROWED: "Hold or narrow the workflow",
    ReenableCheck.AUDIT_COMPLETE: "Complete the audit",
    ReenableCheck.RECORDS_CORRECTED: "Put the records right, or sign the exception",
    ReenableCheck.ROOT_CAUSE_KNOWN: "Record the root cause",
    ReenableCheck.CONTROL_PATCHED: "Apply a patched manifest",
    ReenableCheck.PERMISSIONS_REDUCED: "Reduce the permissions, or sign the exception",
    ReenableCheck.TESTS_ADDED: "Say which test now fails without the patch",
    ReenableCheck.MONITORING_UPDATED: "Say how it is noticed earlier next time",
    ReenableCheck.RUNBOOK_UPDATED: "Say what changed in the runbook",
    ReenableCheck.OWNER_APPROVED: "Sign the return",
    ReenableCheck.FIRST_RUN_MONITORED: "Watch the first run",
}
_OF_THE_OWNER: Final = frozenset({ReenableCheck.OWNER_APPROVED, ReenableCheck.RECORDS_CORRECTED})


def _reenabled(case: Case) -> Standing:
    incident = case.incident
    back = incident.reenabled_at
    if back is not None and case.workflow.stage is Stage.NORMAL:
        return _done("the workflow has its full autonomy back", back)
    if incident.paused_at is None and case.workflow.stage is Stage.NORMAL and _paused(case).done:
        return _done("nothing was paused, so nothing has to return", None)
    if back is None:
        for view in checks(case):
            if view.state not in GOOD and view.check is not ReenableCheck.FIRST_RUN_MONITORED:
                owner = view.check in _OF_THE_OWNER
                who = incident.business_owner if owner else incident.technical_owner
                return _open(_CHECK_TASKS[view.check], view.why, who)
    step = next_step(case)
    if step.blocked or step.after is None:
        return Standing(
            done=False,
            task=f"Watch a run at the stage {_stage(case.workflow.stage)}",
            why=step.blocked,
            who=incident.technical_owner,
            waits=True,
        )
    if back is None:
        task, why = f"Return the workflow at the stage {_stage(step.after)}", "every check is answered"
    else:
        task, why = f"Raise the stage to {_stage(step.after)}", "the last run at this stage ended well"
    return _open(task, why, incident.business_owner)


def _prepared(case: Case) -> Standing:
    if case.incident.prepared_at is not None:
        return _done("reviewed; what is missing stands on the workflow's page", case.incident.prepared_at)
    why = "what would have made this incident shorter?"
    return _open("Review how prepared the workflow is", why, case.incident.technical_owner)


def _stage(stage: Stage) -> str:
    return stage.value.replace("_", " ")


def _audience(audience: Audience) -> str:
    return f"the {audience.value.replace('_', ' ')}".replace("the legal compliance", "legal and compliance")


STANDINGS: Final[dict[Phase, Callable[[Case], Standing]]] = {
    Phase.OPEN: _opened,
    Phase.PAUSE: _paused,
    Phase.PRESERVE: _preserved,
    Phase.CONTAIN: _contained,
    Phase.AUDIT: _audited,
    Phase.RECOVER: _recovered,
    Phase.COMMUNICATE: _communicated,
    Phase.LEARN: _learned,
    Phase.REENABLE: _reenabled,
    Phase.PREPARE: _prepared,
}
"""How each phase stands, from its own records."""
