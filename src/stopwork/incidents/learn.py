"""Learn: a postmortem filled in from the records, and a check that it changes more than a prompt.

It asks why the system allowed it, not who did it: no field names a person but the owners of what comes next.
What the records cannot tell is left empty for people to write.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import Final

from msgspec import Struct

from stopwork.incidents.case import Case
from stopwork.incidents.drafting import six_facts
from stopwork.incidents.followup import put_back, taken_back
from stopwork.incidents.milestones import first_harm_at
from stopwork.kernel.errors import Conflict
from stopwork.kernel.phrases import count_of, instant, lasting, listed, money, sentence
from stopwork.ledger.records import FollowUp, Incident, Postmortem
from stopwork.ledger.words import (
    DetectedBy,
    EffectKind,
    IncidentType,
    ItemState,
    Mode,
    Outcome,
    ReasonKind,
    RemediationClass,
    Severity,
)

DUE_IN: Final = {
    Severity.SEV0: timedelta(days=7),
    Severity.SEV1: timedelta(days=14),
    Severity.SEV2: timedelta(days=30),
    Severity.SEV3: timedelta(days=90),
}
MANDATORY: Final = frozenset({Severity.SEV0, Severity.SEV1, Severity.SEV2})


class Field(Struct, frozen=True):
    """One field of a postmortem, with the question it answers."""

    name: str
    label: str
    asks: str
    needed: bool = True


FIELDS: Final = (
    Field("summary", "Summary", "What happened, in three sentences?"),
    Field("timeline", "Timeline", "When was what noticed, paused, contained, audited, put back?"),
    Field("impact", "Impact", "Which records, people, customers, money, hours, decisions?"),
    Field("detection_gap", "Detection gap", "Why was it not noticed earlier?"),
    Field("control_gap", "Control gap", "Which control would have stopped it, and was missing?"),
    Field("root_cause", "Root cause", "Why did the system allow it?"),
    Field("contributing_factors", "Contributing factors", "What made it likelier or worse?", needed=False),
    Field("what_worked", "What worked", "What should stay as it is?", needed=False),
    Field("what_failed", "What failed", "What did not work in the response?", needed=False),
    Field("remediation", "Remediation", "What is changed so that it cannot happen this way again?"),
    Field("follow_up_owner", "Owner of the follow-ups", "Who sees to it that they are done?"),
    Field("due_date", "Due date", "By when?"),
)

PROPOSED: Final[dict[IncidentType, tuple[RemediationClass, ...]]] = {
    IncidentType.MISSED_WORKFLOW: (RemediationClass.ALERT_THRESHOLD, RemediationClass.CHANGE_CONTROL),
    IncidentType.DUPLICATE_WORK: (RemediationClass.IDEMPOTENCY, RemediationClass.ALERT_THRESHOLD),
    IncidentType.STALE_OR_WRONG_INPUT: (RemediationClass.INPUT_FRESHNESS, RemediationClass.RUN_RECORD),
    IncidentType.TOOL_MISUSE: (
        RemediationClass.BLOCKED_ACTIONS,
        RemediationClass.NARROWER_PERMISSIONS,
        RemediationClass.APPROVAL_GATE,
    ),
    IncidentType.APPROVAL_BYPASS: (RemediationClass.APPROVAL_GATE, RemediationClass.NARROWER_PERMISSIONS),
    IncidentType.BAD_WRITEBACK: (RemediationClass.APPROVAL_GATE, RemediationClass.INPUT_FRESHNESS),
    IncidentType.EXTERNAL_SEND: (RemediationClass.APPROVAL_GATE, RemediationClass.BLOCKED_ACTIONS),
    IncidentType.SENSITIVE_DATA_EXPOSURE: (
        RemediationClass.NARROWER_PERMISSIONS,
        RemediationClass.BLOCKED_ACTIONS,
    ),
    IncidentType.COST_RUNAWAY: (RemediationClass.ALERT_THRESHOLD, RemediationClass.REENABLE_CRITERIA),
    IncidentType.PROMPT_INJECTION: (
        RemediationClass.ADVERSARIAL_TESTS,
        RemediationClass.NARROWER_PERMISSIONS,
        RemediationClass.APPROVAL_GATE,
    ),
    IncidentType.POLICY_DRIFT: (RemediationClass.VERSION_CONTROL, RemediationClass.CHANGE_CONTROL),
}
"""What usually keeps each type of incident from happening again."""

_CHANGES: Final = {
    RemediationClass.NARROWER_PERMISSIONS: "Reduce the workflow's permissions to what it needs",
    RemediationClass.INPUT_FRESHNESS: "Declare for each source how old its data may be",
    RemediationClass.IDEMPOTENCY: "Declare an idempotency key for each tool that adds something",
    RemediationClass.BLOCKED_ACTIONS: "Block or condition the calls that went wrong",
    RemediationClass.APPROVAL_GATE: "Ask a person before the calls that went wrong",
    RemediationClass.RUN_RECORD: "Record inputs, prompt and model of every run",
    RemediationClass.ALERT_THRESHOLD: "Set the alert so that it fires at the first sign",
    RemediationClass.ADVERSARIAL_TESTS: "Add the input that steered the agent to the tests",
    RemediationClass.VERSION_CONTROL: "Pin prompt, model and tools in the manifest",
    RemediationClass.CHANGE_CONTROL: "Let every change of the workflow carry a reason and a reviewer",
    RemediationClass.OWNER_TRAINING: "Show the owners how to review and re-enable",
    RemediationClass.REENABLE_CRITERIA: "Write down what must hold before the workflow runs again",
}


def proposed_classes(incident_type: IncidentType) -> tuple[RemediationClass, ...]:
    """Answer the classes of remedy that usually help against this type of incident."""
    return PROPOSED[incident_type]


def prefill(case: Case, now: datetime, *, pinned: Sequence[tuple[datetime, str]] = ()) -> dict[str, str]:
    """Answer every field as far as the records can tell; the rest is empty, for people to write.

    What people ``pinned`` in the timeline stands in it among the milestones.
    """
    known = {
        "summary": _summary(case),
        "timeline": _timeline(case, pinned),
        "impact": _impact(case),
        "detection_gap": _detection_gap(case),
        "control_gap": _listing(_control_gaps(case)),
        "root_cause": case.incident.root_cause,
        "contributing_factors": _listing(_contributing(case)),
        "what_worked": _listing(_worked(case)),
        "what_failed": _listing(_failed(case)),
        "remediation": _listing(_CHANGES[each] for each in proposed_classes(case.incident.type)),
        "follow_up_owner": case.incident.postmortem_owner,
        "due_date": _due(case, now),
    }
    return {field.name: known[field.name] for field in FIELDS}


def proposed_follow_ups(case: Case, now: datetime) -> tuple[FollowUp, ...]:
    """Answer one follow-up for each class of remedy that usually helps."""
    return tuple(
        FollowUp(
            remediation=(each.value,),
            what=_CHANGES[each],
            owner=case.incident.technical_owner,
            due_date=_due(case, now),
        )
        for each in proposed_classes(case.incident.type)
    )


def _due(case: Case, now: datetime) -> str:
    return (now + DUE_IN[case.incident.severity]).date().isoformat()


_PROMPT: Final = re.compile(r"\b(prompts?|prompting|instructions?|system message|wording)\b", re.IGNORECASE)
_CONTROL: Final = re.compile(
    r"\b(key|keys|idempoten\w*|gate\w*|approv\w*|permission\w*|scope\w*|block\w*|den(?:y|ied|ies)|condition\w*|"
    r"fresh\w*|limit\w*|budget\w*|cap\w*|alert\w*|threshold\w*|test\w*|version\w*|pin\w*|quarantin\w*|hold\w*|"
    r"schema\w*|validat\w*|monitor\w*|audit\w*|review\w*|drill\w*|record\w*)\b",
    re.IGNORECASE,
)


def shallow(fields: dict[str, str], follow_ups: Sequence[FollowUp]) -> str:
    """Answer why the postmortem changes too little; an empty text when it changes something that holds.

    A prompt is a request to a model. A remedy that only rewords it leaves every control as it was.
    """
    remedies = [each.what for each in follow_ups if each.what.strip()]
    if not remedies:
        return "It has no follow-up: nothing is going to change."
    if all(_only_prompt(remedy) for remedy in [*remedies, *_lines(fields.get("remediation", ""))]):
        return "Its only remedy is to change the prompt, and a prompt is a request, not a control."
    return ""


def _only_prompt(remedy: str) -> bool:
    return bool(_PROMPT.search(remedy)) and not _CONTROL.search(_PROMPT.sub("", remedy))


def _lines(text: str) -> list[str]:
    return [line for line in (raw.strip(" -*\t") for raw in text.splitlines()) if line]


def check_closing(postmortem: Postmortem, incident: Incident) -> None:
    """Raise ``Conflict`` unless the postmortem says enough to be closed; every gap is named."""
    gaps = [
        field.label.lower()
        for field in FIELDS
        if field.needed and not postmortem.fields.get(field.name, "").strip()
    ]
    if gaps:
        raise Conflict(
            f"the postmortem of {incident.id} is not complete: {listed(gaps, most=12)}",
            hint="Write these fields first.",
            missing=gaps,
        )
    for number, each in enumerate(postmortem.follow_ups, start=1):
        if not each.owner.strip() or not _is_date(each.due_date):
            raise Conflict(
                f"follow-up {number} of {incident.id} has no owner or no date",
                hint="Give each an owner and a due date such as 2026-04-01.",
                follow_up=each.what,
            )
    why = shallow(postmortem.fields, postmortem.follow_ups)
    if why and incident.severity in MANDATORY:
        raise Conflict(
            f"the postmortem of {incident.id} is shallow. {why}",
            hint="Add a follow-up that changes a control; the classes of remediation name twelve kinds.",
            severity=incident.severity.value,
        )


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


# --- what the records tell -------------------------------------------------------------------------


def _listing(lines: Iterable[str]) -> str:
    return "\n".join(f"- {sentence(line)}" for line in lines)


def _summary(case: Case) -> str:
    facts = six_facts(case)
    return f"{facts.what_happened} {facts.known_affected}"


def _timeline(case: Case, pinned: Sequence[tuple[datetime, str]]) -> str:
    incident = case.incident
    steps: list[tuple[str, datetime | None]] = [
        ("first call that wrote", first_harm_at(case)),
        ("detected", incident.detected_at),
        ("opened", incident.opened_at),
        ("paused", incident.paused_at),
        ("evidence sealed", incident.sealed_at),
        ("containment verified", incident.contained_at),
        ("audited", incident.audited_at),
        ("recovered", case.recovered_at),
        ("everybody told", incident.communicated_at),
        ("first stage given back", incident.reenabled_at),
    ]
    told = [(at, " ".join(text.split())) for at, text in pinned]
    known = sorted([*((at, what) for what, at in steps if at is not None), *told], key=lambda step: step[0])
    lines = [f"- {instant(at)}: {what}" for at, what in known]
    still_open = [what for what, at in steps if at is None]
    return "\n".join([*lines, *([f"- not yet: {listed(still_open, most=10)}"] if still_open else [])])


def _impact(case: Case) -> str:
    parts = [six_facts(case).known_affected]
    spent = sum(run.cost_usd for run in case.runs)
    if spent:
        parts.append(f"The runs cost {money(spent)} in models.")
    if case.incident.data_classes:
        parts.append(
            sentence(f"classes of data: {listed(n.replace('_', ' ') for n in case.incident.data_classes)}")
        )
    if case.incident.affected_parties:
        parts.append(sentence(f"outside parties: {listed(case.incident.affected_parties)}"))
    return " ".join(parts)


def _detection_gap(case: Case) -> str:
    harm, detected = first_harm_at(case), case.incident.detected_at
    by_people = case.incident.detected_by not in (DetectedBy.ALERT, DetectedBy.FAILED_RUN)
    parts = []
    if harm is not None and detected >= harm:
        parts.append(
            f"It took {lasting((detected - harm).total_seconds())} from the first write to the detection."
        )
    if by_people:
        parts.append("No alert rule noticed it; people did.")
    elif case.signals:
        parts.append(f"The rule {case.signals[0].detector} noticed it.")
    return " ".join(parts)


def _control_gaps(case: Case) -> Iterator[str]:
    """What the manifest under which the runs ran left open, for the tools and sources that they used."""
    manifest = case.manifests.get(case.incident.version)
    if manifest is None:
        return
    if manifest.mode is Mode.OBSERVE:
        yield "the workflow was only observed: no rule stopped anything"
    used = [name for name in dict.fromkeys(call.tool for call in case.writes) if name in manifest.tools]
    for name in used:
        tool = manifest.tools[name]
        adds = tool.effect in (EffectKind.CREATE, EffectKind.SEND, EffectKind.PAY, EffectKind.APPROVE)
        if adds and not tool.idempotency:
            yield f"{name} declares no idempotency: nothing tells a repeated call from a new one"
        if manifest.gate_of(name) is None and tool.deny_when is None:
            yield f"{name} has neither a gate nor a condition: every call that asked was allowed"
    read = dict.fromkeys(s for s in (*(x.source for x in case.steps), *(c.source for c in case.calls)) if s)
    for name in read:
        source = manifest.sources.get(name)
        if source is None:
            yield f"the runs read {name}, which the manifest does not name"
        elif source.fresh_within is None:
            yield f"the source {name} declares no freshness limit: however old its data was, it counted as good"


def _contributing(case: Case) -> Iterator[str]:
    unknown = [call for call in case.calls if call.outcome is Outcome.UNKNOWN]
    if unknown:
        yield f"{count_of(len(unknown), 'call')} timed out or ended without a known outcome"
    retries = [run for run in case.runs if run.attempt > 1 or run.retry_of]
    if retries:
        yield f"{count_of(len(retries), 'run')} repeated an earlier one"
    for step in case.steps:
        if step.source and step.as_of and step.at - step.as_of > timedelta(days=1):
            yield f"the source {step.source} was {lasting((step.at - step.as_of).total_seconds())} old when it was read"


def _worked(case: Case) -> Iterator[str]:
    paused = case.incident.paused_at
    if paused is not None and paused >= case.incident.detected_at:
        after = lasting((paused - case.incident.detected_at).total_seconds())
        yield f"a hold was set {after} after the detection"
    refused = [call for call in case.calls if any(reason.kind is ReasonKind.HOLD for reason in call.reasons)]
    if refused:
        yield f"{count_of(len(refused), 'further call')} met a hold and did not run"
    if case.incident.sealed_at is not None:
        yield "the evidence was sealed before anything was put back"
    if repaired := put_back(case.items):
        yield f"{count_of(len(repaired), 'object')} put back and read back"


def _failed(case: Case) -> Iterator[str]:
    for state, words in (
        (ItemState.CONFLICT, "could not be put back because somebody had changed it since"),
        (ItemState.FAILED, "could not be put back"),
    ):
        items = [item for item in case.items if item.state is state]
        if items:
            yield f"{count_of(len(items), 'object')} {words}"
    if again := taken_back(case.items):
        yield f"{count_of(len(again), 'object')} put back, and the repair was taken back again"
    if case.audit is not None:
        unanswered = sum(bool(answer.missing) for answer in case.audit.answers)
        if unanswered:
            yield f"{count_of(unanswered, 'question')} of the audit could not be answered in full"
