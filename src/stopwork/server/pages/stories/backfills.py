"""Storybook: missed runs that are made up for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from msgspec.structs import replace as changed

from stopwork.ledger import records as r
from stopwork.ledger import words as w
from stopwork.operations.backfills import Checked
from stopwork.server.pages import contexts as c
from stopwork.server.pages.stories import world as s

FINDINGS = (
    r.BackfillFinding(
        check=r.BackfillCheck.OCCASION, state=w.CheckState.PASSED, text="it was due 2026-01-05 08:00 UTC"
    ),
    r.BackfillFinding(
        check=r.BackfillCheck.FRESHNESS,
        state=w.CheckState.ATTESTED,
        text="nobody recorded how old crm is; it goes ahead because: nothing was imported since",
        about="crm",
    ),
    r.BackfillFinding(
        check=r.BackfillCheck.DUPLICATES,
        state=w.CheckState.PASSED,
        text="3 changes of earlier attempts will be replayed, not made again: crm.create_task (call_1)",
    ),
    r.BackfillFinding(
        check=r.BackfillCheck.HOLDS, state=w.CheckState.PASSED, text="no hold keeps it from starting"
    ),
)
STALE = changed(
    FINDINGS[1],
    state=w.CheckState.FAILED,
    text="crm is of 2026-01-02 08:00 UTC, 3 days old; at most 1 day is allowed",
)
ORDER = r.Backfill(
    id="backfill_1",
    workflow=s.WORKFLOW.id,
    occasion="2026-01-05T08:00:00+00:00",
    trigger_id="2026-W02",
    state=w.BackfillState.ORDERED,
    reason="the sheet is needed today",
    ordered_by=r.Principal(kind=w.PrincipalKind.PERSON, id="dana@acme.test"),
    ordered_at=s.ago(minutes=4),
    expires_at=s.ago(days=-1),
    findings=FINDINGS,
    due=datetime(2026, 1, 5, 8, tzinfo=UTC),
)


def backfill_stories(frame: Callable[..., c.Frame]) -> Iterator[tuple[str, c.Context]]:
    """Yield the page with orders, while one is checked, and when something stands in the way."""
    checked = Checked(
        workflow=s.WORKFLOW.id,
        occasion=ORDER.occasion,
        trigger_id=ORDER.trigger_id,
        findings=FINDINGS,
        against=(),
        due=ORDER.due,
    )
    page = c.BackfillsContext(
        frame=frame("Missed runs", watch=f"workflow:{s.WORKFLOW.id}"),
        workflow=s.WORKFLOW,
        orders=(
            ORDER,
            changed(ORDER, state=w.BackfillState.FINISHED, ended=w.RunStatus.SUCCEEDED, run="run_1"),
            changed(ORDER, state=w.BackfillState.WITHDRAWN, note="it came by mail"),
        ),
        occasion=ORDER.occasion,
        checked=checked,
    )
    yield "backfills", page
    against = changed(checked, findings=(FINDINGS[0], STALE, *FINDINGS[2:]), against=(STALE,))
    yield "backfills-against", changed(page, checked=against, orders=())
    yield (
        "backfills-asked",
        changed(page, checked=None, problem="Nothing was due at that time.", occasion="2026-01-05T09:00"),
    )
