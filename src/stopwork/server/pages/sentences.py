"""What an event says in one line, and which page shows more of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from stopwork.kernel.phrases import lasting, listed
from stopwork.ledger import events as e
from stopwork.ledger import records as r
from stopwork.ledger import words as w
from stopwork.ledger.events import Entry, Event, name_of
from stopwork.server.pages.contexts import TimelineRow
from stopwork.server.pages.formatting import counted, short
from stopwork.server.pages.vocabulary import label
from stopwork.storage.view import View

Sentence = Callable[[Any], str]

_SENTENCES: dict[type[Event], Sentence] = {
    e.ManifestApplied: lambda it: (
        f"Manifest version {it.version} of {it.workflow} applied: {it.reason}" + _despite(it.despite)
    ),
    e.ManifestProposed: lambda it: (
        f"Manifest version {it.version} of {it.workflow} proposed, waits for the {it.approver} owner: {it.reason}"
        + _despite(it.despite)
    ),
    e.ManifestApproved: lambda it: f"Manifest version {it.version} of {it.workflow} signed, now in force",
    e.ManifestDeclined: lambda it: f"Manifest version {it.version} of {it.workflow} declined: {it.reason}",
    e.StageChanged: lambda it: f"Stage changed from {_low(it.before)} to {_low(it.after)}: {it.reason}",
    e.RunStarted: lambda it: (
        f"Run started by {it.trigger}" + (f", attempt {it.attempt}" if it.attempt > 1 else "")
    ),
    e.RunFinished: lambda it: f"Run {it.status.value}" + (f": {it.error}" if it.error else ""),
    e.StepRecorded: lambda it: f"{label(it.kind)}: {it.name}",
    e.CallDecided: lambda it: (
        f"{it.tool}: {_low(it.verdict)}"
        + (f", {it.reasons[0].text}" if it.reasons and it.verdict is not w.Verdict.ALLOW else "")
    ),
    e.CallAttempted: lambda it: f"Call {short(it.call)} is about to run",
    e.CallFinished: lambda it: (
        f"{it.tool} {_outcome(it)}"
        + (f", {counted(len(it.effects), 'object')} changed" if it.effects else "")
    ),
    e.EffectsObserved: lambda it: (
        f"{counted(len(it.effects), 'object')} seen to be changed by {short(it.call)}"
    ),
    e.ChangesFed: lambda it: f"{it.system} told of {counted(len(it.changes), 'change')}",
    e.PointRegistered: lambda it: f"Enforcement point connected: {it.name}",
    e.PointRetired: lambda it: f"Enforcement point gone: {it.reason}",
    e.KeysExpired: lambda it: (
        f"{counted(len(it.keys), 'idempotency key')} of {it.workflow} not used for long: free again"
    ),
    e.PauseTestBegan: lambda it: f"Pause test of {it.workflow} began: its guards are to confirm",
    e.PauseTestFinished: lambda it: (
        f"Pause test of {it.workflow} " + ("passed" if it.passed else "FAILED: " + _unstopped(it))
    ),
    e.HoldSet: lambda it: f"Held: {it.scope}, {_low(it.mode)}",
    e.HoldNagged: lambda it: (
        f"Still held after {lasting(it.age_s)}: {it.scope}. "
        f"{counted(it.calls_stopped, 'call')} stopped, {counted(it.runs_due, 'scheduled run')} fell due; "
        f"reminder to {it.owner or 'everybody'}"
    ),
    e.HoldLifted: lambda it: f"Hold lifted: {it.scope}. {it.reason}",
    e.ApprovalRequested: lambda it: f"Approval asked: {it.title}",
    e.ApprovalDecided: lambda it: (
        f"{'Approved' if it.approve else 'Rejected'} by {it.person}" + (f": {it.note}" if it.note else "")
    ),
    e.ApprovalEdited: lambda it: f"What is asked was changed: {short(it.approval)}",
    e.ApprovalEscalated: lambda it: f"Nobody had answered, so {listed(it.to)} is asked as well: {it.title}",
    e.ApprovalConsumed: lambda it: f"Approval used by {short(it.by)}",
    e.ApprovalExpired: lambda it: f"Approval {short(it.approval)} expired without an answer",
    e.DraftEdited: lambda it: f"Draft {short(it.call)} edited: {it.reason}",
    e.DraftReleased: lambda it: f"Draft released, {it.tool} will run: {it.reason}",
    e.DraftClaimed: lambda it: f"A guard took the released draft {short(it.call)}",
    e.DraftReturned: lambda it: f"Draft {short(it.call)} is open again: {it.why}",
    e.DraftDiscarded: lambda it: f"Draft {short(it.call)} discarded: {it.reason}",
    e.DraftSuperseded: lambda it: f"Draft {short(it.call)} superseded: {it.why}",
    e.BackfillOrdered: lambda it: f"The run of {it.occasion} is to be made up for: {it.reason}",
    e.BackfillTaken: lambda it: f"A guard took the backfill {short(it.backfill)}, as run {short(it.run)}",
    e.BackfillExpired: lambda it: f"Nobody took the backfill {short(it.backfill)} up in time",
    e.BackfillWithdrawn: lambda it: f"Backfill {short(it.backfill)} withdrawn: {it.reason}",
    e.SignalRaised: lambda it: f"Signal: {it.summary}",
    e.SignalRepeated: lambda it: f"Signal {short(it.signal)} came in {counted(it.times, 'more time')}",
    e.SignalAssigned: lambda it: f"Signal {short(it.signal)} is about {it.workflow}",
    e.ToolsTraced: lambda it: (
        f"Traces of {it.workflow} tell of {counted(len(it.tools) + it.left_out, 'tool call')}"
    ),
    e.IncidentOpened: lambda it: (
        f"{'Practice incident' if it.practice else 'Incident'} "
        f"{'proposed' if it.status is w.IncidentStatus.PROPOSED else 'opened'} at {it.severity.value.upper()}"
        f"{f' by the rule {it.rule}' if it.rule else ''}: {it.title}"
    ),
    e.IncidentMerged: lambda it: f"{it.incident} merged into {it.into}: {it.reason}",
    e.IncidentTagged: lambda it: f"Tagged {listed(it.tags, most=20)}" if it.tags else "Tags removed",
    e.QuestionAnswered: lambda it: f"Question {it.item} answered: {it.answer}",
    e.ReadersChanged: lambda it: (
        f"Private: only {listed(it.readers, most=9)} and administrators see it: {it.reason}"
        if it.private
        else f"No longer private: {it.reason}"
    ),
    e.IncidentSplit: lambda it: (
        f"{counted(len(it.signals), 'signal')} and {counted(len(it.runs), 'run')} split off into {it.into}: {it.reason}"
    ),
    e.SignalJoined: lambda it: f"Signal {short(it.signal)} belongs to the incident",
    e.IncidentPaused: lambda _: "The incident has its first hold",
    e.SeverityChanged: lambda it: f"Severity {_change(it)}: {it.reason}",
    e.StatusChanged: lambda it: f"Status {_change(it)}" + (f": {it.reason}" if it.reason else ""),
    e.RoleHandedOver: lambda it: f"{label(it.role)} handed over from {it.before} to {it.after}",
    e.NoteAdded: lambda it: it.text,
    e.RootCauseRecorded: lambda it: f"Root cause: {it.text}",
    e.UpdateScheduled: lambda it: f"Next update due at {it.next_update_at:%H:%M} UTC",
    e.EvidenceSealed: lambda it: f"Evidence sealed: {counted(it.entries, 'entry')}",
    e.EvidenceViewed: lambda it: (
        f"Evidence taken out: {it.what}" if it.exported else f"Evidence looked at: {it.what}"
    ),
    e.EvidenceAdded: lambda it: f"Added to the evidence: {', '.join(blob.name for blob in it.blobs)}",
    e.LegalHoldSet: lambda it: f"Legal hold set: {it.reason}",
    e.LegalHoldLifted: lambda it: f"Legal hold lifted: {it.reason}",
    e.KeysKept: lambda it: f"{counted(len(it.keys), 'idempotency key')} kept by a legal hold",
    e.ContainmentProposed: lambda it: f"Containment checklist made: {counted(len(it.items), 'item')}",
    e.ContainmentRecorded: lambda it: f"Containment item {_low(it.state)}: {it.verified_how}",
    e.ContainmentAssigned: lambda it: f"Containment item given to {it.to}",
    e.ContainmentLooked: lambda it: f"Containment item: the records confirm {_of(it.places)}",
    e.HookStarted: lambda it: f"Hook {it.hook} begun{_before_capture(it)}",
    e.HookEnded: lambda it: f"Hook {it.hook} {_low(it.state)}: {it.note}",
    e.AuditCompleted: lambda it: f"Side effects audited: {counted(it.objects, 'object')}",
    e.DriftLooked: lambda it: (
        f"Looked at {counted(len(it.objects), 'object')}: "
        f"{sum(each.state is w.DriftState.UNCHANGED for each in it.objects)} as the calls left them"
    ),
    e.PlanProposed: lambda it: f"Recovery planned: {counted(len(it.items), 'item')}",
    e.PlanExtended: lambda it: f"Recovery planned: {counted(len(it.items), 'more item')}",
    e.PlanEdited: lambda it: (
        f"Recovery of {next((each.object for each in it.items if each.id == it.item), it.item)} edited: {it.reason}"
    ),
    e.PlanApproved: lambda it: (
        f"Recovery approved: {counted(len(it.items), 'item')}"
        + (f" by the rule {it.where}" if it.where else "")
        + (f", {len(it.accepted)} left as they are" if it.accepted else "")
    ),
    e.PlanStarted: lambda it: (
        f"Recovery goes on: {it.reason}"
        if it.reason
        else f"Recovery begins: {counted(it.left, 'item')} to do"
    ),
    e.PlanPaused: lambda it: f"Recovery paused: {it.reason}" + _in_flight(it),
    e.PlanCancelled: lambda it: (
        f"Recovery cancelled, {counted(len(it.items), 'item')} not done: {it.reason}" + _in_flight(it)
    ),
    e.ItemAttempted: lambda it: f"Recovery of {it.object} begins",
    e.ItemFinished: lambda it: (
        f"Recovery of {it.object}: {_low(it.state)}" + (f". {it.note}" if it.note else "")
    ),
    e.ItemsPostponed: lambda it: (
        f"Recovery waits: {it.system if it.lane else counted(len(it.items), 'object')} out of reach. {it.error}"
    ),
    e.ItemsReadAgain: lambda it: (
        f"What was put back in {it.system} was read once more"
        + ("" if it.done else " in part")
        + (f": {counted(len(it.changed), 'object')} had changed again" if it.changed else "")
    ),
    e.PlanFinished: lambda it: (
        "Recovery finished: "
        + (
            ", ".join(f"{number} {state.replace('_', ' ')}" for state, number in it.outcome.items())
            or "no items"
        )
    ),
    e.MessageDrafted: lambda it: f"Message drafted for {_low(it.audience)}",
    e.MessageApproved: lambda it: f"Text of message {short(it.message)} approved",
    e.MessageAttempted: lambda it: f"Message {short(it.message)} is about to leave",
    e.MessageSent: lambda it: (
        f"Message sent to {counted(len(it.delivery), 'person')}"
        + ("; everybody who has to be told has been" if it.complete else "")
    ),
    e.MessageFailed: lambda it: f"Message not delivered: {it.error}",
    e.MessageDiscarded: lambda it: f"Message discarded: {it.reason}",
    e.ResponseBegan: lambda it: (
        f"{it.taken_by} has taken the incident"
        if it.taken_by
        else _asked("Asked to take it", it.told, it.due_at)
    ),
    e.ResponseRaised: lambda it: (
        f"Told that it is {it.severity.value.upper()} now: {listed(it.told, most=9)}"
    ),
    e.IncidentAcknowledged: lambda it: f"Acknowledged by {it.person}" + (f": {it.note}" if it.note else ""),
    e.AcknowledgementLapsed: lambda it: (
        f"Nothing has happened since {it.since:%H:%M} UTC, so the acknowledgement of {it.person} has lapsed"
    ),
    e.CommandHandedOver: lambda it: _asked("Asked to take the command", (it.person,), it.due_at),
    e.ResponseEscalated: lambda it: _asked(
        f"Escalated to {_low(it.role)}, because {it.why}", it.to, it.due_at
    ),
    e.TellingPlanned: lambda it: f"{it.person} is to be told: {it.subject}",
    e.TellingAttempted: lambda it: f"Telling {it.person}" + (f", try {it.attempt}" if it.attempt > 1 else ""),
    e.TellingSucceeded: lambda it: f"The message to {it.person} has left: {it.said}",
    e.TellingFailed: lambda it: (
        f"{it.person} could not be told: {it.error}"
        + (f"; next try at {it.again_at:%H:%M} UTC" if it.again_at else "; that was the last try")
    ),
    e.TellingDropped: lambda it: f"{it.person} is not told any more: {it.why}",
    e.EntryPinned: lambda it: f"Entry {it.entry} pinned",
    e.EntryUnpinned: lambda it: f"Entry {it.entry} unpinned",
    e.EntryCorrected: lambda it: (
        f"Entry {it.entry} corrected ({it.reason})"
        + (f": {it.text}" if it.text else "")
        + (f", it happened at {it.occurred_at:%Y-%m-%d %H:%M:%S} UTC" if it.occurred_at else "")
    ),
    e.PostmortemSaved: lambda _: "Postmortem saved",
    e.PostmortemClosed: lambda _: "Postmortem closed",
    e.CheckAnswered: lambda it: f"{label(it.check)}: {_low(it.state)}. {it.note}",
    e.IncidentReenabled: lambda it: f"Re-enabled at stage {_low(it.stage)}",
    e.PreparednessReviewed: lambda it: f"Preparedness of {it.workflow} reviewed: {it.score} of 100",
    e.CredentialIssued: lambda it: f"Credential issued to {it.principal}",
    e.CredentialUsed: lambda it: f"One-time link {short(it.credential)} used",
    e.CredentialRevoked: lambda it: f"Credential {short(it.credential)} revoked: {it.reason}",
    e.LogAnchored: lambda it: (
        f"The log of {it.size:,} entries is kept by {it.anchor} ({it.place}): {it.said}"
    ),
    e.DutyFailed: lambda it: f"Background duty {it.duty} failed: {it.error}",
}

#: What is said where the record that an event is about is at hand, so that a name stands in place of an id.
_WITH_RECORD: dict[type[Event], tuple[type[r.Record], str, Callable[[Any, Any], str]]] = {
    e.CallAttempted: (r.Call, "call", lambda _, call: f"{call.tool} is about to run"),
    e.EffectsObserved: (
        r.Call,
        "call",
        lambda it, call: f"{counted(len(it.effects), 'object')} seen to be changed by {call.tool}",
    ),
    e.ApprovalEdited: (r.Approval, "approval", lambda _, asked: f"What is asked was changed: {asked.title}"),
    e.ApprovalExpired: (r.Approval, "approval", lambda _, asked: f"Nobody answered in time: {asked.title}"),
    e.SignalRepeated: (
        r.Signal,
        "signal",
        lambda it, signal: f"Signal came in {counted(it.times, 'more time')}: {signal.summary}",
    ),
    e.SignalAssigned: (
        r.Signal,
        "signal",
        lambda it, signal: f"Signal is about {it.workflow}: {signal.summary}",
    ),
    e.SignalJoined: (r.Signal, "signal", lambda _, signal: f"Signal: {signal.summary}"),
    e.ContainmentRecorded: (
        r.ContainmentItem,
        "item",
        lambda it, item: (
            f"{item.what}: {_low(it.state)}. {it.verified_how}"
            + (" (attested)" if it.proof is w.ContainmentProof.ATTESTATION else "")
        ),
    ),
    e.ContainmentAssigned: (
        r.ContainmentItem,
        "item",
        lambda it, item: (
            f"{item.what}: given to {it.to}" + (f", due {it.due_at:%Y-%m-%d %H:%M} UTC" if it.due_at else "")
        ),
    ),
    e.ContainmentLooked: (
        r.ContainmentItem,
        "item",
        lambda it, item: f"{item.what}: the records confirm {_of(it.places)}",
    ),
    e.HookStarted: (
        r.ContainmentItem,
        "item",
        lambda it, item: f"{item.what}: hook {it.hook} begun{_before_capture(it)}",
    ),
    e.HookEnded: (
        r.ContainmentItem,
        "item",
        lambda it, item: f"{item.what}: hook {it.hook} {_low(it.state)}. {it.note}",
    ),
    e.MessageApproved: (
        r.Message,
        "message",
        lambda _, message: f"Message to {_low(message.audience)}: text approved",
    ),
    e.MessageSent: (
        r.Message,
        "message",
        lambda it, message: (
            f"Message to {_low(message.audience)} sent to {counted(len(it.delivery), 'person')}"
        ),
    ),
    e.MessageFailed: (
        r.Message,
        "message",
        lambda it, message: f"Message to {_low(message.audience)} not delivered: {it.error}",
    ),
    e.MessageDiscarded: (
        r.Message,
        "message",
        lambda it, message: f"Message to {_low(message.audience)} discarded: {it.reason}",
    ),
    e.ApprovalDecided: (
        r.Approval,
        "approval",
        lambda it, asked: (
            f"{'Approved' if it.approve else 'Rejected'}: {asked.title}" + (f". {it.note}" if it.note else "")
        ),
    ),
    e.ApprovalEdited: (r.Approval, "approval", lambda _, asked: f"Arguments changed: {asked.title}"),
    e.ApprovalConsumed: (r.Approval, "approval", lambda _, asked: f"Done as approved: {asked.title}"),
    e.ApprovalExpired: (r.Approval, "approval", lambda _, asked: f"Nobody answered in time: {asked.title}"),
}

_SECTIONS = {
    "evidence": w.Phase.PRESERVE,
    "containment": w.Phase.CONTAIN,
    "audit": w.Phase.AUDIT,
    "plan": w.Phase.RECOVER,
    "item": w.Phase.RECOVER,
    "message": w.Phase.COMMUNICATE,
    "postmortem": w.Phase.LEARN,
    "reenable": w.Phase.REENABLE,
    "preparedness": w.Phase.PREPARE,
}


def sentence(event: Event, view: View) -> str:
    """Answer the event in one line; a kind without a sentence of its own says its name."""
    if told := _WITH_RECORD.get(type(event)):
        kind, field, say = told
        if (record := view.get(kind, getattr(event, field))) is not None:
            return say(event, record)
    known = _SENTENCES.get(type(event))
    return known(event) if known else label(name_of(event).replace(".", " "))


def timeline_row(entry: Entry, view: View) -> TimelineRow:
    """Answer a journal entry as a line of a timeline."""
    event = entry.event
    occurred_at = getattr(event, "occurred_at", None)
    return TimelineRow(
        seq=entry.seq,
        at=entry.at,
        actor=entry.actor,
        kind=name_of(event),
        text=sentence(event, view),
        href=address(event),
        occurred_at=occurred_at
        if occurred_at and abs((entry.at - occurred_at).total_seconds()) > 1
        else None,
    )


def address(event: Event) -> str:
    """Answer where a page shows more of this event; empty when none does."""
    if hold := getattr(event, "hold", None):
        return f"/holds/{hold}"
    if name_of(event).startswith("draft."):
        return f"/drafts/{getattr(event, 'call', '')}"
    if approval := getattr(event, "approval", None):
        return f"/approvals/{approval}"
    section = _SECTIONS.get(name_of(event).partition(".")[0])
    if (incident := getattr(event, "incident", None)) and (section or not getattr(event, "run", None)):
        return f"/incidents/{incident}" + (f"#{section.value}" if section else "")
    if run := getattr(event, "run", None):
        call = getattr(event, "call", None)
        return f"/runs/{run}" + (f"#{call}" if call else "")
    if workflow := getattr(event, "workflow", None):
        return f"/workflows/{workflow}"
    return ""


def _asked(what: str, people: tuple[str, ...], due_at: datetime) -> str:
    return f"{what} by {due_at:%Y-%m-%d %H:%M} UTC: {listed(people, most=9)}"


def _low(word: Any) -> str:
    text = label(word)
    return text[:1].lower() + text[1:]


def _despite(holds: tuple[str, ...]) -> str:
    return f" (said to be no way around {listed(holds)})" if holds else ""


def _unstopped(it: e.PauseTestFinished) -> str:
    """Answer what a pause would not have stopped."""
    levels = [str(each.level) for each in it.levels if each.state is w.CheckState.FAILED]
    return ", ".join([*levels, *(f"guard {name} did not confirm" for name in it.unconfirmed)])


def _in_flight(it: e.PlanPaused | e.PlanCancelled) -> str:
    return f"; {counted(len(it.in_flight), 'item')} still in flight" if it.in_flight else ""


def _before_capture(it: e.HookStarted) -> str:
    """Say that a hook did not wait for the evidence, and why."""
    return f", before the evidence was sealed, because {it.before_capture}" if it.before_capture else ""


def _of(places: tuple[r.ContainmentPlace, ...]) -> str:
    done = sum(each.state is w.ContainmentState.DONE for each in places)
    return f"{done} of {counted(len(places), 'place')}"


def _change(it: e.SeverityChanged | e.StatusChanged) -> str:
    if isinstance(it, e.SeverityChanged):
        return f"{it.before.value.upper()} → {it.after.value.upper()}"
    return f"{_low(it.before)} → {_low(it.after)}"


def _outcome(it: e.CallFinished) -> str:
    if it.outcome is w.Outcome.UNKNOWN:
        return "ended with an unknown outcome"
    return it.outcome.value
