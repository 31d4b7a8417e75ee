"""What a code is called on a page: one label, and where it matters one tone and one icon."""

from __future__ import annotations

from enum import StrEnum

from stopwork.ledger import words as w
from stopwork.manifest.credentials import CredentialKind


class Tone(StrEnum):
    """How a word is coloured; a colour never stands without its word and icon."""

    CALM = "calm"
    GOOD = "good"
    CAUTION = "caution"
    BAD = "bad"
    ACCENT = "accent"


_LABELS: dict[type[StrEnum], dict[StrEnum, str]] = {
    w.Verdict: {
        w.Verdict.ALLOW: "Allowed",
        w.Verdict.DENY: "Denied",
        w.Verdict.WAIT: "Waiting for approval",
        w.Verdict.DRAFT: "Drafted, not run",
        w.Verdict.REPLAY: "Replayed, not run again",
    },
    w.Outcome: {
        w.Outcome.UNKNOWN: "Outcome unknown",
    },
    w.SignalState: {
        w.SignalState.UNPLACED: "Workflow not known",
        w.SignalState.INCIDENT: "In an incident",
        w.SignalState.LOGGED: "Only logged",
        w.SignalState.SERVER: "About Stopwork itself",
    },
    w.Mode: {
        w.Mode.OBSERVE: "Observed only",
        w.Mode.ENFORCE: "Enforced",
    },
    w.HoldMode: {
        w.HoldMode.BLOCK: "Block every call",
        w.HoldMode.READ_ONLY: "Allow reads only",
        w.HoldMode.DRAFT_ONLY: "Record drafts only",
        w.HoldMode.APPROVAL_REQUIRED: "Ask for approval each time",
    },
    w.Stage: {
        w.Stage.READ_ONLY: "Read only",
        w.Stage.DRAFT_ONLY: "Draft only",
        w.Stage.APPROVED_WRITES: "Approved writes",
        w.Stage.LIMITED: "Limited",
        w.Stage.NORMAL: "Normal",
    },
    w.DraftState: {
        w.DraftState.OPEN: "To decide",
        w.DraftState.UNKNOWN: "Outcome unknown",
    },
    w.Role: {
        w.Role.BUSINESS: "Business owner",
        w.Role.TECHNICAL: "Technical owner",
        w.Role.BACKUP: "Backup owner",
    },
    w.Phase: {
        w.Phase.OPEN: "Open",
        w.Phase.PAUSE: "Pause",
        w.Phase.PRESERVE: "Preserve evidence",
        w.Phase.CONTAIN: "Contain",
        w.Phase.AUDIT: "Audit side effects",
        w.Phase.RECOVER: "Recover",
        w.Phase.COMMUNICATE: "Communicate",
        w.Phase.LEARN: "Learn",
        w.Phase.REENABLE: "Re-enable in stages",
        w.Phase.PREPARE: "Prepare",
    },
    w.DetectedBy: {
        w.DetectedBy.QA_SAMPLE: "QA sample",
    },
    w.ContainmentArea: {
        w.ContainmentArea.OAUTH_GRANTS: "OAuth grants",
    },
    CredentialKind: {
        CredentialKind.OAUTH_GRANT: "OAuth grant",
    },
    w.ContainmentProof: {
        w.ContainmentProof.RECORDS: "Shown by the records",
        w.ContainmentProof.PROBE: "Seen by a probe",
        w.ContainmentProof.ATTESTATION: "Attested",
    },
    w.PlaceKind: {
        w.PlaceKind.POINT: "Guard",
    },
    w.ContainmentState: {
        w.ContainmentState.PROPOSED: "To do",
        w.ContainmentState.PARTIAL: "Partly done",
    },
    w.Remedy: {
        w.Remedy.RESTORE: "Put back",
        w.Remedy.RECREATE: "Create again",
        w.Remedy.DELETE: "Remove",
        w.Remedy.INVERSE: "Undo with a tool",
        w.Remedy.MARK: "Mark as a duplicate",
        w.Remedy.MERGE: "Complete from its copy",
        w.Remedy.RESEND: "Send a correction",
        w.Remedy.REGENERATE: "Write again",
        w.Remedy.ACCEPT: "Leave as it is",
        w.Remedy.TELL: "Cannot be undone: tell people",
    },
    w.DriftState: {
        w.DriftState.UNCHANGED: "As the calls left it",
        w.DriftState.CHANGED: "Changed since",
        w.DriftState.GONE: "Gone",
        w.DriftState.UNREADABLE: "Cannot be compared",
    },
    w.Reversibility: {
        w.Reversibility.FULLY: "Undone fully",
        w.Reversibility.BY_TOOL: "Undone as its tool does it",
        w.Reversibility.PARTLY: "Undone in part",
        w.Reversibility.NOT: "Cannot be undone",
    },
    w.ItemState: {
        w.ItemState.PROPOSED: "Proposed",
        w.ItemState.IN_DOUBT: "In doubt",
        w.ItemState.VERIFIED: "Done, read back",
        w.ItemState.CONFLICT: "Conflict",
        w.ItemState.ACCEPTED: "Left as it is",
    },
    w.Audience: {
        w.Audience.LEGAL_COMPLIANCE: "Legal and compliance",
    },
    w.MessageState: {
        w.MessageState.APPROVED: "Approved, not sent",
        w.MessageState.SENDING: "On its way, or in doubt",
        w.MessageState.FAILED: "Not delivered",
    },
    w.CheckState: {
        w.CheckState.FAILED: "Not yet",
        w.CheckState.ATTESTED: "Attested",
        w.CheckState.EXCEPTED: "Exception",
        w.CheckState.UNKNOWN: "Records cannot tell",
    },
    w.Question: {
        w.Question.TRIGGER: "What started it?",
        w.Question.INPUTS_READ: "What did it read?",
        w.Question.INPUT_FRESHNESS_AND_AUTHORITY: "Were the inputs fresh and allowed?",
        w.Question.PROMPTS_AND_POLICIES: "Which prompts and policies applied?",
        w.Question.MODEL_CALLS: "Which model calls were made?",
        w.Question.TOOL_CALLS: "Which tools were called?",
        w.Question.WRITES: "What did it write?",
        w.Question.EXTERNAL_SENDS: "What left the company?",
        w.Question.APPROVALS: "Who approved what?",
        w.Question.RETRIES_AND_BACKFILLS: "What was retried or run again?",
        w.Question.DOWNSTREAM_AUTOMATIONS: "What else did it set off?",
        w.Question.RECORDS_TO_CORRECT: "Which records must be corrected?",
    },
    w.ReenableCheck: {
        w.ReenableCheck.PAUSED_OR_NARROWED: "Paused, or narrowed to what is safe",
        w.ReenableCheck.AUDIT_COMPLETE: "Side-effect audit complete",
        w.ReenableCheck.RECORDS_CORRECTED: "Records corrected",
        w.ReenableCheck.ROOT_CAUSE_KNOWN: "Root cause known",
        w.ReenableCheck.CONTROL_PATCHED: "Control patched",
        w.ReenableCheck.PERMISSIONS_REDUCED: "Permissions reduced",
        w.ReenableCheck.TESTS_ADDED: "Tests added",
        w.ReenableCheck.MONITORING_UPDATED: "Monitoring updated",
        w.ReenableCheck.RUNBOOK_UPDATED: "Runbook updated",
        w.ReenableCheck.OWNER_APPROVED: "Business owner approved",
        w.ReenableCheck.FIRST_RUN_MONITORED: "First run watched by a person",
    },
    w.PreparednessCheck: {
        w.PreparednessCheck.OWNER_MAP: "Owners are named",
        w.PreparednessCheck.PAUSE_CONTROL: "Pause is tested",
        w.PreparednessCheck.RUN_RECORDS: "Runs leave full records",
        w.PreparednessCheck.AFFECTED_OBJECT_TRACKING: "Touched objects are tracked",
        w.PreparednessCheck.APPROVAL_GATES: "Risky actions ask first",
        w.PreparednessCheck.SEVERITY_MATRIX: "Severity can be computed",
        w.PreparednessCheck.ALERT_RULES: "Alert rules are set",
        w.PreparednessCheck.RECOVERY_PATHS: "Writes can be undone",
        w.PreparednessCheck.CHANGE_CONTROL: "Changes are versioned",
        w.PreparednessCheck.TABLETOP_DRILL: "A drill was run",
    },
}

