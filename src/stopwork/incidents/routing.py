"""Routing: who is told of an incident, by when somebody takes it, whom it goes to when nobody does, and what they read.

The manifest names the people, gives the times and says who comes after whom. What is sent is one fixed form filled with facts, to people
who answer for the workflow and to administrators. It is a call to look, and no communication: the facts themselves are read where one
signs in, and what anybody else is told is a message whose exact text a person approves (:mod:`stopwork.incidents.communicate`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from msgspec import Struct

from stopwork.incidents.case import Case
from stopwork.incidents.communicate import audiences
from stopwork.incidents.contain import ENDED
from stopwork.incidents.severity import ORDER
from stopwork.kernel.phrases import listed, moment
from stopwork.ledger.records import ContainmentItem, Incident, Response
from stopwork.ledger.words import Audience, IncidentStatus, Role, Severity, TellingStep
from stopwork.manifest.model import Response as Times

#: The last whom an incident goes to that nobody takes, after the roles that its manifest names.
ADMINISTRATORS: Final = "administrators"
#: At these severities an acknowledgement lapses when nothing happens for so long, until the incident is contained.
LAPSES: Final = {Severity.SEV0: timedelta(minutes=20), Severity.SEV1: timedelta(minutes=30)}
#: At these severities the end of the way up is asked again and again, until somebody takes the incident.
REPEATS: Final = frozenset(LAPSES)
#: How often those are reminded who have something to make safe whose time is over.
REMIND_EVERY: Final = timedelta(hours=24)
#: What the subject begins with when it is only a drill.
PRACTICE: Final = "[PRACTICE]"
MAX_TITLE: Final = 200

#: Whom the software may write to by itself: those who answer for the workflow.
_OWN: Final = (
    Audience.BUSINESS_OWNER,
    Audience.TECHNICAL_OWNER,
    Audience.SECURITY,
    Audience.LEGAL_COMPLIANCE,
    Audience.EXECUTIVES,
)
#: Of what is only proposed, only those hear who decide whether it is an incident.
_OF_PROPOSALS: Final = (Audience.BUSINESS_OWNER, Audience.TECHNICAL_OWNER, Audience.SECURITY)


class Due(StrEnum):
    """What the time has come for in the answering of an incident."""

    BEGIN = "begin"
    RAISE = "raise"
    LAPSE = "lapse"
    HAND_OVER = "hand_over"
    ESCALATE = "escalate"


class Rung(Struct, frozen=True, kw_only=True):
    """One step of the way up: the ``step``-th, and who is asked then. ``role`` is a role's, or :data:`ADMINISTRATORS`."""

    step: int
    role: str
    people: tuple[str, ...]


def told_of(case: Case, *, seen_by: Collection[str] | None = None) -> dict[str, str]:
    """Answer who is told of an incident, and why. Of a private one only who may see it hears, which is ``seen_by``."""
    incident = case.incident
    proposed = incident.status is IncidentStatus.PROPOSED
    found = {} if proposed else {incident.commander: "you command it"}
    for told in audiences(case):
        if told.needed and told.audience in (_OF_PROPOSALS if proposed else _OWN):
            for person in told.recipients:
                found.setdefault(person, f"as {told.audience.replace('_', ' ')} ({told.why})")
    return {person: why for person, why in found.items() if seen_by is None or person in seen_by}


def ladder(
    roles: Sequence[Role],
    owners: Mapping[Role, str],
    administrators: Sequence[str],
    *,
    seen_by: Collection[str] | None = None,
) -> tuple[Rung, ...]:
    """Answer the way up: the owners in these ``roles``, and then the administrators. A rung on which nobody stands is left out."""
    rungs = [(role.value, tuple(each for each in [owners.get(role)] if each)) for role in roles]
    rungs.append((ADMINISTRATORS, tuple(administrators)))
    return tuple(
        Rung(step=step, role=role, people=known)
        for step, (role, people) in enumerate(rungs, start=1)
        if (known := tuple(each for each in people if seen_by is None or each in seen_by))
    )


