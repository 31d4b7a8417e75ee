"""Nagging: a hold that stands for a day reminds its owner, and again each day, of its age and of what it costs.

It never lifts itself. The reminder is an entry of the journal: on the timeline of its incident, on the hold's page, in the stream.
"""

from __future__ import annotations

import heapq
import itertools
from datetime import datetime, timedelta
from typing import Final

from stopwork.control.holds import keeps_from_starting
from stopwork.detect.missed_run import TRIGGER
from stopwork.incidents.pause import runs_due
from stopwork.ledger.events import HoldNagged
from stopwork.ledger.records import Call, Hold, Incident, Workflow
from stopwork.ledger.words import PrincipalKind, Verdict
from stopwork.operations.manifests import Manifests
from stopwork.operations.scopes import workflow_of
from stopwork.storage.transaction import Tx
from stopwork.storage.view import View

NAG_EVERY: Final = timedelta(hours=24)
MAX_STOPPED: Final = 1_000


def nag(tx: Tx, manifests: Manifests) -> int:
    """Record a reminder of each hold that has stood for a day since it was set or last nagged; answer how many."""
    due = [hold for hold in tx.each(Hold, active=True) if tx.now - _last_heard(hold) >= NAG_EVERY]
    for hold in due:
        tx.record(
            HoldNagged(
                hold=hold.id,
                scope=hold.scope,
                owner=owner_of(tx, manifests, hold),
                age_s=int((tx.now - hold.set_at).total_seconds()),
                calls_stopped=calls_stopped(tx, hold),
                runs_due=runs_due_under(tx, manifests, hold, now=tx.now),
                workflow=workflow_of(hold.scope),
                incident=hold.incident,
            )
        )
    return len(due)


def owner_of(view: View, manifests: Manifests, hold: Hold) -> str | None:
    """Answer whose hold it is: its incident's commander's, else that of the person who set it, else the technical owner's.

    ``None`` where a duty holds everything: then it is everybody's.
    """
    if hold.incident is not None:
        return view.need(Incident, hold.incident).commander
    if hold.set_by.kind is PrincipalKind.PERSON:
        return hold.set_by.id
    workflow = workflow_of(hold.scope)
    return manifests.current(view, workflow).manifest.owners.technical if workflow else None


def calls_stopped(view: View, hold: Hold) -> int:
    """Count the calls that the hold has kept from running, among the latest :data:`MAX_STOPPED` that did not run."""
    workflow = workflow_of(hold.scope)
    of_workflow = {"workflow": workflow} if workflow else {}
    # Each verdict by itself: its calls lie together in an index, in their order.
    stopped = heapq.merge(
        *(
            view.find(
                Call,
                verdict=verdict,
                requested_at_from=hold.set_at,
                order="-requested_at",
                limit=MAX_STOPPED,
                **of_workflow,
            )
            for verdict in (Verdict.DENY, Verdict.DRAFT, Verdict.WAIT)
        ),
        key=lambda call: call.requested_at,
        reverse=True,
    )
    return sum(
        any(reason.source == hold.id for reason in call.reasons)
        for call in itertools.islice(stopped, MAX_STOPPED)
    )


def runs_due_under(view: View, manifests: Manifests, hold: Hold, *, now: datetime) -> int:
    """Count the scheduled runs that fell due while the hold kept them from starting."""
    return sum(
        runs_due(manifests.current(view, each.id).manifest, hold.set_at, within=now - hold.set_at)
        for each in view.each(Workflow)
        if keeps_from_starting((hold,), each.id, TRIGGER)
    )


def _last_heard(hold: Hold) -> datetime:
    return hold.nag.at if hold.nag else hold.set_at
