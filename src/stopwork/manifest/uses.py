"""The places where a manifest, a plan or a webhook holds an expression: which names are known there, and what it has to answer."""

from __future__ import annotations

from enum import StrEnum


class Use(StrEnum):
    """One kind of place for an expression; the value is the ``format`` of the field in the JSON Schema."""

    CONDITION = "cel-condition"
    VERIFICATION = "cel-verification"
    IDENTITY = "cel-identity"
    KEY = "cel-key"
    VALUE = "cel-value"
    ADDRESS = "cel-address"
    FOUND = "cel-found"
    REMEDY = "cel-remedy"
    ITEMS = "cel-items"
    DELIVERY = "cel-delivery"
    WANTED = "cel-wanted"

    @property
    def needs_truth(self) -> bool:
        """Whether the expression has to answer true or false."""
        return self in (Use.CONDITION, Use.VERIFICATION, Use.FOUND, Use.ITEMS, Use.WANTED)

    @property
    def names(self) -> frozenset[str]:
        """The names an expression may use here."""
        return _NAMES[self]


# A key, an id or an undo must come out the same on every attempt: no clock and no attempt number is known there.
_CALL = frozenset({"args", "tool", "workflow"})
_OCCASION = frozenset({"source", "run.id", "run.trigger", "run.trigger_id"})
_MOMENT = frozenset({"now", "run.attempt", "run.started_at"})
_OBJECT = frozenset({"object.system", "object.type", "object.id"})
_AFTER = _OBJECT | {"result"}
_IMAGES = frozenset({"before", "left", "original.system", "original.type", "original.id"})
_ITEM = frozenset(
    {
        "at",
        "calls",
        "copy_of",
        "fields",
        "operation",
        "remedy",
        "reversibility",
        "runs",
        "situation",
        "stays",
        "tools",
    }
)

#: What another tool has sent; no manifest knows of it.
_SENT = frozenset({"body", "item"})

_NAMES = {
    Use.CONDITION: _CALL | _OCCASION | _MOMENT,
    Use.VERIFICATION: _CALL | _AFTER,
    Use.IDENTITY: _CALL | {"result"},
    Use.KEY: _CALL | _OCCASION,
    Use.VALUE: _CALL | _OCCASION | _AFTER,
    Use.ADDRESS: _CALL,
    Use.FOUND: _CALL | {"result"},
    Use.REMEDY: _CALL | _OCCASION | _AFTER | _IMAGES,
    Use.ITEMS: _OBJECT | _ITEM,
    Use.DELIVERY: _SENT,
    Use.WANTED: _SENT,
}
