"""Feeds: a system of record, or whoever reads its log, tells what changed there, and which guarded call made each change is looked up.

Told twice is recorded once. Changes may come late and in any order: those of which no call is known yet are judged by the detectors when the
outcome of every call that may have made them is there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Final

from msgspec import Meta, Struct
from msgspec.structs import replace

from stopwork.detect.explaining import can_have, explains, made, was_going_on, writes_to
from stopwork.kernel.canonical import canonical_bytes
from stopwork.kernel.clock import in_utc
from stopwork.kernel.errors import Denied, Invalid
from stopwork.ledger.events import ChangesFed
from stopwork.ledger.records import Call, Effect, FeedChange, ObjectRef, Workflow
from stopwork.ledger.words import Operation, PrincipalKind, Verdict
from stopwork.manifest.model import Manifest
from stopwork.operations.credentials import SYSTEM_NAME
from stopwork.operations.manifests import Manifests
from stopwork.operations.people import administrators
from stopwork.storage.transaction import Tx
from stopwork.storage.view import View

MAX_CHANGES: Final = 200
MAX_FIELDS: Final = 100
MAX_VALUE_BYTES: Final = 10_000
MAX_NAME_CHARS: Final = 80
MAX_ID_CHARS: Final = 90
MAX_BY_CHARS: Final = 200
#: How much a system's clock may be ahead of ours.
MOST_AHEAD: Final = timedelta(minutes=5)
#: How long before a change the call that made it may have been asked for.
LONGEST_CALL: Final = timedelta(hours=1)
#: How many calls of one tool around a change are looked at.
MOST_CALLS: Final = 100
MINUTE: Final = timedelta(minutes=1)

Name = Annotated[str, Meta(min_length=1, max_length=MAX_NAME_CHARS)]
Id = Annotated[str, Meta(min_length=1, max_length=MAX_ID_CHARS)]


class ChangedObject(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The object that was changed, as the manifests name it."""

    type: Name
    id: Id


