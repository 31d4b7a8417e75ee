"""The quiet month of the bench: its first day of work passes through a whole installation without an alarm, a mishap in them does not, and each type has one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from benchmarks.quiet import month
from benchmarks.quiet.company import Company
from benchmarks.quiet.mishaps import MISHAPS
from stopwork.ledger.words import IncidentType


@pytest.fixture
def company(tmp_path: Path) -> Iterator[Company]:
    company = Company(tmp_path / "data", month.BEGIN, seed=1)
    month.furnish(company)
    yield company
    company.close()


def test_the_first_working_day_begins_without_an_alarm(company: Company) -> None:
    month.plan(company, month.Skipped())
    company.live_until(month.BEGIN + timedelta(hours=34))
    assert company.calls >= 90
    assert company.incidents() == []


def test_every_type_of_incident_happens_once() -> None:
    assert sorted(mishap.type for mishap in MISHAPS) == sorted(IncidentType)


@pytest.mark.parametrize(
    "kind",
    [
        IncidentType.DUPLICATE_WORK,
        IncidentType.TOOL_MISUSE,
        IncidentType.EXTERNAL_SEND,
        IncidentType.SENSITIVE_DATA_EXPOSURE,
    ],
)
def test_a_mishap_becomes_an_incident(company: Company, kind: IncidentType) -> None:
    [mishap] = [each for each in MISHAPS if each.type is kind]
    company.later(company.now(), mishap.story(company))
    company.live_until(month.BEGIN + timedelta(minutes=20))
    assert (kind, mishap.workflow) in {(each.type, each.workflow) for each in company.incidents()}
