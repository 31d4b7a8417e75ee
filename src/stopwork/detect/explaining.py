"""Which guarded call made a change that a system tells of: a call that was permitted, ran at that time, and was at that object.

A call explains no more than it can have done: what was deleted is explained by a deletion, and what was created by a creation. A call of which
nobody saw what it changed explains any change that its tool can make. A tool that declares no object is at work in its own system, by its name
or by what the manifest says of it; where that is not known, it is at work where no other tool is.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from stopwork.ledger.records import Call, Effect, FeedChange
from stopwork.ledger.words import EffectKind, Operation, Outcome, Verdict
from stopwork.manifest.model import Manifest
from stopwork.manifest.tools import Tool

_ONLY_BY_ITSELF: Final = (Operation.CREATED, Operation.DELETED)
_OF_OBJECTS: Final = (EffectKind.CREATE, EffectKind.UPDATE, EffectKind.DELETE)


def same_kind(told: Operation, seen: Operation) -> bool:
    """Answer whether one operation may be what the other is called elsewhere."""
    if told in _ONLY_BY_ITSELF or seen is Operation.DELETED:
        return told is seen
    return True


def was_going_on(call: Call, at: datetime, within: timedelta) -> bool:
    """Answer whether a call may have run at that time, clocks and slow systems taken into account."""
    began = call.attempted_at or call.permitted_at or call.requested_at
    ended = call.finished_at
    return began - within <= at and (ended is None or at <= ended + within)


def can_have(manifest: Manifest, name: str, change: FeedChange) -> bool:
    """Answer whether calls of a tool make changes of this kind, as far as the manifest tells."""
    tool = manifest.tools[name]
    if not tool.writes:
        return False
    place = (change.object.system, change.object.type)
    if {place[0], "/".join(place)} & set(tool.also):
        return True
    if tool.object is None:
        # To send something is no change of what other tools are there to change.
        if not writes_to(manifest, name, change.system) or (
            tool.effect not in _OF_OBJECTS and change.system in _declared(manifest)
        ):
            return False
    elif (tool.object.system, tool.object.type) != place:
        return False
    match change.operation:
        case Operation.DELETED:
            return tool.effect is EffectKind.DELETE
        case Operation.CREATED:
            return tool.effect is not EffectKind.DELETE
        case _:
            return tool.effect is not EffectKind.CREATE


def writes_to(manifest: Manifest, name: str, system: str) -> bool:
    """Answer whether calls of a tool are at work in this system, as far as the manifest tells."""
    tool = manifest.tools[name]
    if not tool.writes:
        return False
    if tool.object is not None:
        return tool.object.system == system
    declared = _declared(manifest)
    own = {each.partition("/")[0] for each in tool.also}
    if tool.undo is not None and tool.undo.system is not None:
        own.add(tool.undo.system)
    if (named := name.partition(".")[0]) in declared | manifest.identities.keys():
        own.add(named)
    return system in own if own else system not in declared


def _declared(manifest: Manifest) -> set[str]:
    """Answer the systems of the objects that the manifest's tools change."""
    return {tool.object.system for tool in manifest.tools.values() if tool.writes and tool.object is not None}


def explains(call: Call, tool: Tool, change: FeedChange, within: timedelta) -> bool:
    """Answer whether a call, of a tool that :func:`can_have` made it, made this change; its effects are not looked at."""
    if call.verdict is not Verdict.ALLOW or not was_going_on(call, change.at, within):
        return False
    if call.outcome is Outcome.FAILED and not call.effects:
        return False
    if {change.system, f"{change.system}/{change.object.type}"} & set(tool.also):
        return True
    if any(each.object == change.object for each in call.before):
        return True
    return not call.effects and not call.before


def made(effect: Effect, change: FeedChange) -> bool:
    """Answer whether an effect that was seen is this change, whenever it was."""
    return effect.object == change.object and same_kind(change.operation, effect.operation)
