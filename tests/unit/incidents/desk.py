"""A small world for recovery: objects on a desk, calls that change them, people who do too, and someone who runs a plan."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec.structs import replace

from stopwork.incidents.attempt import AlreadyDone, ByHand, Clash, Invoke, Replace, step, verify
from stopwork.incidents.images import operation_of
from stopwork.incidents.recover import propose_plan
from stopwork.incidents.remedies import Means, Undoing
from stopwork.kernel.ids import CountingIds
from stopwork.ledger.records import Effect, Image, Incident, Item, ObjectRef, Principal
from stopwork.ledger.words import (
    DetectedBy,
    EffectKind,
    IncidentStatus,
    IncidentType,
    ItemState,
    PrincipalKind,
    Severity,
)
from stopwork.systems.python import PythonSystem

START = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
Content = Any
ACME = {"name": "Acme", "renewal_date": "2026-12-01", "plan": "gold"}
LATE = {**ACME, "renewal_date": "2027-01-01"}


class Desk:
    """Objects by id, and the effects that the guard would have recorded for the calls."""

    def __init__(self, objects: Mapping[str, Content] = {}) -> None:
        self.objects: dict[str, Content] = copy.deepcopy(dict(objects))
        self.effects: list[Effect] = []
        self.invoked: list[tuple[str, Mapping[str, Any]]] = []
        self.inverses: dict[str, Callable[[Mapping[str, Any]], None]] = {}
        self.system = PythonSystem("desk", self._read, self._write, invoke=self._invoke)

    def call(
        self,
        call: str,
        object_id: str,
        content: Content | None,
        *,
        tool: str = "desk.write",
        kind: EffectKind | None = None,
        seen: bool = True,
        kept: bool = True,
    ) -> None:
        """Change an object by a call; ``seen`` says whether the after-image could be read, ``kept`` the before-image."""
        before, after = self._image(object_id), _image_of(content)
        before = before if kept else Image.unknown("the desk did not answer")
        self.human(object_id, content)
        after = after if seen else Image.unknown("the desk did not answer")
        operation = operation_of(before, after, kind)
        if operation is not None:
            number = len(self.effects) + 1
            self.effects.append(
                Effect(
                    id=f"effect_{number}",
                    call=call,
                    run="run_1",
                    workflow="prep",
                    tool=tool,
                    object=ref(object_id),
                    operation=operation,
                    before=before,
                    after=after,
                    at=START + timedelta(seconds=number),
                    source="declared",
                    object_key=str(ref(object_id)),
                )
            )

    def human(self, object_id: str, content: Content | None) -> None:
        """Change an object without a record."""
        if content is None:
            self.objects.pop(object_id, None)
        else:
            self.objects[object_id] = copy.deepcopy(content)

    def plan(self, *chosen: str, **means: Any) -> list[Item]:
        """Propose what undoes these calls; without a choice, all of them."""
        undoing = means.pop("undoing", {})
        kind = means.pop("kind", IncidentType.BAD_WRITEBACK)
        return propose_plan(
            replace(INCIDENT, type=kind),
            self.effects,
            chosen=chosen or {effect.call for effect in self.effects},
            plan="plan_1",
            means=Means(
                undoing=lambda effect: undoing.get(effect.tool, Undoing()),
                restores=means.pop("restores", frozenset({"desk"})),
                **means,
            ),
            new_id=CountingIds().new,
        )

    def run(self, items: Iterable[Item]) -> list[Item]:
        """Run every item once and answer them as they ended."""
        return [self.attempt(item) for item in items]

    def attempt(self, item: Item) -> Item:
        now = self.system.read(item.object)
        match step(item, now):
            case ByHand():
                return replace(item, state=ItemState.ACCEPTED)
            case AlreadyDone():
                return replace(item, state=ItemState.VERIFIED, found=now)
            case Clash(fields=fields):
                return replace(item, state=ItemState.CONFLICT, found=now, note=", ".join(fields))
            case Replace(expected=expected, target=target):
                self.system.replace(item.object, expected, target)
            case Invoke(tool=tool, args=args):
                self.system.invoke(tool, args)
        good = verify(item, self.system.read(item.object))
        return replace(
            item, state=ItemState.VERIFIED if good else ItemState.FAILED, attempted_at=START, replaced=now
        )

    def _image(self, object_id: str) -> Image:
        return self.system.read(ref(object_id))

    def _read(self, _kind: str, object_id: str) -> Content | None:
        return self.objects.get(object_id)

    def _write(self, _kind: str, object_id: str, content: Content | None) -> None:
        self.human(object_id, content)

    def _invoke(self, tool: str, args: Mapping[str, Any]) -> None:
        self.invoked.append((tool, args))
        if tool in self.inverses:
            self.inverses[tool](args)


def ref(object_id: str) -> ObjectRef:
    return ObjectRef(system="desk", type="task", id=object_id)


def states(items: Sequence[Item]) -> list[ItemState]:
    return [item.state for item in items]


def _image_of(content: Content | None) -> Image:
    return Image.absent() if content is None else Image.present(copy.deepcopy(content))


INCIDENT = Incident(
    id="AI-INC-2026-1123-001",
    type=IncidentType.BAD_WRITEBACK,
    title="Wrong dates",
    workflow="prep",
    version=1,
    detected_by=DetectedBy.ALERT,
    detected_at=START,
    opened_at=START,
    opened_by=Principal(kind=PrincipalKind.SYSTEM, id="detectors"),
    commander="lee@acme.test",
    business_owner="dana@acme.test",
    technical_owner="lee@acme.test",
    backup_owner="kim@acme.test",
    communication_owner="dana@acme.test",
    postmortem_owner="lee@acme.test",
    severity=Severity.SEV2,
    factors=(),
    status=IncidentStatus.CONTAINED,
    cause="dates",
)
