"""What came in: the form for people, and the list of signals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from stopwork.ledger import records as r
from stopwork.ledger import words as w
from stopwork.operations.answering import ASKED
from stopwork.operations.signals import MAX_ASKED, look_up
from stopwork.server.pages import contexts as c
from stopwork.server.pages import formatting
from stopwork.server.pages.builders.look import Look
from stopwork.server.pages.vocabulary import label

A_PAGE: Final = 50
MAX_CHOICES: Final = 100
_USUAL_ZONES: Final = (
    "UTC",
    "America/New_York",
    "America/Los_Angeles",
    "Europe/London",
    "Europe/Berlin",
    "Asia/Tokyo",
)


def report(look: Look) -> c.ReportFormContext:
    """Answer the form; ``workflow``, ``run`` and ``text`` may stand in the address."""
    chosen = look.query.get("workflow", "")
    known = look.view.get(r.Workflow, chosen) if chosen else None
    schedule = look.manifests.current(look.view, known.id).manifest.schedule if known else None
    zone = str(schedule.timezone) if schedule else "UTC"
    return c.ReportFormContext(
        frame=look.frame("Report something", "incidents", watch="none"),
        workflows=_workflows(look, chosen),
        types=tuple(c.Choice(value=each.value, label=label(each)) for each in w.IncidentType),
        noticed_by=tuple(
            c.Choice(value=each.value, label=label(each))
            for each in w.DetectedBy
            if each not in (w.DetectedBy.ALERT, w.DetectedBy.FAILED_RUN)
        ),
        zones=tuple(dict.fromkeys((zone, *_USUAL_ZONES))),
        zone=zone,
        run=look.query.get("run", ""),
        text=look.query.get("text", ""),
    )


def signals(look: Look) -> c.SignalsContext:
    """Answer what came in, newest first; workflow, kind, incident, what became of it and a text stand in the address."""
    view = look.view
    asked = {
        name: value for name in ("workflow", "kind", "state", "incident") if (value := look.query.get(name))
    }
    text = look.query.get("text", "")[:MAX_ASKED].strip()
    found = look_up(view, text=text, limit=A_PAGE + 1, after=look.query.get("after") or None, **asked)
    shown = found[:A_PAGE]
    return c.SignalsContext(
        frame=look.frame("Signals", "incidents"),
        signals=tuple(_row(look, each) for each in shown),
        filters=(
            look.chosen(
                "workflow",
                "Workflow",
                [
                    ("", "any"),
                    *((each.id, each.title) for each in view.find(r.Workflow, limit=MAX_CHOICES)),
                ],
            ),
            look.chosen("kind", "Kind", [("", "any"), *((each.value, label(each)) for each in w.SignalKind)]),
            look.chosen(
                "state",
                "What became of it",
                [("", "anything"), *((each.value, label(each)) for each in w.SignalState)],
            ),
            *_of_one_incident(look),
        ),
        text=text,
        narrowed=bool(asked or text),
        paging=c.Paging(
            shown=len(shown),
            newest=look.address("/signals", after="") if look.query.get("after") else None,
            older=look.address("/signals", after=shown[-1].id) if len(found) > len(shown) else None,
        ),
        workflows=_workflows(look, ""),
        unplaced=view.count(r.Signal, state=w.SignalState.UNPLACED),
    )


def _of_one_incident(look: Look) -> Iterator[c.Filter]:
    if asked := look.query.get("incident"):
        yield look.chosen("incident", "Incident", [("", "any"), (asked, asked)])


def _row(look: Look, signal: r.Signal) -> c.SignalRow:
    workflow = look.view.get(r.Workflow, signal.workflow) if signal.workflow else None
    incident = look.view.get(r.Incident, signal.incident) if signal.incident else None
    return c.SignalRow(
        signal=signal,
        workflow=workflow.title if workflow else signal.workflow,
        incident=incident,
        answers=answers_of(signal),
    )


def answers_of(signal: r.Signal) -> tuple[tuple[str, str], ...]:
    """Answer what a signal's kind asks, in its order: what was seen stands in its summary already, and the rest of it among its facts.

    A value is shown with its unit, where it is known.
    """
    names = ASKED[signal.kind]
    if "value" in names and "unit" not in names:
        names = (*names, "unit")
    asked = (name for name in names if name != "seen" and signal.facts.get(name) is not None)
    answers = [(name, signal.facts[name]) for name in asked]
    return tuple(
        (label(name), label(value) if name == "how" else formatting.value(value)) for name, value in answers
    )


def _workflows(look: Look, chosen: str) -> tuple[c.Choice, ...]:
    return tuple(
        c.Choice(value=each.id, label=each.title, chosen=each.id == chosen)
        for each in look.view.find(r.Workflow, limit=MAX_CHOICES)
    )