def next_rung(
    way_up: Sequence[Rung],
    *,
    step: int = 0,
    told: Collection[str],
    again: bool = False,
    repeats: bool = False,
) -> Rung | None:
    """Answer who is asked after ``step``. At the end of the way it is its last rung once more where it ``repeats``, else ``None``.

    Whoever was ``told`` is not asked, unless it begins ``again`` because an acknowledgement lapsed.
    """
    for rung in way_up:
        people = tuple(person for person in rung.people if again or person not in told)
        if rung.step > step and people:
            return Rung(step=rung.step, role=rung.role, people=people)
    return way_up[-1] if repeats and way_up else None


def repeats(incident: Incident) -> bool:
    """Answer whether those at the end of the way up are asked again: harm may be going on, and it is no drill."""
    return incident.severity in REPEATS and incident.contained_at is None and not incident.practice


def due(
    incident: Incident,
    response: Response | None,
    *,
    now: datetime,
    last_deed: datetime | None = None,
    unheard: bool = False,
) -> Due | None:
    """Answer what the time has come for. ``last_deed`` is when a person did something in the incident last.

    It does not wait for an answer of people of whom none could be told, which is ``unheard``. That it is to be escalated is answered
    whether or not anybody is left to ask.
    """
    if incident.status.ended:
        return None
    if response is None:
        return Due.BEGIN
    if _handed_over(incident, response):
        return Due.HAND_OVER
    if ORDER.index(incident.severity) < ORDER.index(response.severity):
        return Due.RAISE
    if not response.acknowledged_by:
        return Due.ESCALATE if unheard or response.due_at <= now else None
    lapses = LAPSES.get(incident.severity)
    if lapses is None or incident.contained_at is not None or response.acknowledged_at is None:
        return None
    since = max(response.acknowledged_at, last_deed or response.acknowledged_at)
    return Due.LAPSE if since + lapses <= now else None


def _handed_over(incident: Incident, response: Response) -> bool:
    """Answer whether somebody was given the command after anybody was asked or took the incident last."""
    since = incident.commanded_since
    if since is None or incident.commander == response.acknowledged_by:
        return False
    return since > max(
        response.stepped_at or response.began_at, response.acknowledged_at or response.began_at
    )


def due_at(times: Times, severity: Severity, since: datetime) -> datetime:
    """Answer by when somebody takes an incident that is waiting since then."""
    return since + times.within(severity)


def late_from(response: Response | None, now: datetime) -> datetime | None:
    """Answer since when somebody ought to have taken the incident; ``None`` where that is not so."""
    if response is None or response.acknowledged_by:
        return None
    since = response.late_from or response.due_at
    return since if since < now else None


def reminds(item: ContainmentItem, now: datetime) -> TellingStep | None:
    """Answer of what whoever has the item is reminded now: that it was given to them, or that its time is over, once a day."""
    if not item.assignee or item.state in ENDED:
        return None
    if item.due_at is None or now < item.due_at:
        return TellingStep.ASSIGNED if item.told_at is None else None
    since = item.told_at
    again = since is None or since < item.due_at or since + REMIND_EVERY <= now
    return TellingStep.OVERDUE if again else None


def reminded(incident: Incident, item: ContainmentItem, step: TellingStep) -> dict[str, str]:
    """Answer who is reminded of an item, and why: who has it, and once it is overdue whoever commands the incident as well."""
    has_it = {item.assignee: "you have it"}
    if step is TellingStep.ASSIGNED or incident.commander == item.assignee:
        return has_it
    return has_it | {incident.commander: "you command the incident"}


