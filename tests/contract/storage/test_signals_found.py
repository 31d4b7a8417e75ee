"""Contract of looking signals up, on every database: by kind, by what became of them and by the words that they say, each filter with each
other one, a page at a time; also those that an earlier version has written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from stopwork.ledger.events import SignalAssigned, SignalJoined, SignalRaised
from stopwork.ledger.records import Signal
from stopwork.ledger.records.incidents import ABOUT_A_DUTY, MAX_WORDS
from stopwork.ledger.words import IncidentType, SignalKind
from stopwork.operations.signals import look_up
from stopwork.storage.discreet import DiscreetView
from stopwork.storage.store import Store, engine_of
from stopwork.storage.tables import micros
from stopwork.storage.transaction import Tx
from stopwork.storage.view import View
from tests.support import earlier
from tests.support.databases import DATABASES, POSTGRESQL, location_of
from tests.support.postgres import PostgresServer
from tests.support.told import START, incident_with_evidence

BEFORE = "0018"
INCIDENT = "AI-INC-2026-0302-001"


def raised(signal: str, summary: str, **changes: Any) -> SignalRaised:
    usual: dict[str, Any] = {
        "kind": SignalKind.ALERT,
        "type": IncidentType.BAD_WRITEBACK,
        "detector": "alertmanager",
        "key": f"1/bad_writeback/renewals/{signal}",
        "workflow": "renewals",
        "occurred_at": START,
    }
    return SignalRaised(signal=signal, summary=summary, **usual | changes)


SAID = (
    raised("sig_1", "Globex has the TASK three times", kind=SignalKind.USER_REPORT, facts={"by": "Ägidius"}),
    raised("sig_2", "a run failed", kind=SignalKind.FAILED_RUN, run="run_7", facts={"errors": ["call_9"]}),
    raised("sig_3", "100% of a_b/c are wrong", facts={"labels": {"team": "billing"}, "value": 412}),
    raised("sig_4", "nobody knows what", workflow=""),
    raised("sig_5", "the sealer is silent", workflow="", key=f"{ABOUT_A_DUTY}sealer"),
)


def tell(tx: Tx) -> None:
    for event in SAID:
        tx.record(event)
    for opening in incident_with_evidence(INCIDENT, path="", digest="")[:2]:
        tx.record(opening)
    tx.record(SignalJoined(incident=INCIDENT, workflow="renewals", signal="sig_1"))


@pytest.fixture(scope="module", params=DATABASES)
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with Store.open(location_of(request, tmp_path_factory)) as opened:
        opened.write(tell)
        yield opened


def found(store: Store, **asked: Any) -> list[str]:
    return sorted(each.id for each in store.read(lambda view: look_up(view, **({"limit": 10} | asked))))


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, "12345"),
        ({"kind": "failed_run"}, "2"),
        ({"state": "incident"}, "1"),
        ({"state": "logged"}, "23"),
        ({"state": "unplaced"}, "4"),
        ({"state": "server"}, "5"),
        ({"state": "logged", "kind": "alert", "workflow": "renewals"}, "3"),
        ({"text": "task"}, "1"),
        ({"text": "three globex"}, "1"),
        ({"text": "three wrong"}, ""),
        ({"text": "ÄGIDIUS"}, "1"),
        ({"text": "run_7"}, "2"),
        ({"text": "call_9"}, "2"),
        ({"text": "sig_3"}, "3"),
        ({"text": "billing"}, "3"),
        ({"text": "412"}, "3"),
        ({"text": "labels"}, ""),
        ({"text": "%"}, "3"),
        ({"text": "a_b"}, "3"),
        ({"text": "b/c"}, "3"),
        ({"text": "' OR 1=1 --"}, ""),
        ({"text": "alertmanager", "state": "unplaced"}, "4"),
        ({"text": "   "}, "12345"),
    ],
    ids=str,
)
def test_each_filter_finds_what_it_names(store: Store, asked: dict[str, str], expected: str) -> None:
    assert found(store, **asked) == [f"sig_{each}" for each in expected]


@pytest.mark.parametrize(
    "asked", [{"kind": "user_report"}, {"state": "incident"}, {"text": "task"}, {}], ids=str
)
def test_what_belongs_to_a_private_incident_is_found_by_nobody_else(
    store: Store, asked: dict[str, str]
) -> None:
    def seen(view: View) -> list[str]:
        return [each.id for each in look_up(DiscreetView(view, frozenset({INCIDENT})), limit=10, **asked)]

    assert "sig_1" in found(store, **asked)
    assert "sig_1" not in store.read(seen)


def test_pages_of_what_fits_show_each_once(store: Store) -> None:
    seen: list[str] = []
    while page := found(
        store, text="alertmanager", state="logged", limit=1, after=seen[-1] if seen else None
    ):
        seen += page
    assert sorted(seen) == ["sig_2", "sig_3"]


def test_what_becomes_of_a_signal_is_found_from_then_on(location: str) -> None:
    with Store.open(location) as store:
        store.write(lambda tx: tx.record(raised("sig_1", "odd", workflow="")))
        assert found(store, state="unplaced") == ["sig_1"]
        placed = SignalAssigned(
            signal="sig_1", workflow="renewals", type=IncidentType.BAD_WRITEBACK, key="1/x"
        )
        store.write(lambda tx: tx.record(placed))
        assert (found(store, state="unplaced"), found(store, state="logged")) == ([], ["sig_1"])


def test_what_no_database_keeps_in_a_text_is_in_nobodys_way(location: str) -> None:
    with Store.open(location) as store:
        store.write(lambda tx: tx.record(raised("sig_1", "odd\0ly", facts={"\0": "\0wrong"})))
        assert found(store, text="odd\0wrong") == ["sig_1"]
        assert store.read(lambda view: view.need(Signal, "sig_1")).summary == "odd\0ly"


def test_so_much_of_what_a_signal_says_is_searched(location: str) -> None:
    with Store.open(location) as store:
        store.write(lambda tx: tx.record(raised("sig_1", "odd", facts={"seen": f"{'x' * MAX_WORDS} last"})))
        assert (found(store, text="odd"), found(store, text="last")) == (["sig_1"], [])


@pytest.mark.parametrize("database", DATABASES)
def test_what_an_earlier_version_has_written_is_found(
    database: str, tmp_path: Path, postgres: PostgresServer
) -> None:
    location = postgres.empty_database() if database == POSTGRESQL else str(tmp_path / "earlier.db")
    earlier.make(location, version=BEFORE)
    with connected(location) as connection:
        write_as_earlier(connection)
    with Store.open(location) as store:
        assert found(store, text="task globex") == ["sig_1"]
        assert found(store, state="unplaced") == ["sig_4"]
        assert found(store, kind="failed_run", state="logged") == ["sig_2"]


def test_what_a_later_version_no_longer_knows_keeps_no_database_from_being_brought_up_to_date(
    tmp_path: Path,
) -> None:
    location = str(tmp_path / "earlier.db")
    earlier.make(location, version=BEFORE)
    record = {
        "id": "sig_1",
        "kind": "a kind of then",
        "type": "a type of then",
        "detector": "of then",
        "key": "1/x",
        "workflow": "renewals",
        "summary": "odd",
    }
    with connected(location) as connection:
        put(connection, record, workflow="renewals")
    earlier.make(location, version="0019")
    with connected(location) as connection:
        row = connection.execute(sa.text("SELECT kind, state, words FROM signal")).one()
    assert tuple(row) == ("a kind of then", "logged", "sig_1 of then odd")


@contextmanager
def connected(location: str) -> Iterator[sa.Connection]:
    engine = engine_of(location)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def write_as_earlier(connection: sa.Connection) -> None:
    for event in SAID:
        kept = {name: value for name, value in msgspec.to_builtins(event).items() if name != "signal"}
        put(connection, kept | {"id": event.signal, "raised_at": START.isoformat()}, workflow=event.workflow)


def put(connection: sa.Connection, record: dict[str, Any], *, workflow: str) -> None:
    names = ("id", "workflow", "key", "raised_at", "record")
    connection.execute(
        sa.insert(sa.table("signal", *(sa.column(name) for name in names))).values(
            id=record["id"],
            workflow=workflow,
            key=record["key"],
            raised_at=micros(START),
            record=msgspec.json.encode(record),
        )
    )
    connection.commit()
