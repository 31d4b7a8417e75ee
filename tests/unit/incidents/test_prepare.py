"""Contract of preparedness: an alert rule counts only while a detector serves it, it is on, and it has what it needs."""

from __future__ import annotations

from typing import Any

import pytest

from stopwork.incidents.prepare import History, Readiness, review
from stopwork.ledger.words import CheckState, PreparednessCheck
from stopwork.manifest.model import Alerts
from tests.unit.detect.manifests import manifest
from tests.unit.detect.story import START

NOTHING_YET = History(runs=(), steps=(), calls=(), versions=())
WATCHED: dict[str, Any] = {
    "schedule": {"cron": "0 8 * * MON"},
    "sources": {"crm_export": {"trust": "internal", "fresh_within": "24h"}, "inbox": {"trust": "external"}},
    "budget": {"run_usd": 2.5},
}


def alert_rules(**changes: Any) -> Readiness:
    found = review(manifest(**(WATCHED | changes)), NOTHING_YET, START)
    (check,) = (each for each in found.checks if each.check is PreparednessCheck.ALERT_RULES)
    return check


def test_every_rule_is_on_from_the_start() -> None:
    check = alert_rules()
    assert (check.state, check.todo) == (CheckState.PASSED, "")
    assert check.found == f"All {len(Alerts.__struct_fields__)} rules are on, and each has what it needs."


@pytest.mark.parametrize("rule", Alerts.__struct_fields__)
def test_a_rule_that_is_off_is_missing(rule: str) -> None:
    check = alert_rules(alerts={rule: {"enabled": False}})
    assert (check.state, check.found) == (CheckState.FAILED, f"Missing: {rule}.")


# Each case: what the manifest leaves out, then the rule that has nothing to go by.
LACKING: dict[str, tuple[dict[str, Any], str]] = {
    "no schedule": ({"schedule": None}, "missed_run"),
    "no sources": ({"sources": {}}, "stale_input"),
    "no limit of age": ({"sources": {"inbox": {"trust": "external"}}}, "stale_input"),
    "no budget": ({"budget": {}}, "cost"),
}


@pytest.mark.parametrize("name", LACKING)
def test_a_rule_with_nothing_to_go_by_is_missing(name: str) -> None:
    left_out, rule = LACKING[name]
    assert alert_rules(**left_out).found == f"Missing: {rule}."
