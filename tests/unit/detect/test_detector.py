"""Contract of telling once: what was told a moment ago is not told again, unless it weighs more or is about something else."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from stopwork.detect.detector import MOST_TOLD, QUIET, Finding, once
from stopwork.detect.table import Table
from stopwork.ledger.words import IncidentType, ScopeKind, Severity, SignalKind
from tests.unit.detect.story import START

FOUND = Finding(
    type=IncidentType.TOOL_MISUSE,
    kind=SignalKind.ALERT,
    detector="policy_violation",
    key="mail.send",
    workflow="weekly-renewal-risk",
    summary="mail.send was refused",
    occurred_at=START,
    facts={},
    severity=Severity.SEV3,
    alarming=False,
)
SOON = START + QUIET / 2


def told_again(again: Finding, *about: str) -> bool:
    """Answer whether a finding is told half a minute after another."""
    told, first = once(Table[datetime](), [FOUND])
    assert first == (FOUND,)
    return bool(once(told, [replace(again, occurred_at=SOON)], *about)[1])


def test_the_same_is_told_once_in_a_minute() -> None:
    told, _ = once(Table[datetime](), [FOUND])
    for after, times in ((timedelta(), 0), (QUIET / 2, 0), (QUIET, 1), (QUIET * 1.5, 0)):
        told, new = once(told, [replace(FOUND, occurred_at=START + after)])
        assert len(new) == times


@pytest.mark.parametrize(
    "other",
    [
        {"key": "crm.create_task"},
        {"workflow": "case-routing"},
        {"alarming": True},
        {"severity": Severity.SEV2},
        {"hold": ScopeKind.TOOL},
    ],
    ids=["key", "workflow", "alarming", "severity", "hold"],
)
def test_what_is_about_something_else_or_weighs_more_is_told(other: dict[str, Any]) -> None:
    assert told_again(replace(FOUND, **other))


def test_causes_of_one_key_are_told_apart() -> None:
    assert told_again(FOUND, "another passage")
    assert not told_again(replace(FOUND, summary="in other words", facts={"value": 2}))


def test_what_was_told_is_bounded() -> None:
    every = [replace(FOUND, key=f"tool.{number}") for number in range(MOST_TOLD + 9)]
    told, new = once(Table[datetime](), every)
    assert (len(told), len(new)) == (MOST_TOLD, MOST_TOLD + 9)
