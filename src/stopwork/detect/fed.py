"""Changes that a system lays to the agent, and that nothing has explained yet.

Which guarded call made a change is looked up when the change is told. What comes later, and is of that time, still explains it: a call that was on its way, the effects
of one that only its result names, a recovery, which may be carried out under the agent's own name.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from msgspec.structs import replace

from stopwork.detect.explaining import can_have, same_kind
from stopwork.detect.rulebook import Rulebook, manifest_of
from stopwork.detect.table import Table
from stopwork.ledger.events import CallDecided, ChangesFed
from stopwork.ledger.records import FeedChange, ObjectRef, Record
from stopwork.ledger.words import Operation

MOST_CALLS: Final = 2_048
MOST_OBJECTS: Final = 4_096
MOST_OF_AN_OBJECT: Final = 50


class Began(Record):
    """When a call began, and of which tool it is."""

    tool: str
    at: datetime


class Fed(Record):
    """The unexplained ``changes`` by object, the calls that ``began`` since there are any, and when a recovery was last at an object."""

    changes: Table[tuple[FeedChange, ...]] = Table()
    began: Table[Began] = Table()
    repaired: Table[datetime] = Table()


def waits(fed: Fed) -> bool:
    """Answer whether any change is unexplained."""
    return len(fed.changes) > 0


def told(fed: Fed, event: ChangesFed, rules: Rulebook) -> Fed:
    """Answer the state after a system told of changes: those by agents for which no call is known are kept."""
    changes = fed.changes
    for each in event.changes:
        if not each.agents or each.call is not None:
            continue
        key, known = each.object_key, changes.get(each.object_key, ())
        at = fed.repaired.get(key)
        if (at and _is_repair(each, at, rules)) or any(other.id == each.id for other in known):
            continue
        # Of the fields only the names are shown.
        light = replace(each, fields=dict.fromkeys(each.fields, (None, None)))
        changes = changes.put(key, (*known, light)[:MOST_OF_AN_OBJECT], at_most=MOST_OBJECTS)
    return replace(fed, changes=changes)


def began(fed: Fed, event: CallDecided, at: datetime) -> Fed:
    """Answer the state after a call was decided."""
    return replace(fed, began=fed.began.put(event.call, Began(tool=event.tool, at=at), at_most=MOST_CALLS))


def explained(
    fed: Fed, call: str, at: datetime, done: Iterable[tuple[ObjectRef, Operation | None]], rules: Rulebook
) -> Fed:
    """Answer the state without the changes that a call made: it was at that object then, and did what can be called so."""
    start, changes = fed.began.get(call), fed.changes
    for ref, operation in done:
        known = changes.get(str(ref), ())
        left = tuple(each for each in known if not _is_of(each, operation, start, at, rules))
        if len(left) < len(known):
            changes = _with(changes, str(ref), left)
    return replace(fed, changes=changes)


def repaired(fed: Fed, key: str, at: datetime, rules: Rulebook) -> Fed:
    """Answer the state after a recovery was at an object."""
    left = tuple(each for each in fed.changes.get(key, ()) if not _is_repair(each, at, rules))
    return replace(
        fed,
        repaired=fed.repaired.put(key, at, at_most=MOST_OBJECTS),
        changes=_with(fed.changes, key, left),
    )


def due(fed: Fed, now: datetime, settles_within: timedelta) -> tuple[Fed, list[FeedChange]]:
    """Answer the changes for which nobody has had an explanation in time, and the state without them."""
    left, found = fed.changes, list[FeedChange]()
    for key, changes in fed.changes.items():
        waiting = tuple(each for each in changes if now - each.told_at < settles_within)
        found += [each for each in changes if each not in waiting]
        left = _with(left, key, waiting)
    return replace(fed, changes=left, began=fed.began if len(left) else Table()), found


def within(workflow: str, rules: Rulebook) -> timedelta | None:
    """Answer how far a change and the call that made it may lie apart; ``None`` for a workflow that is not known."""
    manifest = manifest_of(rules, workflow)
    return manifest.alerts.approval_bypass.within if manifest else None


def _with(
    changes: Table[tuple[FeedChange, ...]], key: str, left: tuple[FeedChange, ...]
) -> Table[tuple[FeedChange, ...]]:
    return changes.put(key, left, at_most=MOST_OBJECTS) if left else changes.without(key)


def _is_repair(change: FeedChange, at: datetime, rules: Rulebook) -> bool:
    apart = within(change.agents[0], rules)
    return apart is not None and abs(change.at - at) <= apart


def _is_of(
    change: FeedChange, operation: Operation | None, start: Began | None, at: datetime, rules: Rulebook
) -> bool:
    manifest, apart = manifest_of(rules, change.agents[0]), within(change.agents[0], rules)
    if manifest is None or apart is None or at < change.at - apart:
        return False
    if start is not None and start.at > change.at + apart:
        return False
    if operation is not None:
        return same_kind(change.operation, operation)
    # Only that it is about to run is known; without its tool this is believed.
    return start is None or start.tool not in manifest.tools or can_have(manifest, start.tool, change)
