"""What the CRM's own log says an actor did: the truth that Stopwork's audit is compared with.

It is worked out from the CRM's entries alone, by other code than the audit's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from stopwork.ledger.words import Operation

_OPERATIONS = {"created": Operation.CREATED, "changed": Operation.MODIFIED, "deleted": Operation.DELETED}


class Done(Struct, frozen=True, kw_only=True):
    """What became of one object: ``fields`` maps each field that is not as it was to ``(before, after)``."""

    operation: Operation
    fields: dict[str, tuple[Any, Any]]


def done_by(actor: str, activity: Iterable[Mapping[str, Any]]) -> dict[str, Done]:
    """Answer object id → what an actor did to it, all changes taken together; ``activity`` is oldest first."""
    first: dict[str, str] = {}
    fields: dict[str, dict[str, tuple[Any, Any]]] = {}
    for entry in activity:
        if entry["actor"] != actor:
            continue
        first.setdefault(entry["object"], entry["action"])
        known = fields.setdefault(entry["object"], {})
        for name, (before, after) in entry["changes"].items():
            known[name] = (known[name][0] if name in known else before, after)
    return {
        key: Done(operation=_OPERATIONS[action], fields=_really_changed(fields[key]))
        for key, action in first.items()
    }


def done_by_audit(objects: Iterable[Mapping[str, Any]]) -> dict[str, Done]:
    """Answer the same of the objects that an audit lists."""
    return {
        each["object"]["id"]: Done(
            operation=Operation(each["operation"]),
            fields=_difference(each["before"].get("content") or {}, each["after"].get("content") or {}),
        )
        for each in objects
        if not each["transient"]
    }


def _difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    return _really_changed(
        {name: (before.get(name), after.get(name)) for name in before.keys() | after.keys()}
    )


def _really_changed(fields: Mapping[str, tuple[Any, Any]]) -> dict[str, tuple[Any, Any]]:
    return {name: (before, after) for name, (before, after) in fields.items() if before != after}
