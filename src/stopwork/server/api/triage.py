"""Sorting incidents: proposals are accepted or declined, what belongs together is merged, what does not is split."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from stopwork.incidents.tags import NAMES
from stopwork.ledger import records as r
from stopwork.operations import incidents, privacy, triage
from stopwork.server.api.controls import Reason
from stopwork.server.api.endpoint import Endpoint, Read, Write
from stopwork.server.api.incidents import incident_of, of_incident

Chosen = Annotated[tuple[Annotated[str, Meta(max_length=200)], ...], Meta(max_length=1000)]


class Decline(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    reason: Reason


class Merge(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``into`` is the incident that it goes on in."""

    into: Annotated[str, Meta(min_length=1, max_length=200)]
    reason: Reason


class Split(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Signals, runs, or both; a signal takes its run along unless one that stays is about it too."""

    signals: Chosen = ()
    runs: Chosen = ()
    reason: Reason
    title: Annotated[str, Meta(max_length=300)] = ""


class Tags(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The tags that it has from now on, by their ids."""

    tags: Annotated[tuple[Annotated[str, Meta(max_length=40)], ...], Meta(max_length=100)] = ()


class AnswerQuestion(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``item`` is the id of a question of the incident's ``checklist``."""

    item: Annotated[str, Meta(min_length=1, max_length=200)]
    answer: Annotated[str, Meta(min_length=1, max_length=2_000)]


class Restrict(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whoever asks for it and the commander are always among the ``readers``."""

    readers: Annotated[tuple[Annotated[str, Meta(max_length=200)], ...], Meta(max_length=50)] = ()
    reason: Reason


class OpenUp(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    reason: Reason


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/v1/tags",
        name="list_tags",
        summary="The tags that an incident can have, with their names in OWASP's and MITRE's lists",
        does=Read(lambda _view, _g: NAMES),
        answer=dict[str, str],
        tag="incidents",
    ),
    of_incident(
        "POST",
        "/checklist",
        "answer_question",
        "Answer a question of its checklist, in your name",
        Write(
            lambda tx, g: incidents.answer_question(
                tx, incident=incident_of(g), item=g.body.item, answer=g.body.answer
            )
        ),
        r.Incident,
        body=AnswerQuestion,
    ),
    of_incident(
        "POST",
        "/tags",
        "tag_incident",
        "Say what it is called in the lists that security teams share",
        Write(lambda tx, g: incidents.tag(tx, incident=incident_of(g), tags=g.body.tags)),
        r.Incident,
        body=Tags,
    ),
    of_incident(
        "POST",
        "/restrict",
        "restrict_incident",
        "Let only these people and administrators see it; for everybody else there is none",
        Write(
            lambda tx, g: privacy.restrict(
                tx, incident=incident_of(g), readers=g.body.readers, reason=g.body.reason
            )
        ),
        r.Incident,
        body=Restrict,
    ),
    of_incident(
        "POST",
        "/open-up",
        "open_up_incident",
        "Let everybody see a private incident again",
        Write(lambda tx, g: privacy.open_up(tx, incident=incident_of(g), reason=g.body.reason)),
        r.Incident,
        body=OpenUp,
    ),
    of_incident(
        "POST",
        "/accept",
        "accept_incident",
        "Take a proposed incident on; whoever accepts it commands it",
        Write(lambda tx, g: triage.accept(tx, incident=incident_of(g))),
        r.Incident,
    ),
    of_incident(
        "POST",
        "/decline",
        "decline_incident",
        "Say that it is no incident; what a rule did by itself is taken back",
        Write(lambda tx, g: triage.decline(tx, incident=incident_of(g), reason=g.body.reason)),
        triage.Declined,
        body=Decline,
    ),
    of_incident(
        "POST",
        "/merge",
        "merge_incident",
        "Let it go on in another incident of the same workflow",
        Write(
            lambda tx, g: triage.merge(
                tx,
                g.installation.manifests,
                incident=incident_of(g),
                into=g.body.into,
                reason=g.body.reason,
            )
        ),
        r.Incident,
        body=Merge,
    ),
    of_incident(
        "POST",
        "/split",
        "split_incident",
        "Open an incident of its own for some of its signals and runs",
        Write(
            lambda tx, g: triage.split(
                tx,
                g.installation.manifests,
                incident=incident_of(g),
                signals=g.body.signals,
                runs=g.body.runs,
                reason=g.body.reason,
                title=g.body.title,
            )
        ),
        r.Incident,
        body=Split,
        status=201,
    ),
)
