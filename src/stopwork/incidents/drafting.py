"""What a message says: six facts in plain words, and what each audience needs besides.

The words are made from the records alone. Nothing is claimed that a record does not show: what is not known
is said to be not known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final, NamedTuple

from stopwork.incidents.case import Case
from stopwork.incidents.followup import put_back, taken_back
from stopwork.incidents.open import LATER_UPDATES
from stopwork.kernel.phrases import count_of, lasting, listed, moment, sentence
from stopwork.ledger.records import Call, Effect, ObjectRef
from stopwork.ledger.words import Audience, DetectedBy, EffectKind, ImageState, Operation, Outcome


class SixFacts(NamedTuple):
    """What every early update answers."""

    what_happened: str
    what_is_paused: str
    known_affected: str
    under_review: str
    what_to_do: str
    next_update: str


LABELS: Final = SixFacts(
    what_happened="What happened",
    what_is_paused="What is paused",
    known_affected="Known to be affected",
    under_review="Under review",
    what_to_do="What to do",
    next_update="Next update",
)


def outside_calls(case: Case) -> list[Call]:
    """Answer the calls that people outside the team have seen, or may have."""

    def outside(call: Call) -> bool:
        tool = case.tool(call)
        return call.effect is EffectKind.SEND or (tool is not None and tool.external)

    return [call for call in case.writes if outside(call) and call.outcome is not Outcome.FAILED]


def six_facts(case: Case) -> SixFacts:
    """Answer the six facts for people inside, from what the records hold now."""
    return SixFacts(
        what_happened=_what_happened(case),
        what_is_paused=_what_is_paused(case),
        known_affected=_known_affected(case),
        under_review=_under_review(case),
        what_to_do=_what_to_do(case),
        next_update=_next_update(case),
    )


def changed_objects(case: Case) -> list[ObjectRef]:
    """Answer every object known to have changed, once."""
    return list(dict.fromkeys(effect.object for effect in case.effects))


def _noticed(case: Case) -> str:
    by = _NOTICED_BY[case.incident.detected_by]
    return f"{by} noticed it at {moment(case.incident.detected_at)}."


def _what_happened(case: Case) -> str:
    told = [sentence(signal.summary) for signal in case.signals[:1]]
    return " ".join([sentence(case.incident.title), _noticed(case), *told])


def _what_is_paused(case: Case) -> str:
    holds = [str(hold.scope) for hold in case.holds if hold.active]
    if not holds:
        stage = case.workflow.stage.value.replace("_", " ")
        back = case.incident.reenabled_at
        return f"Nothing any more; the workflow is back at the stage {stage}." if back else "Nothing yet."
    flying = sum(call.in_flight for call in case.calls)
    if not flying:
        return sentence(listed(holds))
    begun = "that had begun before has" if flying == 1 else "that had begun before have"
    return f"{sentence(listed(holds))} {count_of(flying, 'call')} {begun} no known outcome yet."


_DONE_TO: Final = {
    Operation.CREATED: "created",
    Operation.MODIFIED: "changed",
    Operation.DELETED: "deleted",
    Operation.SENT: "sent",
    Operation.PAID: "paid",
    Operation.APPROVED: "approved",
    Operation.TRIGGERED: "triggered",
}


def _done_to(first: Effect, last: Effect) -> str:
    if first.before.state is ImageState.ABSENT and last.after.state is ImageState.ABSENT:
        return "created and removed again"
    return _DONE_TO[first.operation]


def _known_affected(case: Case) -> str:
    if not case.effects:
        writes = len(case.writes)
        unknown = f"{count_of(writes, 'call')} may have written; which objects is not known yet."
        return sentence(unknown) if writes else "No object is known to be affected."
    # An object counts once, under what was first done to it: one created and then changed is a new one.
    first = {effect.object: effect for effect in reversed(case.effects)}
    last = {effect.object: effect for effect in case.effects}
    counted = Counter((ref.system, ref.type, _done_to(began, last[ref])) for ref, began in first.items())
    told = [
        sentence(
            listed(
                f"{count_of(number, kind.replace('_', ' '))} {done} in {system}"
                for (system, kind, done), number in counted.items()
            )
        )
    ]
    unsure = sum(effect.after.state is ImageState.UNKNOWN for effect in case.effects)
    if unsure:
        told.append(f"What {unsure} of them hold now is not known.")
    if case.items:
        repaired = len(put_back(case.items))
        told.append(f"{repaired} of {count_of(len(case.items), 'object')} put back and read back.")
    if again := taken_back(case.items):
        were = "repair was" if len(again) == 1 else "repairs were"
        told.append(f"{len(again)} {were} taken back: there is what the agent left.")
    return " ".join(told)


def _under_review(case: Case) -> str:
    incident = case.incident
    open_questions = [
        question
        for question, answered in (
            ("what each call of the agent did", incident.audited_at),
            ("how each object is put back", case.recovered_at),
            ("why the system allowed it", incident.root_cause),
        )
        if not answered
    ]
    return (
        sentence(listed(open_questions))
        if open_questions
        else "Nothing; the root cause is known and recorded."
    )


def _what_to_do(case: Case) -> str:
    if case.recovered_at is not None:
        return "Records can be trusted again, except those named as not put back."
    if not case.writes and not case.effects:
        return "Do not start the workflow by hand; its owner says when it may run again."
    systems = listed(case.incident.affected_systems)
    where = f" in {systems}" if systems else ""
    return (
        f"Do not act on what {case.workflow.title} wrote{where} until this is closed, and do not correct it by hand: "
        f"a later change by a person makes the repair harder. Report anything odd to {case.incident.technical_owner}."
    )


def _next_update(case: Case) -> str:
    if case.incident.closed_at is not None:
        return "This is the last one; the incident is closed."
    return f"Within {_until_next(case)} of this message."


def _until_next(case: Case) -> str:
    return lasting(LATER_UPDATES[case.incident.severity].total_seconds())


_NOTICED_BY: Final = {
    DetectedBy.ALERT: "An alert",
    DetectedBy.OWNER: "Its owner",
    DetectedBy.USER_REPORT: "A colleague",
    DetectedBy.QA_SAMPLE: "A quality check",
    DetectedBy.VENDOR: "A vendor",
    DetectedBy.CUSTOMER: "A customer",
    DetectedBy.SECURITY_TOOL: "A security tool",
    DetectedBy.FAILED_RUN: "A failed run",
}


def outside_subject(case: Case) -> str:
    """Answer a subject line that tells people outside nothing about us."""
    return (
        "A correction to what you received from us"
        if outside_calls(case)
        else "A correction to our records about you"
    )


def outside_facts(case: Case) -> SixFacts:
    """Answer the six facts for people outside: plain, without the names of our tools and systems."""
    times = [call.permitted_at for call in case.writes if call.permitted_at]
    when = f" between {moment(min(times))} and {moment(max(times))}" if times else ""
    sent = bool(outside_calls(case))
    return SixFacts(
        what_happened=(
            f"An automated process of ours {'sent messages' if sent else 'changed records that concern you'} "
            f"in error{when}."
        ),
        what_is_paused="We have stopped the part of the process that did this."
        if any(hold.active for hold in case.holds)
        else "We are stopping the part of the process that did this.",
        known_affected="What you received from us in that time may be wrong."
        if sent
        else "Our records about you may have held wrong values in that time.",
        under_review="We are checking every message and record that the process touched.",
        what_to_do="Please do not act on it until you have our confirmation.",
        next_update=f"Within {_until_next(case)} of this message.",
    )


def _for_business(case: Case) -> list[str]:
    systems = listed(case.incident.affected_systems) or "none known"
    return [f"Affected systems: {systems}.", f"Decision needed from you: {_decision(case)}"]


def _decision(case: Case) -> str:
    incident = case.incident
    if incident.audited_at is None:
        return "none yet. Once the audit is complete you will be asked to approve the recovery."
    if case.recovered_at is None:
        return "approve the recovery plan, item by item if you wish."
    if incident.reenabled_at is None:
        return "sign the return to the first stage once the checks are answered."
    return "raise the stage when you trust the last run."


def _for_technical(case: Case) -> list[str]:
    runs = listed((run.id for run in case.runs), most=10) or "none recorded"
    return [
        f"Runs: {runs}.",
        f"Manifest: {case.workflow.id}@{case.incident.version}; in force now: version {case.workflow.version}.",
        f"Owner of the fix: {case.incident.technical_owner}. A fix is applied as a new version of the manifest.",
    ]


def _for_security(case: Case) -> list[str]:
    permissions = listed(dict.fromkeys(call.permission for call in case.permitted if call.permission))
    return [
        f"Evidence: {_preserved(case)}",
        f"Permissions used in the runs: {permissions or 'none recorded'}.",
        f"Exposure: {_exposure(case)}.",
    ]


def _exposure(case: Case) -> str:
    calls = outside_calls(case)
    if not calls:
        return "nothing is known to have left the team"
    return f"{count_of(len(calls), 'call')} reached people outside the team"


def _for_legal(case: Case) -> list[str]:
    classes = listed(name.replace("_", " ") for name in case.incident.data_classes) or "none declared"
    return [f"Classes of data: {classes}.", f"Preservation: {_preserved(case)}"]


def _preserved(case: Case) -> str:
    sealed = case.incident.sealed_at
    if sealed is None or case.bundle is None:
        return "not sealed yet."
    return f"sealed at {moment(sealed)} as {case.bundle.id} ({case.bundle.digest})."


def _for_users(case: Case) -> list[str]:
    return [f"How to report: write to {case.incident.technical_owner} and name {case.incident.id}."]


def _for_outside(case: Case) -> list[str]:
    return [f"Questions: {case.incident.communication_owner} answers them."]


def _for_executives(case: Case) -> list[str]:
    contained = case.incident.contained_at
    state = f"verified at {moment(contained)}" if contained else "not verified yet"
    back = case.incident.reenabled_at
    returned = f"at {moment(back)}, to the first stage" if back else "not known yet"
    return [
        f"Containment: {state}.",
        f"Return of the workflow: {returned}.",
        f"Commander: {case.incident.commander}.",
    ]


BESIDES: Final[dict[Audience, Callable[[Case], list[str]]]] = {
    Audience.BUSINESS_OWNER: _for_business,
    Audience.TECHNICAL_OWNER: _for_technical,
    Audience.SECURITY: _for_security,
    Audience.LEGAL_COMPLIANCE: _for_legal,
    Audience.AFFECTED_INTERNAL_USERS: _for_users,
    Audience.EXTERNAL_PARTIES: _for_outside,
    Audience.EXECUTIVES: _for_executives,
}
