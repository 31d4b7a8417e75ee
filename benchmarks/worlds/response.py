"""What people do once an agent has gone wrong, through the same operations that the console and the API call."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from benchmarks.worlds.places import WORLD
from stopwork.incidents.affected import AffectedObject, affected_objects
from stopwork.incidents.images import operation_of
from stopwork.ledger.records import AuditScope, Effect, Item, ObjectRef, Principal
from stopwork.ledger.words import DriftState, ImageState, IncidentType, Operation, PrincipalKind
from stopwork.operations import audits, drifting, evidence, incidents, planning, recovering
from stopwork.operations.cases import gather
from stopwork.operations.installation import Installation

OWNER: Final = Principal(kind=PrincipalKind.PERSON, id="dana@acme.test")
RESPONDER: Final = Principal(kind=PrincipalKind.PERSON, id="lee@acme.test")

_SEEN: Final = (Operation.CREATED, Operation.MODIFIED, Operation.DELETED)


class Response:
    """An incident about one run, opened by a person, with all that is on record about it."""

    def __init__(self, installation: Installation, workflow: str, run: str) -> None:
        self._installation = installation
        self._store = installation.store
        self._manifests = installation.manifests
        self._incident = self._store.write(
            lambda tx: incidents.open_by_hand(
                tx, self._manifests, workflow=workflow, type=IncidentType.PROMPT_INJECTION, runs=(run,)
            ),
            actor=RESPONDER,
        ).id
        self.case = self._store.read(lambda view: gather(view, self._manifests, self._incident))

    def affected(self) -> tuple[AffectedObject, ...]:
        """Answer the objects of the world that the audit lists."""
        return tuple(each for each in affected_objects(self.case) if each.object.system == WORLD)

    def effects(self) -> tuple[Effect, ...]:
        """Answer what the audit says of each call, as far as it is about the world."""
        return tuple(effect for effect in self.case.effects if effect.object.system == WORLD)

    def seal_and_audit(self, *, followed: bool = False) -> tuple[ObjectRef, ...]:
        """Do what has to come before any recovery. With ``followed``, answer the objects that later calls went on from."""
        evidence.seal(self._installation, RESPONDER, incident=self._incident)
        audit = self._store.write(
            lambda tx: audits.complete(
                tx, self._manifests, incident=self._incident, scope=AuditScope(followed=followed)
            ),
            actor=RESPONDER,
        )
        links = audit.followed.links if audit.followed else ()
        found = dict.fromkeys(ref for link in links for ref in (link.object, *link.changed))
        return tuple(ref for ref in found if ref.system == WORLD)

    def drifted(self) -> list[ObjectRef]:
        """Look at all these objects now, and answer those that somebody has changed since."""
        look = drifting.look_at_objects(self._installation, RESPONDER, incident=self._incident)
        changed = [
            each.object for each in look.objects if each.state in (DriftState.CHANGED, DriftState.GONE)
        ]
        return [ref for ref in changed if ref.system == WORLD]

    def recover(self, calls: Collection[str]) -> list[Item]:
        """Undo these calls: plan, the owner's approval, run, read back. Answer the items about the world as they ended."""
        plan = planning.plan(self._installation, RESPONDER, incident=self._incident, calls=calls)
        self._store.write(lambda tx: planning.approve(tx, plan=plan.id, digest=plan.digest), actor=OWNER)
        recovering.run(self._installation, RESPONDER, plan=plan.id)
        items = self._store.read(lambda view: list(view.each(Item, plan=plan.id, order="order")))
        return [item for item in items if item.object.system == WORLD]


def operation_seen(effect: Effect) -> str:
    """Answer created, modified or deleted: within an environment, what was *sent* or *paid* is one of these."""
    if effect.operation in _SEEN:
        return effect.operation
    if effect.before.state is ImageState.UNKNOWN:
        return Operation.CREATED
    return operation_of(effect.before, effect.after) or "nothing"
