"""What a system shows of a call whose end nobody saw: that it took effect, that it did not, or neither for certain.

Before the call its objects were read, and its arguments say what it was to leave there. An object that now holds what the arguments
ask for, and did not before, shows that the call took effect; one that is exactly as it was, and not as the arguments ask, shows that
it did not. Everything else is for a person: a change by somebody else, an object that was as asked before, an effect that no object
holds, such as a mail that was sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from stopwork.incidents.images import same
from stopwork.incidents.unfinished import unfinished
from stopwork.ledger.records import Call, Image, ObjectRef
from stopwork.ledger.words import EffectKind, ImageState, Outcome

#: The effects that are all there is of a call; a mail, a payment or a started job shows in no object for certain.
SHOWN: Final = frozenset({EffectKind.CREATE, EffectKind.UPDATE, EffectKind.DELETE})


def doubtful(call: Call) -> bool:
    """Answer whether an object can show how the call ended: it began, nobody saw its end, and what it was to change was read before."""
    return unfinished(call) and call.outcome is Outcome.UNKNOWN and call.effect in SHOWN and bool(call.before)


def shown(call: Call, now: Mapping[ObjectRef, Image]) -> Outcome | None:
    """Answer how the call ended, where all its objects say the same as they are ``now``; ``None`` where they do not tell."""
    found = {_shown(call, each.image, now[each.object]) for each in call.before}
    return found.pop() if len(found) == 1 else None


def _shown(call: Call, before: Image, now: Image) -> Outcome | None:
    if ImageState.UNKNOWN in (before.state, now.state):
        return None
    if call.effect is EffectKind.DELETE:
        if before.state is ImageState.ABSENT:
            return None
        if now.state is ImageState.ABSENT:
            return Outcome.SUCCEEDED
        return Outcome.FAILED if same(before.content, now.content) else None
    if now.state is ImageState.ABSENT:
        made = call.effect is EffectKind.CREATE and before.state is ImageState.ABSENT
        return Outcome.FAILED if made else None
    asked = [name for name in call.args if name in _fields(now)]
    as_asked = _all_as_asked(call.args, asked, now)
    was_as_asked = _all_as_asked(call.args, asked, before)
    if asked and as_asked and not was_as_asked:
        return Outcome.SUCCEEDED
    unchanged = before.state is now.state and same(before.content, now.content)
    return Outcome.FAILED if unchanged and asked and not as_asked else None


def _all_as_asked(args: Mapping[str, Any], asked: Iterable[str], image: Image) -> bool:
    fields = _fields(image)
    return all(name in fields and same(fields[name], args[name]) for name in asked)


def _fields(image: Image) -> Mapping[str, Any]:
    return image.content if isinstance(image.content, dict) else {}
