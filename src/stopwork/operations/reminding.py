"""Reminding: whoever was given something to make safe hears of it, and once its time is over again, as whoever commands the incident does.

What is due is looked for in a snapshot, and looked at again in the transaction that records it, as in :mod:`stopwork.operations.telling`.
"""

from __future__ import annotations

from datetime import datetime
from functools import partial

from stopwork.incidents import routing
from stopwork.ledger.events import TellingPlanned
from stopwork.ledger.records import ContainmentItem, Incident
from stopwork.ledger.words import UNENDED
from stopwork.operations.installation import Installation
from stopwork.operations.telling import AS_TELLING
from stopwork.storage.transaction import Tx
from stopwork.storage.view import View


def remind_due(installation: Installation, *, url: str = "") -> int:
    """Record of which items of open incidents the time has come to remind somebody; answer of how many."""
    store = installation.store
    found = store.read(lambda view: _due(view, store.clock.now()))
    return sum(store.write(partial(_remind, name=name, url=url), actor=AS_TELLING) for name in found)


def _due(view: View, now: datetime) -> list[str]:
    incidents = tuple(each.id for each in view.each(Incident, status=UNENDED))
    if not incidents:
        return []
    return [item.id for item in view.each(ContainmentItem, incident=incidents) if routing.reminds(item, now)]


def _remind(tx: Tx, *, name: str, url: str) -> bool:
    item = tx.need(ContainmentItem, name)
    incident, step = tx.need(Incident, item.incident), routing.reminds(item, tx.now)
    if step is None or incident.status.ended:
        return False
    link = f"{url}/incidents/{incident.id}#contain" if url else ""
    for person, why in routing.reminded(incident, item, step).items():
        tx.record(
            TellingPlanned(
                telling=tx.new_id("tell"),
                incident=incident.id,
                workflow=incident.workflow,
                person=person,
                step=step,
                subject=routing.subject(incident, step, about=item.what),
                body=routing.body_of_item(incident, step, item, why=why, link=link),
                item=item.id,
            )
        )
    return True