_TONES: dict[type[StrEnum], dict[StrEnum, Tone]] = {
    w.Verdict: {
        w.Verdict.ALLOW: Tone.GOOD,
        w.Verdict.DENY: Tone.BAD,
        w.Verdict.WAIT: Tone.CAUTION,
        w.Verdict.DRAFT: Tone.CAUTION,
        w.Verdict.REPLAY: Tone.ACCENT,
    },
    w.Outcome: {
        w.Outcome.SUCCEEDED: Tone.GOOD,
        w.Outcome.FAILED: Tone.BAD,
        w.Outcome.UNKNOWN: Tone.CAUTION,
    },
    w.RunStatus: {
        w.RunStatus.RUNNING: Tone.ACCENT,
        w.RunStatus.SUCCEEDED: Tone.GOOD,
        w.RunStatus.FAILED: Tone.BAD,
        w.RunStatus.ABANDONED: Tone.CAUTION,
    },
    w.Risk: {
        w.Risk.MEDIUM: Tone.CAUTION,
        w.Risk.HIGH: Tone.BAD,
        w.Risk.BLOCKED: Tone.BAD,
    },
    w.ApprovalState: {
        w.ApprovalState.PENDING: Tone.CAUTION,
        w.ApprovalState.APPROVED: Tone.GOOD,
        w.ApprovalState.CONSUMED: Tone.GOOD,
        w.ApprovalState.REJECTED: Tone.BAD,
        w.ApprovalState.EXPIRED: Tone.CALM,
    },
    w.DraftState: {
        w.DraftState.OPEN: Tone.CAUTION,
        w.DraftState.RELEASED: Tone.ACCENT,
        w.DraftState.DONE: Tone.GOOD,
        w.DraftState.FAILED: Tone.BAD,
        w.DraftState.UNKNOWN: Tone.CAUTION,
    },
    w.ContainmentState: {
        w.ContainmentState.PROPOSED: Tone.CAUTION,
        w.ContainmentState.IN_PROGRESS: Tone.ACCENT,
        w.ContainmentState.PARTIAL: Tone.CAUTION,
        w.ContainmentState.IN_DOUBT: Tone.CAUTION,
        w.ContainmentState.DONE: Tone.GOOD,
        w.ContainmentState.FAILED: Tone.BAD,
    },
    w.ItemState: {
        w.ItemState.APPROVED: Tone.ACCENT,
        w.ItemState.IN_DOUBT: Tone.CAUTION,
        w.ItemState.VERIFIED: Tone.GOOD,
        w.ItemState.CONFLICT: Tone.CAUTION,
        w.ItemState.FAILED: Tone.BAD,
    },
    w.MessageState: {
        w.MessageState.DRAFT: Tone.CAUTION,
        w.MessageState.APPROVED: Tone.ACCENT,
        w.MessageState.SENDING: Tone.CAUTION,
        w.MessageState.SENT: Tone.GOOD,
        w.MessageState.FAILED: Tone.BAD,
    },
    w.CheckState: {
        w.CheckState.PASSED: Tone.GOOD,
        w.CheckState.FAILED: Tone.CAUTION,
        w.CheckState.ATTESTED: Tone.ACCENT,
        w.CheckState.EXCEPTED: Tone.ACCENT,
    },
    w.IncidentStatus: {
        w.IncidentStatus.PROPOSED: Tone.CAUTION,
        w.IncidentStatus.INVESTIGATING: Tone.BAD,
        w.IncidentStatus.CONTAINED: Tone.CAUTION,
        w.IncidentStatus.RECOVERING: Tone.ACCENT,
        w.IncidentStatus.MONITORING: Tone.ACCENT,
        w.IncidentStatus.CLOSED: Tone.GOOD,
    },
    w.Stage: {
        w.Stage.NORMAL: Tone.GOOD,
        w.Stage.LIMITED: Tone.ACCENT,
        w.Stage.APPROVED_WRITES: Tone.ACCENT,
        w.Stage.DRAFT_ONLY: Tone.CAUTION,
        w.Stage.READ_ONLY: Tone.CAUTION,
    },
    w.Mode: {
        w.Mode.OBSERVE: Tone.CAUTION,
    },
}

