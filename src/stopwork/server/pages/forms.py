"""The console's forms: each is a function from what was sent to what is said and where the person lands.

A form does what the API does, through the same operations. What it cannot do it says on the page it came from.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

from stopwork.incidents.learn import FIELDS
from stopwork.kernel.errors import Conflict, Invalid
from stopwork.kernel.phrases import count_of
from stopwork.ledger import records as r
from stopwork.ledger import words as w
from stopwork.operations import (
    evidence,
    holds,
    incidents,
    messages,
    pause_tests,
    postmortems,
    preparedness,
    recovering,
    returning,
    settling,
)
from stopwork.server.pages.answering import answer_approval, answer_version, decide_draft
from stopwork.server.pages.auditing import audit
from stopwork.server.pages.backfilling import order_backfill, withdraw_backfill
from stopwork.server.pages.builders.controls import chosen_hold
from stopwork.server.pages.containing import CONTAINING
from stopwork.server.pages.held import held
from stopwork.server.pages.keeping import KEEPING
from stopwork.server.pages.planning import approve_plan, edit_item, look_again, propose_plan
from stopwork.server.pages.preserving import PRESERVING
from stopwork.server.pages.reporting import REPORTING
from stopwork.server.pages.sent import Landed, Sent
from stopwork.server.pages.sorting import SORTING
from stopwork.storage.transaction import Tx

#: A page is answered after this long; a recovery goes on by itself.
_ANSWERED_WITHIN_S: Final = 5.0


def _choice(kind: type[Any], value: str, field: str) -> Any:
    try:
        return kind(value)
    except ValueError:
        raise Invalid(f"{value!r} cannot be chosen here", hint="Choose from the list.", field=field) from None


# --- stopping and answering ------------------------------------------------------------------------


def pause(sent: Sent) -> Landed:
    """Set the hold that was chosen."""
    incident = sent.get("incident") or None
    scope, mode = chosen_hold(sent.get("hold"), sent.get("workflow"))
    found = sent.write(
        lambda tx: holds.pause(tx, scope=scope, mode=mode, reason=sent.get("reason"), incident=incident),
        urgent=True,
    )
    words = {
        holds.PauseState.DRAINED: f"{held([found.hold])}. No call that it covers is in flight.",
        holds.PauseState.ENFORCED: f"No further call starts; {count_of(len(found.in_flight), 'call')} still in flight."
        if found.in_flight
        else f"No further call starts; {count_of(len(found.unconfirmed), 'enforcement point')} out of reach.",
        holds.PauseState.PAUSING: "No further call starts; "
        f"{count_of(len(found.unconfirmed), 'enforcement point')} not confirmed yet.",
    }
    return Landed(words[found.state], f"/holds/{found.hold.id}")


def test_pause(sent: Sent) -> Landed:
    """Prove that a pause stops the workflow."""
    workflow = sent.path["workflow"]
    found = pause_tests.run(sent.installation, sent.person, workflow=workflow)
    said = (
        "The pause test passed. Nothing was stopped by it."
        if found.passed
        else "The pause test failed: a pause may not stop this workflow."
    )
    return Landed(said, f"/workflows/{workflow}#pausetest")


def change_stage(sent: Sent) -> Landed:
    """Lower the stage of a workflow, or give it the next."""
    workflow, stage = sent.path["workflow"], _choice(w.Stage, sent.get("stage"), "stage")
    sent.write(
        lambda tx: returning.change_stage(tx, workflow=workflow, stage=stage, reason=sent.get("reason")),
        urgent=True,
    )
    return Landed(f"The workflow is at the stage {stage.replace('_', ' ')}.", f"/workflows/{workflow}#stage")


def lift(sent: Sent) -> Landed:
    """Lift a hold."""
    sent.write(lambda tx: holds.lift(tx, hold=sent.path["hold"], reason=sent.get("reason")))
    return Landed("The hold is lifted.", f"/holds/{sent.path['hold']}")


def settle(sent: Sent) -> Landed:
    """Say what came of a call whose outcome nobody knows."""
    outcome = _choice(w.Outcome, sent.get("outcome"), "outcome")
    settling.settle(
        sent.installation, sent.person, call=sent.path["call"], outcome=outcome, note=sent.get("note")
    )
    happened = {w.Outcome.SUCCEEDED: "it happened", w.Outcome.FAILED: "it did not happen"}[outcome]
    return Landed(f"Settled in your name: {happened}.", f"/runs/{sent.path['run']}#{sent.path['call']}")


# --- incidents -------------------------------------------------------------------------------------


def open_incident(sent: Sent) -> Landed:
    """Open an incident from a sentence, whose first words become the title and the whole a note, or from a signal, which says it all."""
    text, signal = sent.get("text"), sent.get("signal")
    if not text and not signal:
        raise Invalid("say what happened", hint="One sentence is enough.", field="text")
    kind = _choice(w.IncidentType, sent.get("type"), "type") if sent.get("type") else None

    def work(tx: Tx) -> r.Incident:
        opened = incidents.open_by_hand(
            tx,
            sent.installation.manifests,
            workflow=sent.get("workflow"),
            type=kind,
            title=re.split(r"(?<=[.!?])\s", text)[0][:120],
            runs=(sent.get("run"),) if sent.get("run") else (),
            signal=signal,
            practice=bool(sent.get("practice")),
        )
        if text:
            incidents.add_note(tx, incident=opened.id, text=text)
        return opened

    opened = sent.write(work)
    said = f"{opened.id} is open. {opened.commander} commands it."
    if opened.commander == sent.person.id:
        said = f"{opened.id} is open. You are its commander until you hand it over."
    return Landed(said, f"/incidents/{opened.id}")


def note(sent: Sent) -> Landed:
    """Add a note to the timeline."""
    sent.write(lambda tx: incidents.add_note(tx, incident=sent.incident, text=sent.get("text")))
    return Landed("Noted.", sent.at("timeline"))


def severity(sent: Sent) -> Landed:
    """Change the severity."""
    level = _choice(w.Severity, sent.get("severity"), "severity")
    sent.write(
        lambda tx: incidents.change_severity(
            tx, sent.installation.manifests, incident=sent.incident, severity=level, reason=sent.get("reason")
        )
    )
    return Landed(f"The severity is {level.upper()}.", sent.at(w.Phase.OPEN))


def handover(sent: Sent) -> Landed:
    """Give a role to another person."""
    sent.write(
        lambda tx: incidents.hand_over(
            tx, incident=sent.incident, role=sent.get("role"), to=sent.get("to"), note=sent.get("note")
        )
    )
    return Landed(f"Handed over to {sent.get('to')}.", sent.at(w.Phase.OPEN))


def next_update(sent: Sent) -> Landed:
    """Plan the next update."""
    minutes = sent.get("minutes")
    if not minutes.isdigit() or not 1 <= int(minutes) <= 1440:
        raise Invalid("give a number of minutes from 1 to 1440", hint="20 is usual.", field="minutes")
    due = sent.installation.store.clock.now() + timedelta(minutes=int(minutes))
    sent.write(
        lambda tx: incidents.schedule_update(tx, incident=sent.incident, at=due, reason=sent.get("reason"))
    )
    return Landed(f"The next update is due in {count_of(int(minutes), 'minute')}.", sent.at(w.Phase.OPEN))


def root_cause(sent: Sent) -> Landed:
    """Record why the system allowed it."""
    sent.write(lambda tx: incidents.record_root_cause(tx, incident=sent.incident, text=sent.get("text")))
    return Landed("The root cause is recorded.", sent.at(w.Phase.LEARN))


def close(sent: Sent) -> Landed:
    """Close the incident."""
    sent.write(lambda tx: returning.close(tx, incident=sent.incident, reason=sent.get("reason")))
    return Landed("The incident is closed.", f"/incidents/{sent.incident}")


def seal(sent: Sent) -> Landed:
    """Seal the evidence."""
    bundle = evidence.seal(sent.installation, sent.person, incident=sent.incident)
    return Landed(f"Sealed {count_of(bundle.entries, 'entry', 'entries')}.", sent.at(w.Phase.PRESERVE))


def recover(sent: Sent) -> Landed:
    """Run the approved items."""
    plan = recovering.run(sent.installation, sent.person, plan=sent.get("plan"), within_s=_ANSWERED_WITHIN_S)
    if plan.state is w.PlanState.RUNNING:
        return Landed("It goes on by itself; what is done is shown here.", sent.at(w.Phase.RECOVER))
    items = sent.installation.store.read(lambda view: list(view.each(r.Item, plan=plan.id)))
    done = sum(item.state is w.ItemState.VERIFIED for item in items)
    conflicts = sum(item.state is w.ItemState.CONFLICT for item in items)
    said = f"{count_of(done, 'item')} put right and read back"
    return Landed(
        f"{said}; {count_of(conflicts, 'conflict')} left for people." if conflicts else f"{said}.",
        sent.at(w.Phase.RECOVER),
    )


def steer_recovery(sent: Sent) -> Landed:
    """Pause, resume or cancel the recovery, for a reason."""
    plan, reason, way = sent.get("plan"), sent.get("reason"), sent.get("way")
    if way == "resume":
        recovering.run(sent.installation, sent.person, plan=plan, reason=reason, within_s=_ANSWERED_WITHIN_S)
        return Landed("It goes on.", sent.at(w.Phase.RECOVER))
    how = recovering.pause if way == "pause" else recovering.cancel
    store = sent.installation.store
    steered = store.write(lambda tx: how(tx, plan=plan, reason=reason), actor=sent.person, urgent=True)
    in_flight = count_of(len(steered.in_flight), "change")
    said = (
        "Paused: no further change begins" if way == "pause" else "Cancelled: what had not begun is as it was"
    )
    return Landed(
        f"{said}; {in_flight} still in flight." if steered.in_flight else f"{said}.", sent.at(w.Phase.RECOVER)
    )


def draft_messages(sent: Sent) -> Landed:
    """Draft for everyone who must be told."""
    found = sent.write(lambda tx: messages.draft(tx, sent.installation.manifests, incident=sent.incident))
    drafts = sum(message.state is w.MessageState.DRAFT for message in found)
    return Landed(f"{count_of(drafts, 'draft')} to read and approve.", sent.at(w.Phase.COMMUNICATE))


def message(sent: Sent) -> Landed:
    """Save, approve, send or discard a message."""
    known = sent.get("message")
    match sent.get("action"):
        case "save":
            recipients = tuple(filter(None, re.split(r"[,;\s]+", sent.get("recipients"))))
            sent.write(
                lambda tx: messages.edit(
                    tx,
                    message=known,
                    recipients=recipients,
                    subject=sent.get("subject"),
                    body=sent.get("body"),
                )
            )
            said = "Saved as the new draft."
        case "approve" | "approve_and_send" | "send" as action:
            if action != "send":
                sent.write(lambda tx: messages.approve(tx, message=known, digest=sent.get("digest")))
            said = "Approved: exactly this text may be sent." if action == "approve" else _send(sent, known)
        case "arrived" | "lost" as found:
            sent.write(
                lambda tx: messages.settle(
                    tx,
                    sent.installation.manifests,
                    message=known,
                    arrived=found == "arrived",
                    note=sent.get("note"),
                )
            )
            said = (
                "Recorded in your name: it arrived."
                if found == "arrived"
                else "Recorded: it may be sent again."
            )
        case "discard":
            sent.write(lambda tx: messages.discard(tx, message=known, reason=sent.get("reason")))
            said = "Discarded."
        case other:
            raise Invalid(f"{other!r} cannot be done with a message", hint="Use one of the buttons.")
    return Landed(said, sent.at(w.Phase.COMMUNICATE))


def _send(sent: Sent, message_id: str) -> str:
    found = messages.send(sent.installation, sent.person, message=message_id)
    if found.state is w.MessageState.FAILED:
        raise Conflict(f"it was not sent: {found.error}", hint="Mend the cause, then send it again.")
    return f"Handed over for {count_of(len(found.recipients), 'recipient')}."


def postmortem(sent: Sent) -> Landed:
    """Save the postmortem, and close it when that was asked. What was typed is saved in either case."""
    fields = {field.name: sent.get(field.name) for field in FIELDS}
    columns = (sent.all(f"follow_up_{name}") for name in ("what", "remediation", "owner", "due"))
    follow_ups = tuple(
        r.FollowUp(remediation=(kind,) if kind else (), what=what, owner=owner, due_date=due)
        for what, kind, owner, due in zip(*columns, strict=False)
        if what
    )
    sent.write(lambda tx: postmortems.save(tx, incident=sent.incident, fields=fields, follow_ups=follow_ups))
    if sent.get("action") == "close":
        sent.write(lambda tx: postmortems.close(tx, sent.installation.manifests, incident=sent.incident))
        return Landed("The postmortem is closed. The incident stays open.", sent.at(w.Phase.LEARN))
    return Landed("Saved.", sent.at(w.Phase.LEARN))


def answer_check(sent: Sent) -> Landed:
    """Attest, take an exception, or sign."""
    check = _choice(w.ReenableCheck, sent.get("check"), "check")
    sent.write(
        lambda tx: returning.answer(
            tx, sent.installation.manifests, incident=sent.incident, check=check, note=sent.get("note")
        )
    )
    return Landed("Recorded in your name.", sent.at(w.Phase.REENABLE))


def raise_stage(sent: Sent) -> Landed:
    """Give one stage of autonomy back."""
    stage = sent.write(
        lambda tx: returning.raise_stage(tx, sent.installation.manifests, incident=sent.incident)
    )
    return Landed(f"The workflow is at the stage {stage.replace('_', ' ')}.", sent.at(w.Phase.REENABLE))


def prepare(sent: Sent) -> Landed:
    """Review preparedness and record it."""

    def work(tx: Tx) -> Any:
        workflow = tx.need(r.Incident, sent.incident).workflow
        return preparedness.record(tx, sent.installation.manifests, workflow=workflow, incident=sent.incident)

    found = sent.write(work)
    return Landed(f"Reviewed: {found.score} of 100.", sent.at(w.Phase.PREPARE))


_OF_INCIDENT: Final = {
    **CONTAINING,
    **KEEPING,
    **PRESERVING,
    **SORTING,
    "note": note,
    "severity": severity,
    "handover": handover,
    "update": next_update,
    "root-cause": root_cause,
    "close": close,
    "seal": seal,
    "audit": audit,
    "plan": propose_plan,
    "plan/edit": edit_item,
    "plan/approve": approve_plan,
    "drift": look_again,
    "recover": recover,
    "recover/steer": steer_recovery,
    "messages/draft": draft_messages,
    "messages": message,
    "postmortem": postmortem,
    "checks": answer_check,
    "stage": raise_stage,
    "prepare": prepare,
}

FORMS: Final[dict[str, Callable[[Sent], Landed]]] = {
    "/pause": pause,
    "/workflows/{workflow}/pause-test": test_pause,
    "/workflows/{workflow}/stage": change_stage,
    "/workflows/{workflow}/backfills": order_backfill,
    "/backfills/{backfill}/withdraw": withdraw_backfill,
    "/holds/{hold}/lift": lift,
    "/approvals/{approval}": answer_approval,
    "/drafts/{draft}": decide_draft,
    "/workflows/{workflow}/versions/{version}": answer_version,
    "/runs/{run}/calls/{call}": settle,
    "/incidents": open_incident,
    **REPORTING,
    **{f"/incidents/{{incident}}/{path}": form for path, form in _OF_INCIDENT.items()},
}
