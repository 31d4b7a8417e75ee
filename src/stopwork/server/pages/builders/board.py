"""The board: what needs somebody now."""

from __future__ import annotations

from itertools import islice
from typing import Final

from stopwork.detect.missed_run import next_due
from stopwork.incidents.contain import ENDED
from stopwork.ledger import records as r
from stopwork.ledger import words as w
from stopwork.operations import points
from stopwork.server.pages import contexts as c
from stopwork.server.pages.builders.incidents import incident_row, proposals
from stopwork.server.pages.builders.look import OPEN_STATUSES, Look, concerns, hold_row, pending_approvals
from stopwork.worker import watching

MAX_SHOWN: Final = 100
RECENTLY_CLOSED: Final = 3


def board(look: Look) -> c.BoardContext:
    """Answer the board for this visitor: the worst incident first, then what waits for them."""
    view = look.view
    # All of them, however many: an old one may be the worst.
    open_incidents = sorted(
        view.each(r.Incident, status=OPEN_STATUSES, order="-opened_at"), key=lambda it: it.severity
    )
    holds = tuple(
        hold_row(look, each) for each in view.find(r.Hold, active=True, order="-id", limit=MAX_SHOWN)
    )
    frame = look.frame("Board", "board")
    return c.BoardContext(
        frame=frame,
        workflows=tuple(
            _workflow(look, each, holds, open_incidents) for each in view.find(r.Workflow, limit=MAX_SHOWN)
        ),
        holds=holds,
        incidents=tuple(
            incident_row(look, each)
            for each in islice(
                (it for it in open_incidents if it.status is not w.IncidentStatus.PROPOSED), MAX_SHOWN
            )
        ),
        proposals=proposals(look),
        unplaced=view.count(r.Signal, state=w.SignalState.UNPLACED),
        standing_still=tuple(watching.standing_still(view)),
        approvals=tuple(row for row in pending_approvals(look) if not row.why_not),
        given=_given(look, open_incidents),
        points=tuple(points.live(view, now=look.now)),
        most=MAX_SHOWN
        if max(view.count(r.Workflow), frame.counts.incidents, frame.counts.holds) > MAX_SHOWN
        else 0,
        closed_recently=tuple(
            view.find(r.Incident, status=w.IncidentStatus.CLOSED, order="-opened_at", limit=RECENTLY_CLOSED)
        ),
    )


def _given(look: Look, incidents: list[r.Incident]) -> tuple[r.ContainmentItem, ...]:
    """Answer what this visitor has to make safe, what is due first before the others."""
    if not incidents:
        return ()
    items = look.view.each(r.ContainmentItem, incident=tuple(each.id for each in incidents))
    own = [each for each in items if each.assignee == look.visit.person and each.state not in ENDED]
    return tuple(sorted(own, key=lambda each: (each.due_at is None, each.due_at or look.now)))


def _workflow(
    look: Look, workflow: r.Workflow, holds: tuple[c.HoldRow, ...], incidents: list[r.Incident]
) -> c.WorkflowRow:
    schedule = look.manifests.version(look.view, workflow.id, workflow.version).manifest.schedule
    own = [row for row in holds if concerns(row.hold.scope, workflow.id)]
    return c.WorkflowRow(
        workflow=workflow,
        incidents=tuple(each.id for each in incidents if each.workflow == workflow.id and not each.practice),
        holds=tuple(row.hold for row in own),
        unsettled=c.Unsettled.of(row.pause for row in own),
        last_run=look.view.first(r.Run, workflow=workflow.id, order="-started_at"),
        next_due=next_due(schedule, after=look.now) if schedule else None,
    )
