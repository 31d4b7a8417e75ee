"""Incidents that are sorted: proposed, declined, merged, for practice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace as changed

from stopwork.incidents.lifecycle import NextAction
from stopwork.incidents.routing import Rung
from stopwork.ledger import records as r
from stopwork.ledger import words as w
from stopwork.operations.acknowledging import Answering
from stopwork.server.pages import contexts as c
from stopwork.server.pages.stories import aftermath as a
from stopwork.server.pages.stories import world as s

PROPOSED = changed(
    a.INCIDENT,
    id="AI-INC-2026-0105-002",
    type=w.IncidentType.PROMPT_INJECTION,
    title=f"Weekly renewal risk prep may have followed instructions from outside {s.HOSTILE}",
    severity=w.Severity.SEV0,
    status=w.IncidentStatus.PROPOSED,
    rule="prompt_injection",
    opened_at=s.ago(minutes=21),
    next_update_at=None,
)
MINOR = changed(
    PROPOSED,
    id="AI-INC-2026-0105-003",
    type=w.IncidentType.POLICY_DRIFT,
    title="Weekly renewal risk prep behaves differently since a change",
    severity=w.Severity.SEV2,
    rule="drift",
    opened_at=s.ago(minutes=3),
)
BY_DANA = c.Ending(
    reason="the test of the month, which was announced",
    by=r.Principal(kind=w.PrincipalKind.PERSON, id="dana@acme.test"),
    at=s.NOW,
)
OTHERS = (c.Choice(value=a.INCIDENT.id, label=f"{a.INCIDENT.id}: {a.INCIDENT.title}"),)


def _telling(person: str, state: w.TellingState, **known: Any) -> r.Telling:
    return r.Telling(
        id=f"tell_{person}",
        incident=a.INCIDENT.id,
        workflow=a.INCIDENT.workflow,
        person=person,
        step=w.TellingStep.OPENED,
        subject="",
        body="",
        state=state,
        planned_at=s.ago(minutes=13),
        **known,
    )


NOBODY_HAS_IT = Answering(
    response=r.Response(
        id=a.INCIDENT.id,
        incident=a.INCIDENT.id,
        workflow=a.INCIDENT.workflow,
        severity=a.INCIDENT.severity,
        told=("lee@acme.test", "dana@acme.test", "kim@acme.test"),
        began_at=s.ago(minutes=13),
        due_at=s.ago(minutes=3),
    ),
    late_from=s.ago(minutes=3),
    next=Rung(step=1, role="backup", people=("sec@acme.test",)),
    tellings=(
        _telling(
            "lee@acme.test",
            w.TellingState.GIVEN_UP,
            attempts=1,
            said=f"refused: 550 no such person {s.HOSTILE}",
        ),
        _telling(
            "dana@acme.test",
            w.TellingState.DUE,
            attempts=2,
            next_at=s.NOW + (s.NOW - s.ago(seconds=90)),
            said="the mail server mail.acme.test:25 did not say that it has the message: timed out",
        ),
        _telling("kim@acme.test", w.TellingState.TOLD, attempts=1, said="accepted"),
    ),
)


def sorting_stories(whole: c.IncidentContext, listing: c.IncidentsContext) -> Iterator[tuple[str, c.Context]]:
    """Answer the lists with proposals, and an incident in each state that is no phase."""
    held = whole.holds[0]
    grave = c.IncidentRow(
        incident=PROPOSED,
        holds=(held.hold,),
        unsettled=held.unsettled,
        others=OTHERS,
        decide_by=s.ago(minutes=6),
    )
    minor = c.IncidentRow(
        incident=MINOR,
        holds=(),
        unsettled=c.Unsettled(),
        others=OTHERS,
        decide_by=s.NOW + (s.NOW - s.ago(hours=3)),
    )
    yield "incidents-proposed", changed(listing, proposals=(grave, minor))
    asks = NextAction(
        phase=w.Phase.OPEN,
        title="Accept the incident, decline it, or merge it into another one",
        why="proposed by the alert rule prompt_injection",
        who="lee@acme.test",
    )
    yield (
        "incident-proposed",
        changed(whole, incident=PROPOSED, deciding=grave, next=asks, decisions=()),
    )
    declined = changed(PROPOSED, status=w.IncidentStatus.DECLINED, closed_at=s.NOW)
    merged = changed(declined, status=w.IncidentStatus.MERGED, merged_into=a.INCIDENT.id)
    for name, ended in (("declined", declined), ("merged", merged)):
        yield (
            f"incident-{name}",
            changed(whole, incident=ended, deciding=grave, next=None, holds=(), decisions=(), ending=BY_DANA),
        )
    drill = changed(a.INCIDENT, practice=True, merged=(MINOR.id,), split=(PROPOSED.id,))
    yield "incident-practice", changed(whole, incident=drill)
    asked = r.Asked(id="open/1", phase=w.Phase.OPEN, question="Is the mailer of the CRM stopped as well?")
    told = changed(
        asked,
        id="open/2",
        question="Who has told the account team?",
        answer="Kim, by phone.",
        by="kim@acme.test",
        at=s.ago(minutes=2),
    )
    questions = changed(
        a.INCIDENT,
        checklist=(asked, told),
        tags=("ASI01", "AML.T0051.001"),
        private=True,
        readers=("dana@acme.test",),
    )
    yield "incident-asked", changed(whole, incident=questions)
    yield "incident-nobody-has-it", changed(whole, taken=NOBODY_HAS_IT)