def subject(incident: Incident, step: TellingStep, *, about: str = "") -> str:
    """Answer the subject of a notification, ``about`` the incident if nothing else.

    Mail passes through many hands: a private incident's says no more than that there is one.
    """
    title = (
        "a private incident" if incident.private else " ".join((about or incident.title).split())[:MAX_TITLE]
    )
    what = {
        TellingStep.OPENED: "",
        TellingStep.RAISED: "graver: ",
        TellingStep.ESCALATED: "nobody has taken it: ",
        TellingStep.LAPSED: "nothing happens: ",
        TellingStep.HANDED_OVER: "yours now: ",
        TellingStep.ASSIGNED: "yours to make safe: ",
        TellingStep.OVERDUE: "overdue: ",
    }[step]
    drill = f"{PRACTICE} " if incident.practice else ""
    return f"{drill}[{incident.severity.upper()}] {incident.id}: {what}{title}"


def body(
    incident: Incident,
    step: TellingStep,
    *,
    person: str,
    why: str,
    due_at: datetime,
    after: Rung | None,
    link: str,
) -> str:
    """Answer the fixed form, filled in for a ``person``. ``after`` is who is asked next; ``link`` leads to the incident."""
    paused = f"since {moment(incident.paused_at)}" if incident.paused_at else "no"
    facts = {"Paused": paused, "Commander": incident.commander, "You are told": why}
    lines = []
    if incident.status is IncidentStatus.PROPOSED:
        lines.append("It is only proposed so far: accept it, decline it, or merge it into another one.")
    lines.append(_facts(incident, facts))
    if step is not TellingStep.RAISED:
        lines.append(f"Acknowledge it by {moment(due_at)}{_otherwise(person, after)}.")
    return _letter(incident, step, lines, link, f"stopwork incident acknowledge {incident.id}")


def body_of_item(incident: Incident, step: TellingStep, item: ContainmentItem, *, why: str, link: str) -> str:
    """Answer the same form about an item of the containment checklist."""
    name = item.id.removeprefix(f"{incident.id}/")
    facts = {
        "Item": name if incident.private else f"{item.what} ({name})",
        "Given to": item.assignee,
        "Due": moment(item.due_at) if item.due_at else "",
        "You are told": why,
    }
    return _letter(
        incident, step, [_facts(incident, facts)], link, f"stopwork incident contain {incident.id}"
    )


def _facts(incident: Incident, more: Mapping[str, str]) -> str:
    of_all = {
        "Incident": incident.id,
        "Severity": incident.severity.value,
        "Status": incident.status.value,
        "Workflow": "" if incident.private else incident.workflow,
    }
    return "\n".join(f"{name}: {fact}" for name, fact in (of_all | dict(more)).items() if fact)


def _letter(incident: Incident, step: TellingStep, lines: Sequence[str], link: str, command: str) -> str:
    first = _FIRST[step].format(incident="drill" if incident.practice else "incident")
    do = f"{link}\nOr: {command}" if link else command
    last = "This was written by the software, from its records. Answers to this mail are not read."
    return "\n\n".join((first, *lines, do, last)) + "\n"


def _otherwise(person: str, after: Rung | None) -> str:
    if after is None:
        return ""
    return "; otherwise " + (
        "you are asked again" if person in after.people else f"it goes to {listed(after.people)}"
    )


_FIRST: Final = {
    TellingStep.OPENED: "An {incident} about an agent needs somebody.",
    TellingStep.RAISED: "An {incident} that you know of is graver than it was.",
    TellingStep.ESCALATED: "Nobody has taken an {incident} in time, so you are asked.",
    TellingStep.LAPSED: "An {incident} was acknowledged, and nothing has happened since.",
    TellingStep.ASSIGNED: "Something that an {incident} touched was given to you, to make it safe.",
    TellingStep.OVERDUE: "Something that an {incident} touched should have been made safe by now, and is not.",
    TellingStep.HANDED_OVER: "The command of an {incident} was handed over to you. What you should know stands in its timeline.",
}


def _words(code: str) -> str:
    return code.replace("_", " ")