class Told(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One change, as its system tells it. ``id`` is what the system calls the change, ``by`` who made it there; ``fields`` hold before and after."""

    id: Id
    at: datetime
    by: Annotated[str, Meta(min_length=1, max_length=MAX_BY_CHARS)]
    object: ChangedObject
    operation: Operation
    fields: Annotated[dict[str, tuple[Any, Any]], Meta(max_length=MAX_FIELDS)] = {}
    destination: Annotated[str, Meta(max_length=MAX_BY_CHARS)] | None = None


class Fed(Struct, frozen=True, kw_only=True):
    """What became of a batch: so many ``taken``, so many ``known`` already; ``differing`` are known with another content, which was not taken."""

    taken: int
    known: int
    differing: tuple[str, ...] = ()


def feed(tx: Tx, manifests: Manifests, *, system: str, changes: Sequence[Told]) -> Fed:
    """Record what a system tells of the changes in it, and with each the guarded call that made it."""
    _require_feed(tx, system)
    identities = _identities(tx, manifests, system)
    calls = _Calls(tx)
    taken: dict[str, FeedChange] = {}
    differing: list[str] = []
    known = 0
    for number, each in enumerate(changes):
        change = _change(tx, system, each, f"changes[{number}]")
        earlier = taken.get(change.id) or tx.get(FeedChange, change.id)
        if earlier is None:
            agents = identities.get(each.by.casefold(), {})
            taken[change.id] = _explained(calls, replace(change, agents=tuple(agents)), agents)
        elif _content(earlier) == _content(change):
            known += 1
        else:
            differing.append(each.id)
    if taken:
        tx.record(ChangesFed(system=system, changes=tuple(taken.values())))
    return Fed(taken=len(taken), known=known, differing=tuple(differing))


def _require_feed(tx: Tx, system: str) -> None:
    """Raise unless the actor may tell of this system: what it says can clear an agent as well as accuse it."""
    if not SYSTEM_NAME.fullmatch(system) or len(system) > MAX_NAME_CHARS:
        raise Invalid(
            f"{system[:MAX_NAME_CHARS]!r} is no name of a system",
            hint="Write it as the manifests do: small letters, digits, - and _.",
            field="system",
        )
    actor = tx.actor
    if actor.kind is PrincipalKind.SYSTEM or (actor.kind is PrincipalKind.FEED and actor.id == system):
        return
    if actor.kind is PrincipalKind.PERSON and actor.id in administrators(tx, tx.now):
        return
    raise Denied(
        f"{actor} cannot tell what changed in {system}",
        hint=f"Use the token of its feed: stopwork token create --feed {system}",
        expected=system,
        found=actor.id,
    )


def _identities(tx: Tx, manifests: Manifests, system: str) -> dict[str, dict[str, Manifest]]:
    """Answer, by whom the system names, the workflows whose agents write there under that name."""
    found: dict[str, dict[str, Manifest]] = {}
    for workflow in tx.each(Workflow):
        manifest = manifests.version(tx, workflow.id, workflow.version).manifest
        for identity in manifest.identities.get(system, ()):
            found.setdefault(identity.casefold(), {})[workflow.id] = manifest
    return found


def _change(tx: Tx, system: str, told: Told, where: str) -> FeedChange:
    if told.at.tzinfo is None:
        raise Invalid(
            f"{told.at.isoformat()} has no time zone",
            hint="Write it as 2026-07-01T09:30:00Z.",
            field=f"{where}.at",
        )
    at = in_utc(told.at)
    if at > tx.now + MOST_AHEAD:
        raise Invalid(
            f"{at.isoformat()} is in the future",
            hint="Set the clock of the system, and tell it again.",
            field=f"{where}.at",
        )
    for name, values in told.fields.items():
        if len(name) > MAX_BY_CHARS or len(canonical_bytes(values)) > MAX_VALUE_BYTES:
            raise Invalid(
                f"the field {name[:50]!r} is larger than {MAX_VALUE_BYTES} bytes",
                hint="Leave it out, or tell its digest.",
                field=f"{where}.fields",
            )
    ref = ObjectRef(system=system, type=told.object.type, id=told.object.id)
    return FeedChange(
        id=f"{system}/{told.id}",
        system=system,
        at=at,
        by=told.by,
        object=ref,
        object_key=str(ref),
        operation=told.operation,
        told_at=tx.now,
        fields=told.fields,
        destination=told.destination,
    )


def _content(change: FeedChange) -> bytes:
    """Answer what the system said, without what was found out about it."""
    return canonical_bytes(
        (
            change.at.isoformat(),
            change.by,
            change.object_key,
            change.operation.value,
            change.fields,
            change.destination,
        )
    )


# --- which call made it ----------------------------------------------------------------------------


class _Calls:
    """The calls around changes, each tool's calls of one minute looked up once: the changes of a batch lie close together."""

    def __init__(self, view: View) -> None:
        self.view = view
        self._found: dict[tuple[str, datetime, timedelta], list[Call]] = {}

    def around(
        self, change: FeedChange, workflow: str, tools: Iterable[str], within: timedelta
    ) -> Iterator[Call]:
        """Yield the workflow's calls of these tools around a change, the newest first, tool by tool."""
        minute = change.at.replace(second=0, microsecond=0)
        for name in tools:
            about = (name, minute, within)
            if about not in self._found:
                self._found[about] = self.view.find(
                    Call,
                    tool=name,
                    requested_at_from=minute - LONGEST_CALL,
                    requested_at_before=minute + MINUTE + within,
                    order="-requested_at",
                    limit=MOST_CALLS,
                )
            yield from (call for call in self._found[about] if call.workflow == workflow)


def _explained(calls: _Calls, change: FeedChange, agents: Mapping[str, Manifest]) -> FeedChange:
    """Answer the change with the call that made it, or with those that come nearest."""
    for workflow, manifest in agents.items():
        within = manifest.alerts.approval_bypass.within
        for effect in _effects(calls.view, change, within):
            call = calls.view.get(Call, effect.call) if effect.workflow == workflow else None
            if call is not None and was_going_on(call, change.at, within) and made(effect, change):
                return replace(change, call=call.id)
        tools = [name for name in manifest.tools if can_have(manifest, name, change)]
        for call in calls.around(change, workflow, tools, within):
            if explains(call, manifest.tools[call.tool], change, within):
                return replace(change, call=call.id, refused=None, beside=None)
            if call.verdict is not Verdict.ALLOW and _names(call, change):
                change = replace(change, refused=change.refused or call.id)
        if not tools:
            others = [name for name in manifest.tools if writes_to(manifest, name, change.system)]
            for call in calls.around(change, workflow, others, within):
                if call.verdict is Verdict.ALLOW and was_going_on(call, change.at, within):
                    change = replace(change, beside=change.beside or call.id)
    return change


def _names(call: Call, change: FeedChange) -> bool:
    """Answer whether a call that was not permitted was about what was changed; one that would make an object cannot name it."""
    return change.operation is Operation.CREATED or change.object.id in map(str, call.args.values())


def _effects(view: View, change: FeedChange, within: timedelta) -> Iterable[Effect]:
    return view.find(
        Effect,
        object_key=change.object_key,
        at_from=change.at - within,
        at_before=change.at + LONGEST_CALL,
        order="at",
        limit=MOST_CALLS,
    )
