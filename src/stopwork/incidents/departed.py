"""What calls have sent, paid, approved or triggered without naming an object: it left, and nobody can look at it.

Each such call counts as one object that is known by the call itself and holds what its arguments say. So it is listed, planned for and told
of like every other effect.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec.structs import replace

from stopwork.incidents.images import BEYOND
from stopwork.incidents.unfinished import effect_of, unfinished
from stopwork.ledger.records import Call, Effect, Image, ObjectRef
from stopwork.ledger.words import Operation, Outcome

#: The source of an effect that is known only from the arguments of its call.
ARGUMENTS: Final = "arguments"


def departed(calls: Iterable[Call], known: Iterable[Effect]) -> list[Effect]:
    """Answer what those of the calls let go of whose ``known`` effects do not tell it."""
    told = {effect.call for effect in known if shows_what_left(effect)}
    return [
        _effect(call, operation)
        for call in calls
        if (operation := BEYOND.get(call.effect)) is not None
        and call.attempted_at is not None
        and call.outcome is not Outcome.FAILED
        and call.id not in told
    ]


def shows_what_left(effect: Effect) -> bool:
    """Answer whether the effect is what the call let go of, and not what came with it elsewhere, such as a row in a log."""
    return effect.operation in BEYOND.values() or effect.object.system == _connector(effect.tool)


def _connector(tool: str) -> str:
    return tool.partition(".")[0]


def _effect(call: Call, operation: Operation) -> Effect:
    # By the connector, which is the first part of the tool's name: whoever can call its tools can send a correction.
    ref = ObjectRef(system=_connector(call.tool), type=operation.value, id=call.id)
    if unfinished(call):
        after = Image.unknown("nobody saw how the call ended")
    else:
        after = replace(Image.present(call.args), note="as the arguments of the call say")
    return effect_of(call, ref, operation, Image.absent(), after, ARGUMENTS)
