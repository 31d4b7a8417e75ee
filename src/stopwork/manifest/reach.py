"""How far the declared effect of a tool reaches: what its calls may be seen to do, and what goes further."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from stopwork.ledger.records import ObjectRef
from stopwork.ledger.words import EffectKind, Operation
from stopwork.manifest.tools import Tool

_REACH: Final[Mapping[EffectKind, frozenset[Operation]]] = MappingProxyType(
    {
        EffectKind.READ: frozenset(),
        EffectKind.CREATE: frozenset({Operation.CREATED}),
        EffectKind.SEND: frozenset({Operation.CREATED}),
        EffectKind.UPDATE: frozenset({Operation.CREATED, Operation.MODIFIED}),
        EffectKind.PAY: frozenset({Operation.CREATED, Operation.MODIFIED}),
        EffectKind.APPROVE: frozenset({Operation.CREATED, Operation.MODIFIED}),
        EffectKind.TRIGGER: frozenset({Operation.CREATED, Operation.MODIFIED}),
        EffectKind.DELETE: frozenset({Operation.CREATED, Operation.MODIFIED, Operation.DELETED}),
    }
)
"""What a call may do to objects that the manifest does not name: making something takes nothing away from anybody."""


def goes_further(
    declared: EffectKind,
    operation: Operation,
    changed: ObjectRef,
    *,
    named: ObjectRef | None,
    tool: Tool | None,
) -> bool:
    """Answer whether a call declared to have one effect did more than that to an object.

    The object that the manifest names for a call that writes may be changed in any way, but only a delete removes it. What stands under
    ``also`` may be changed in any way.
    """
    if operation in (Operation.SENT, Operation.PAID, Operation.APPROVED, Operation.TRIGGERED):
        return False  # only the declaration itself is known by these words
    if tool is not None and {changed.system, f"{changed.system}/{changed.type}"} & set(tool.also):
        return False
    if changed == named and declared is not EffectKind.READ:
        return operation is Operation.DELETED and declared is not EffectKind.DELETE
    return operation not in _REACH[declared]