_ICONS: dict[type[StrEnum], dict[StrEnum, str]] = {
    w.Verdict: {
        w.Verdict.ALLOW: "check",
        w.Verdict.DENY: "stop",
        w.Verdict.WAIT: "clock",
        w.Verdict.DRAFT: "draft",
        w.Verdict.REPLAY: "replay",
    },
}

_DOORS = {
    w.Phase.PAUSE: "Choose what to pause",
    w.Phase.CONTAIN: "Go to the checklist",
    w.Phase.RECOVER: "Look at the plan",
    w.Phase.COMMUNICATE: "Read the message",
    w.Phase.LEARN: "Go to the postmortem",
    w.Phase.REENABLE: "Go to the checks and stages",
}

_CLICKS = {
    "seal": "One click writes one signed file with every record of this incident. It changes nothing else.",
    "containment/propose": "One click makes the list of what has to be made safe. It does none of it yet.",
    "audit": "One click answers twelve questions from the records. It changes nothing outside of Stopwork.",
    "plan": "One click reads each object and shows what would be put back. Nothing is put back before the owner approves.",
    "recover": "One click puts back what was approved and reads each object again. "
    "What somebody changed since stays as it is, and is shown.",
    "messages/draft": "One click writes a draft for each. Nothing is sent.",
    "prepare": "One click records the score below with what is missing.",
}

_ICON_OF_TONE = {
    Tone.GOOD: "check",
    Tone.BAD: "stop",
    Tone.CAUTION: "alert",
    Tone.ACCENT: "dot",
    Tone.CALM: "ring",
}


def label(word: StrEnum | str) -> str:
    """Answer what a code is called on a page."""
    if isinstance(word, StrEnum) and (known := _LABELS.get(type(word), {}).get(word)):
        return known
    text = str(word).replace("_", " ")
    return text[:1].upper() + text[1:]


def door(phase: w.Phase) -> str:
    """Answer what the link to a phase says that asks for more than a click."""
    return _DOORS.get(phase, f"Go to {label(phase).lower()}")


def click_does(form: str) -> str:
    """Answer what happens when the one button of an incident is pressed."""
    return _CLICKS[form]


def tone(word: StrEnum) -> Tone:
    """Answer how a code is coloured; calm unless it matters."""
    return _TONES.get(type(word), {}).get(word, Tone.CALM)


def icon_name(word: StrEnum) -> str:
    """Answer the icon that stands with a code, so that colour never speaks alone."""
    return _ICONS.get(type(word), {}).get(word) or _ICON_OF_TONE[tone(word)]
