"""Storybook: reporting something, and what came in."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from msgspec.structs import replace as changed

from stopwork.ledger import records as r
from stopwork.ledger import words as w
from stopwork.ledger.records.incidents import ABOUT_A_DUTY
from stopwork.server.pages import contexts as c
from stopwork.server.pages.builders.reports import answers_of
from stopwork.server.pages.stories import world as s
from stopwork.server.pages.stories.aftermath import INCIDENT

CHOICES = (c.Choice(value=s.WORKFLOW.id, label=s.WORKFLOW.title),)
NOTICED = r.Signal(
    id="sig_11",
    kind=w.SignalKind.USER_REPORT,
    type=w.IncidentType.BAD_WRITEBACK,
    detector="report",
    key="1/bad_writeback/weekly-renewal-risk/reported",
    workflow=s.WORKFLOW.id,
    summary="Globex has the same task three times",
    occurred_at=s.ago(minutes=12),
    raised_at=s.ago(minutes=10),
    facts={
        "seen": "Globex has the same task three times",
        "where": "the CRM",
        "when": "not said",
        "by": "kim@acme.test",
    },
    incident=INCIDENT.id,
)
UNPLACED = changed(
    NOTICED,
    id="sig_12",
    workflow="",
    detector="mail",
    summary=f"Your mail to us {s.HOSTILE}",
    incident=None,
    facts={
        "seen": f"We got a renewal for a contract that we ended. {s.HOSTILE}",
        "subject": "Your mail to us",
        "by": "Jo <jo@customer.test>",
        "by_is": "what the mail says, and unverified",
        "attachments": "2, not kept: contract.pdf, image.png",
    },
)
FLOOD = changed(
    NOTICED,
    id="sig_13",
    kind=w.SignalKind.ALERT,
    detector="alertmanager",
    summary="400 tasks in a minute",
    repeats=99_990,
    repeated_at=s.ago(minutes=1),
    facts={"rule": "TaskFlood", "threshold": "50", "value": "400", "labels": {"severity": "critical"}},
)
LOGGED = changed(
    NOTICED, id="sig_14", detector="webhook desk", summary="A ticket was reopened", incident=None
)

SILENT = changed(
    NOTICED,
    id="sig_15",
    kind=w.SignalKind.ALERT,
    workflow="",
    key=f"{ABOUT_A_DUTY}sealer",
    detector="watch",
    summary="the background duty sealer does not do its work: nothing was heard of it for 30 seconds",
    incident=None,
    facts={"rule": "background duties", "duty": "sealer", "threshold": 30, "value": 41.5},
)


def report_stories(frame: Callable[..., c.Frame]) -> Iterator[tuple[str, c.Context]]:
    """Yield the form, empty and filled in by a link, and the list with every end that a signal can have."""
    form = c.ReportFormContext(
        frame=frame("Report something", "incidents"),
        workflows=CHOICES,
        types=tuple(c.Choice(value=each.value, label=each.value) for each in w.IncidentType),
        noticed_by=(c.Choice(value="customer", label="Customer"),),
        zones=("UTC", "America/New_York"),
    )
    yield "report", form
    yield (
        "report-by-link",
        changed(form, workflows=(changed(CHOICES[0], chosen=True),), zone="America/New_York", run=s.RUN.id),
    )
    listed = c.SignalsContext(
        frame=frame("Signals", "incidents"),
        signals=(
            c.SignalRow(signal=UNPLACED, answers=answers_of(UNPLACED)),
            c.SignalRow(
                signal=FLOOD, workflow=s.WORKFLOW.title, incident=INCIDENT, answers=answers_of(FLOOD)
            ),
            c.SignalRow(
                signal=NOTICED, workflow=s.WORKFLOW.title, incident=INCIDENT, answers=answers_of(NOTICED)
            ),
            c.SignalRow(signal=LOGGED, workflow=s.WORKFLOW.title),
            c.SignalRow(signal=SILENT, answers=answers_of(SILENT)),
        ),
        filters=(
            c.Filter(name="workflow", label="Workflow", choices=(c.Choice(value="", label="any"), *CHOICES)),
            c.Filter(name="kind", label="Kind", choices=(c.Choice(value="", label="any"),)),
            c.Filter(
                name="state", label="What became of it", choices=(c.Choice(value="", label="anything"),)
            ),
        ),
        paging=c.Paging(shown=5, older="/signals?after=sig_15"),
        workflows=CHOICES,
        unplaced=1,
    )
    yield "signals", listed
    yield "signals-none", changed(listed, signals=(), unplaced=0, paging=c.Paging(shown=0))
    nothing_fits = changed(listed, signals=(), paging=c.Paging(shown=0), text=s.HOSTILE, narrowed=True)
    yield "signals-none-fits", nothing_fits
