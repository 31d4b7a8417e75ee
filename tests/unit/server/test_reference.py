"""Contract: the reference of the API and of its errors is that of the rows and the classes, and its limits are the real ones."""

from __future__ import annotations

import json
import re

from scripts.api_reference import API_PAGE, ERRORS_PAGE, endpoint_tables, error_table, page
from stopwork.kernel.canonical import MAX_DEPTH, MAX_INT_BITS
from stopwork.kernel.errors import Conflict
from stopwork.operations.outcomes import MAX_OBSERVED
from stopwork.server.api import controls, guard
from stopwork.server.api.endpoint import MAX_PAGE
from stopwork.server.api.records import MAX_LINES
from stopwork.server.api.routing import BODY_WITHIN_S
from stopwork.server.stream import MAX_LISTENERS

API, ERRORS = API_PAGE.read_text("utf-8"), ERRORS_PAGE.read_text("utf-8")
REGENERATE = "run: .venv/bin/python scripts/api_reference.py"


def test_the_tables_are_those_of_the_rows() -> None:
    assert page(API, endpoint_tables()) == API, REGENERATE


def test_the_errors_are_those_of_the_classes() -> None:
    assert page(ERRORS, error_table()) == ERRORS, REGENERATE


def test_limits_are_the_documented_ones() -> None:
    assert f"`limit` is at most {MAX_PAGE} ({MAX_LINES} for the journal)" in API
    assert f"{MAX_LISTENERS} may listen at once" in API
    assert f"{BODY_WITHIN_S:g} s |" in API
    assert f"{MAX_DEPTH} levels" in API
    assert f"{MAX_INT_BITS} bits" in API
    assert f"{MAX_OBSERVED:,} |" in API
    assert {row.max_body_bytes for row in controls.ENDPOINTS} == {1024 * 1024}
    assert {row.max_body_bytes for row in guard.ENDPOINTS} == {16 * 1024 * 1024}


def test_the_example_is_a_problem_as_it_is_answered() -> None:
    [spelled] = re.findall(r"```json\n(.*?)```", ERRORS, re.DOTALL)
    shown = json.loads(spelled)
    assert Conflict(shown["detail"], hint=shown["hint"]).problem() == shown
