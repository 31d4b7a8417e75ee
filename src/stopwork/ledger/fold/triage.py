"""What sorting incidents does to the records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from stopwork.ledger import events as e
from stopwork.ledger import records as r
from stopwork.ledger import words as w
from stopwork.ledger.fold.change import Change, Update, on, replace, to
from stopwork.ledger.fold.joining import joined, left


@on(e.IncidentMerged)
def _incident_merged(entry: e.Entry, event: e.IncidentMerged) -> Iterator[Change]:
    yield to(
        r.Incident,
        event.incident,
        status=w.IncidentStatus.MERGED,
        merged_into=event.into,
        closed_at=entry.at,
    )

    def grown(incident: r.Incident) -> r.Incident:
        paused = incident.paused_at or (entry.at if event.holds else None)
        return replace(
            joined(incident, event.signals),
            runs=_with(incident.runs, event.runs),
            merged=_with(incident.merged, (event.incident,)),
            causes=_with(incident.causes, event.causes),
            paused_at=paused,
            held_at=entry.at if event.holds else incident.held_at,
        )

    yield Update(r.Incident, event.into, grown)
    for signal in event.signals:
        yield to(r.Signal, signal, incident=event.into)
    for hold in event.holds:
        yield to(r.Hold, hold, incident=event.into)

    def pointing(workflow: r.Workflow) -> r.Workflow:
        return replace(workflow, incident=event.into) if workflow.incident == event.incident else workflow

    yield Update(r.Workflow, event.workflow, pointing)


@on(e.IncidentTagged)
def _incident_tagged(_entry: e.Entry, event: e.IncidentTagged) -> Iterator[Change]:
    yield to(r.Incident, event.incident, tags=event.tags)


@on(e.QuestionAnswered)
def _question_answered(entry: e.Entry, event: e.QuestionAnswered) -> Iterator[Change]:
    def answered(incident: r.Incident) -> r.Incident:
        return replace(
            incident,
            checklist=tuple(
                replace(each, answer=event.answer, by=entry.actor.id, at=entry.at)
                if each.id == event.item
                else each
                for each in incident.checklist
            ),
        )

    yield Update(r.Incident, event.incident, answered)


@on(e.ReadersChanged)
def _readers_changed(_entry: e.Entry, event: e.ReadersChanged) -> Iterator[Change]:
    yield to(r.Incident, event.incident, private=event.private, readers=event.readers)


@on(e.IncidentSplit)
def _incident_split(_entry: e.Entry, event: e.IncidentSplit) -> Iterator[Change]:
    def shrunk(incident: r.Incident) -> r.Incident:
        return replace(
            left(incident, event.signals),
            runs=_without(incident.runs, event.runs),
            split=_with(incident.split, (event.into,)),
            causes=_without(incident.causes, (event.cause,)),
        )

    def begun(incident: r.Incident) -> r.Incident:
        return replace(
            joined(incident, event.signals),
            runs=_with(incident.runs, event.runs),
            split_from=event.incident,
        )

    yield Update(r.Incident, event.incident, shrunk)
    yield Update(r.Incident, event.into, begun)
    for signal in event.signals:
        yield to(r.Signal, signal, incident=event.into)


def _with(known: tuple[str, ...], more: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*known, *more)))


def _without(known: tuple[str, ...], less: Iterable[str]) -> tuple[str, ...]:
    gone = set(less)
    return tuple(each for each in known if each not in gone)
