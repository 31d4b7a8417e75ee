"""Drift: looking what has become of an incident's objects, and keeping what was seen, with its time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from stopwork.incidents.affected import AffectedObject, affected_objects
from stopwork.incidents.drift import Stamp, drifted
from stopwork.ledger.events import DriftLooked
from stopwork.ledger.records import Drift, Effect, Incident, ObjectRef, Principal
from stopwork.ledger.words import DriftState
from stopwork.operations.audits import audited
from stopwork.operations.installation import Installation
from stopwork.operations.looking import look, stamps
from stopwork.operations.people import refuse_agent
from stopwork.storage.transaction import Tx
from stopwork.storage.view import View

#: How many objects one look takes in; the others are said not to be looked at.
MAX_OBJECTS: Final = 5_000


def look_at_objects(installation: Installation, actor: Principal, *, incident: str) -> Drift:
    """Look at every affected object of the incident, and record what has become of it since the calls left it."""
    refuse_agent(actor, "look at an incident's objects")
    store, systems = installation.store, installation.systems
    case = store.read(lambda view: audited(view, installation.manifests, incident))
    objects = affected_objects(case)
    now = look(systems, (each.object for each in objects), most=MAX_OBJECTS)
    later = store.read(lambda view: _later(view, objects))
    found = drifted(objects, now, later=later, items=case.items)
    changed = [each.object for each in found if each.state is DriftState.CHANGED]
    by = {ref: Stamp(by=who, at=at) for ref, (who, at) in stamps(systems, changed).items()}
    found = drifted(objects, now, later=later, items=case.items, stamps=by)

    def work(tx: Tx) -> Drift:
        workflow = tx.need(Incident, incident).workflow
        tx.record(DriftLooked(incident=incident, workflow=workflow, objects=found))
        return tx.need(Drift, incident)

    return store.write(work, actor=actor)


def _later(view: View, objects: Iterable[AffectedObject]) -> Mapping[ObjectRef, list[Effect]]:
    """Answer what other calls, of any workflow, have done to each object after the last of its own calls."""
    later: dict[ObjectRef, list[Effect]] = {}
    for each in objects:
        history = list(view.each(Effect, object_key=str(each.object), order="at"))
        own = [number for number, effect in enumerate(history) if effect.call in each.calls]
        later[each.object] = history[own[-1] + 1 :] if own else []
    return later
