"""Contract of lists, on every database: each filter that pages and the API offer is answered from an index in the order of the list, so a
page costs the same however many calls there are. The database itself is asked how it would go about it; nothing is timed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import pytest
import sqlalchemy as sa

from stopwork.ledger.records import Call, Effect, Record, Run, Signal
from stopwork.storage import statements
from stopwork.storage.statements import Statement
from stopwork.storage.store import Store
from stopwork.storage.tables import TABLES
from stopwork.storage.view import View
from tests.support.databases import DATABASES, location_of

#: What the list of calls can be narrowed by, what tells most first.
FILTERS = ("run", "workflow", "tool", "verdict", "outcome")
LISTS: list[tuple[type[Record], str, dict[str, Any]]] = [
    (Call, "-requested_at", {}),
    *((Call, "-requested_at", {name: "x"}) for name in FILTERS),
    *((Call, "-requested_at", dict.fromkeys(pair, "x")) for pair in combinations(FILTERS, 2)),
    (Call, "-requested_at", {"in_flight": True}),
    (Call, "-requested_at", {"in_flight": False}),
    (Call, "-requested_at", {"in_flight": False, "run": "x"}),
    (Call, "requested_at", {"run": "x"}),
    (Run, "-started_at", {}),
    (Run, "-started_at", {"workflow": "x"}),
    (Run, "-started_at", {"status": "x"}),
    (Run, "-started_at", {"workflow": "x", "status": "x"}),
    (Signal, "-raised_at", {}),
    (Signal, "-raised_at", {"workflow": "x"}),
    (Signal, "-raised_at", {"key": "x"}),
    (Signal, "-raised_at", {"kind": "x"}),
    (Signal, "-raised_at", {"state": "x"}),
    (Signal, "-raised_at", {"workflow": "x", "kind": "x"}),
    (Signal, "-raised_at", {"workflow": "x", "state": "x"}),
    (Signal, "-raised_at", {"kind": "x", "state": "x"}),
    (Signal, "-raised_at", {"words_has": ("x", "y")}),
    (Signal, "-raised_at", {"workflow": "x", "words_has": ("x",)}),
    (Effect, "at", {"run": "x"}),
    (Effect, "at", {"object_key": "x"}),
]
_SORTS_ALL = re.compile(r"TEMP B-TREE FOR ORDER BY|(?<!Incremental )Sort +\(|Seq Scan|SCAN (?!.*USING)")
JOURNAL: list[dict[str, str]] = [
    {},
    {"workflow": "x"},
    {"run": "x"},
    {"incident": "x"},
    {"run": "x", "call": "x"},
]


@pytest.fixture(scope="module", params=DATABASES)
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with Store.open(location_of(request, tmp_path_factory)) as opened:
        yield opened


@pytest.mark.parametrize("paged", [False, True], ids=["first page", "next page"])
@pytest.mark.parametrize(("kind", "order", "asked"), LISTS, ids=lambda it: getattr(it, "__name__", str(it)))
def test_a_list_is_read_from_an_index_in_its_order(
    store: Store, kind: type[Record], order: str, asked: dict[str, Any], paged: bool
) -> None:
    shape, values = statements.shape_of(asked)
    values |= {"limit": 50, "mark": 1, "after": "x"}
    statement = statements.search(TABLES[kind], shape, order, paged=paged)
    assert store.read(lambda view: _in_order(view, statement, values))


@pytest.mark.parametrize("newest_first", [False, True], ids=["oldest first", "newest first"])
@pytest.mark.parametrize("asked", JOURNAL, ids=str)
def test_the_journal_is_read_from_an_index_in_its_order(
    store: Store, asked: dict[str, Any], newest_first: bool
) -> None:
    shape, values = statements.shape_of({"seq_from": 1, "seq_before": 1_000, **asked})
    statement = statements.entries(shape, newest_first=newest_first)
    assert store.read(lambda view: _in_order(view, statement, {**values, "limit": 50}))


def test_what_a_run_did_is_found_by_the_run_whatever_else_is_asked(store: Store) -> None:
    for name in FILTERS[1:]:
        shape, values = statements.shape_of({"run": "x", name: "x"})
        statement = statements.search(TABLES[Call], shape, "-requested_at", paged=False)
        plan = store.read(lambda view: _plan(view, statement, {**values, "limit": 50}))  # noqa: B023 - read at once
        assert "call_run_requested_at" in plan, f"{name}: {plan}"


def _in_order(view: View, statement: Statement, values: dict[str, Any]) -> bool:
    """Answer whether the rows come from an index in the order of the list; what is sorted are at most those of one moment."""
    plan = _plan(view, statement, values)
    assert "INDEX" in plan.upper() or "PRIMARY KEY" in plan, plan
    return _SORTS_ALL.search(plan) is None


def _plan(view: View, statement: Statement, values: dict[str, Any]) -> str:
    """Ask the database how it would answer. PostgreSQL would read and sort tables as small as these: it is told not to."""
    if view.database == "postgresql":
        for setting in ("enable_seqscan", "enable_sort", "enable_bitmapscan"):
            view.execute(sa.text(f"SET LOCAL {setting} = off"))
    return view.explain(statement, values)
