"""Communicate: who must be told and why, drafts that hold six facts, approval of the exact text.

Every draft answers the same six questions in the same order: what happened, what is paused, what is known to
be affected, what is under review, what to do or avoid, when the next update comes. Then comes what this
audience needs besides. A draft is a proposal: nothing is sent before a person has approved its exact bytes
(:func:`text_digest`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from msgspec import Struct

from stopwork.incidents.case import Case
from stopwork.incidents.drafting import (
    BESIDES,
    LABELS,
    changed_objects,
    outside_calls,
    outside_facts,
    outside_subject,
    six_facts,
)
from stopwork.incidents.severity import ORDER, VOLUME
from stopwork.kernel.canonical import digest_of
from stopwork.kernel.errors import Conflict, Denied, Invalid
from stopwork.kernel.phrases import count_of, listed
from stopwork.ledger.records import Message, Principal
from stopwork.ledger.words import (
    Audience,
    IncidentType,
    MessageState,
    Outcome,
    PrincipalKind,
    Role,
)
from stopwork.manifest.model import Domain, SensitiveClass


class Told(Struct, frozen=True, kw_only=True):
    """Whether an audience must be told, why, and at which addresses."""

    audience: Audience
    needed: bool
    why: str
    recipients: tuple[str, ...]


class Draft(Struct, frozen=True, kw_only=True):
    """A proposed message; ``digest`` is what a person approves."""

    audience: Audience
    recipients: tuple[str, ...]
    subject: str
    body: str
    digest: str


def text_digest(audience: Audience, recipients: Sequence[str], subject: str, body: str) -> str:
    """Answer the digest of exactly what is sent, and to whom."""
    return digest_of(
        {"audience": audience.value, "recipients": list(recipients), "subject": subject, "body": body}
    )


def audiences(case: Case) -> tuple[Told, ...]:
    """Answer all seven audiences in order, each with whether it must be told and why."""
    return tuple(_told(case, audience) for audience in Audience)


def drafts(case: Case) -> tuple[Draft, ...]:
    """Answer one draft for each audience that must be told and has no message yet."""
    written = {message.audience for message in case.messages if message.state is not MessageState.DISCARDED}
    return tuple(
        draft(case, told) for told in audiences(case) if told.needed and told.audience not in written
    )


def draft(case: Case, told: Told) -> Draft:
    """Answer a draft for one audience from what the records hold now."""
    outside = told.audience is Audience.EXTERNAL_PARTIES
    facts = outside_facts(case) if outside else six_facts(case)
    lines = [f"{label}: {text}" for label, text in zip(LABELS, facts, strict=True)]
    internal = f"[{case.incident.severity.name}] {case.incident.id}: {case.incident.title}"
    subject = outside_subject(case) if outside else internal
    body = "\n\n".join([*lines, *BESIDES[told.audience](case)]) + "\n"
    return Draft(
        audience=told.audience,
        recipients=told.recipients,
        subject=subject,
        body=body,
        digest=text_digest(told.audience, told.recipients, subject, body),
    )


def outstanding(case: Case) -> tuple[Audience, ...]:
    """Answer the audiences that must be told and have been sent nothing.

    A message that a person discarded with its reason counts as answered.
    """
    ended = (MessageState.SENT, MessageState.DISCARDED)
    answered = {message.audience for message in case.messages if message.state in ended}
    return tuple(told.audience for told in audiences(case) if told.needed and told.audience not in answered)


def check_approval(message: Message, by: Principal, digest: str) -> None:
    """Raise unless this principal may approve exactly this text now."""
    if by.kind is not PrincipalKind.PERSON:
        raise Denied("a message is approved by a person", hint="Sign in as one.", found=by.kind.value)
    if message.state is not MessageState.DRAFT:
        raise Conflict(
            f"{message.id} is {message.state} already",
            hint="Only a draft is approved; write a new one to say something else.",
            found=message.state.value,
        )
    if not message.recipients:
        raise Invalid(f"{message.id} has no recipient", hint="Say who gets it.", field="recipients")
    exact = text_digest(message.audience, message.recipients, message.subject, message.body)
    if digest != exact:
        raise Conflict(
            f"{message.id} is not the text you saw",
            hint="It has been edited since. Read it again and approve what it says now.",
            expected=exact,
            found=digest,
        )


def check_sending(message: Message) -> None:
    """Raise ``Conflict`` unless a person approved the text as it stands; a failed sending may be tried again."""
    if message.state is MessageState.SENDING:
        raise Conflict(
            f"{message.id} is being sent, or its sending has no end",
            hint="Wait a moment. If nothing comes, ask a recipient and settle it: what has left is not sent again.",
            found=message.state.value,
        )
    if message.state not in (MessageState.APPROVED, MessageState.FAILED) or message.approved_by is None:
        raise Conflict(
            f"{message.id} is {message.state}, and only an approved message is sent",
            hint="A person approves its exact text first.",
            expected=MessageState.APPROVED.value,
            found=message.state.value,
        )


# --- who must be told ------------------------------------------------------------------------------


def _told(case: Case, audience: Audience) -> Told:
    for test in _MATRIX[audience]:
        if why := test(case):
            recipients, note = _recipients(case, audience)
            return Told(audience=audience, needed=True, why=f"{why}{note}", recipients=recipients)
    return Told(audience=audience, needed=False, why=_NOT_NEEDED[audience], recipients=())


def _recipients(case: Case, audience: Audience) -> tuple[tuple[str, ...], str]:
    """Answer an audience's addresses; where nobody is named, somebody passes it on, and that is said."""
    named = tuple(dict.fromkeys(address for address in _addresses(case, audience) if address))
    if named:
        return named, ""
    passes_on = case.incident.communication_owner
    return (passes_on,), f"; nobody is named, so {passes_on} passes it on"


