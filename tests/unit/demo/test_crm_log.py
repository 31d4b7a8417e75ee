"""The CRM's log and the audit's list are read apart, and are equal only when every object and field is."""

from __future__ import annotations

from typing import Any

from stopwork.demo.crm_log import Done, done_by, done_by_audit
from stopwork.ledger.words import Operation

Json = dict[str, Any]


def entry(actor: str, action: str, key: str, **changes: list[Any]) -> Json:
    return {"actor": actor, "action": action, "object": key, "changes": changes}


def listed(
    key: str, operation: str, before: Json | None, after: Json | None, *, transient: bool = False
) -> Json:
    return {
        "object": {"id": key},
        "operation": operation,
        "before": {"content": before},
        "after": {"content": after},
        "transient": transient,
    }


def test_changes_of_one_field_are_taken_together() -> None:
    log = [
        entry("agent", "changed", "A-1", risk=["low", "high"]),
        entry("agent", "changed", "A-1", risk=["high", "mid"]),
    ]
    assert done_by("agent", log) == {
        "A-1": Done(operation=Operation.MODIFIED, fields={"risk": ("low", "mid")})
    }


def test_what_somebody_else_did_is_not_counted() -> None:
    log = [entry("dana", "changed", "A-1", risk=["low", "high"])]
    assert done_by("agent", log) == {}


def test_a_field_that_is_as_it_was_has_not_changed() -> None:
    log = [
        entry("agent", "changed", "A-1", risk=["low", "high"]),
        entry("agent", "changed", "A-1", risk=["high", "low"]),
    ]
    assert done_by("agent", log)["A-1"].fields == {}


def test_the_audit_says_the_same_of_the_same() -> None:
    log = [
        entry("agent", "changed", "A-1", risk=["low", "high"]),
        entry("agent", "created", "T-1", title=[None, "Call"], due=[None, "2027-01-20"]),
    ]
    objects = [
        listed("A-1", "modified", {"risk": "low", "name": "A"}, {"risk": "high", "name": "A"}),
        listed("T-1", "created", None, {"title": "Call", "due": "2027-01-20"}),
    ]
    assert done_by_audit(objects) == done_by("agent", log)


def test_an_audit_that_misses_a_field_or_an_object_differs() -> None:
    log = [entry("agent", "changed", "A-1", risk=["low", "high"], name=["A", "B"])]
    assert done_by_audit([listed("A-1", "modified", {"risk": "low"}, {"risk": "high"})]) != done_by(
        "agent", log
    )
    assert done_by_audit([]) != done_by("agent", log)


def test_an_object_that_came_and_went_is_left_out() -> None:
    assert done_by_audit([listed("T-1", "deleted", None, None, transient=True)]) == {}