def _addresses(case: Case, audience: Audience) -> Iterable[str | None]:
    owners = case.workflow.owners
    match audience:
        case Audience.BUSINESS_OWNER:
            return (case.incident.business_owner,)
        case Audience.TECHNICAL_OWNER:
            return (case.incident.technical_owner,)
        case Audience.SECURITY:
            return (owners.get(Role.SECURITY),)
        case Audience.LEGAL_COMPLIANCE:
            return (owners.get(Role.LEGAL),)
        case Audience.EXECUTIVES:
            return (owners.get(Role.EXECUTIVE),)
        case Audience.AFFECTED_INTERNAL_USERS:
            used = {call.tool for call in case.writes}
            return [each.owner for each in case.current.downstream if used & set(each.tools)]
        case Audience.EXTERNAL_PARTIES:
            places = [call.destination for call in outside_calls(case)]
            return [place for place in places if place and "@" in place]


def _always(why: str) -> Callable[[Case], str]:
    return lambda _case: why


def _of_type(types: frozenset[IncidentType], why: str) -> Callable[[Case], str]:
    return lambda case: why if case.incident.type in types else ""


def _classes(wanted: frozenset[str], why: str) -> Callable[[Case], str]:
    def test(case: Case) -> str:
        found = [name.replace("_", " ") for name in case.incident.data_classes if name in wanted]
        return why.format(classes=listed(found)) if found and _changed(case) else ""

    return test


def _domains(wanted: frozenset[Domain], why: str) -> Callable[[Case], str]:
    def test(case: Case) -> str:
        found = [domain.value for domain in case.current.impact if domain in wanted]
        return why.format(domains=listed(found)) if found and _changed(case) else ""

    return test


def _changed(case: Case) -> bool:
    return bool(case.effects) or any(call.outcome is not Outcome.FAILED for call in case.writes)


def _records_changed(case: Case) -> str:
    objects = changed_objects(case)
    return f"{count_of(len(objects), 'object')} that people use may be wrong" if objects else ""


def _parties(case: Case) -> str:
    parties = case.incident.affected_parties
    if not parties or not changed_objects(case):
        return ""
    return f"records about a {' or '.join(parties)} were changed"


def _grave(case: Case) -> str:
    severity = case.incident.severity
    return f"every {severity.name} goes to the executives" if ORDER.index(severity) <= 1 else ""


def _reached_outside(case: Case) -> str:
    calls = outside_calls(case)
    return f"{count_of(len(calls), 'call')} reached people outside the team" if calls else ""


def _broad(case: Case) -> str:
    objects = changed_objects(case)
    return f"{count_of(len(objects), 'object')} were changed" if len(objects) >= VOLUME else ""


_SECURITY_TYPES: Final = frozenset(
    {
        IncidentType.SENSITIVE_DATA_EXPOSURE,
        IncidentType.PROMPT_INJECTION,
        IncidentType.APPROVAL_BYPASS,
        IncidentType.TOOL_MISUSE,
    }
)
_REGULATED: Final = frozenset(
    {
        SensitiveClass.PAYROLL.value,
        SensitiveClass.BANKING_DETAILS.value,
        SensitiveClass.HEALTH_DATA.value,
    }
)
_CONTRACTUAL: Final = frozenset({SensitiveClass.CONTRACTS.value, SensitiveClass.CUSTOMER_COMMITMENTS.value})

_MATRIX: Final[dict[Audience, tuple[Callable[[Case], str], ...]]] = {
    Audience.BUSINESS_OWNER: (_always("told of every incident"),),
    Audience.TECHNICAL_OWNER: (_always("told of every incident"),),
    Audience.SECURITY: (
        _of_type(_SECURITY_TYPES, "injection, exposure or unauthorised access is possible"),
        _classes(frozenset({SensitiveClass.ACCESS_PERMISSIONS.value}), "{classes} may have changed"),
    ),
    Audience.LEGAL_COMPLIANCE: (
        _classes(_REGULATED, "{classes} may be affected, which is regulated"),
        _classes(_CONTRACTUAL, "{classes} may be affected, which is a contractual risk"),
        _of_type(frozenset({IncidentType.EXTERNAL_SEND}), "something went to people outside"),
        _domains(
            frozenset({Domain.LEGAL, Domain.HR, Domain.FINANCIAL, Domain.COMPLIANCE}),
            "the workflow acts in a {domains} domain",
        ),
    ),
    Audience.AFFECTED_INTERNAL_USERS: (_records_changed,),
    Audience.EXTERNAL_PARTIES: (_reached_outside, _parties),
    Audience.EXECUTIVES: (_grave, _broad),
}
"""For each audience the tests that make it one; the first that answers with a reason decides."""

_NOT_NEEDED: Final = {
    Audience.BUSINESS_OWNER: "",
    Audience.TECHNICAL_OWNER: "",
    Audience.SECURITY: "no sign of exposure, injection or unauthorised access",
    Audience.LEGAL_COMPLIANCE: "no regulated data, contract or field of business is known to be affected",
    Audience.AFFECTED_INTERNAL_USERS: "no object is known to have changed",
    Audience.EXTERNAL_PARTIES: "nothing is known to have reached people outside",
    Audience.EXECUTIVES: "neither SEV0 nor SEV1, and not of broad impact",
}
