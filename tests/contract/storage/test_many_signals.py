"""Contract of an incident that thousands of signals join: its own record stays small and says how many there are, merging and splitting move
each of them, and what its journal says is what it says; also where an earlier version had named them all, on every database.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa

from stopwork.kernel.errors import Conflict, Invalid
from stopwork.ledger.events import SignalJoined, SignalRaised
from stopwork.ledger.records import Incident, Signal
from stopwork.ledger.records.incidents import MAX_NAMED
from stopwork.ledger.words import IncidentType, SignalKind
from stopwork.operations import triage
from stopwork.operations.installation import DATABASE
from stopwork.storage.fsck import fsck
from stopwork.storage.store import Store, engine_of
from stopwork.storage.transaction import Tx
from tests.support.databases import DATABASES, POSTGRESQL
from tests.support.office import WORKFLOW, Office
from tests.support.postgres import PostgresServer
from tests.support.told import START, incident_with_evidence
from tests.support.triaging import does, incident, merge, new_incident, office_where

MANY = 10_000
HOME = "AI-INC-2026-0302-001"


def join(tx: Tx, home: str, numbers: range, *, workflow: str) -> None:
    for number in numbers:
        signal = f"sig_many_{number:05d}"
        tx.record(
            SignalRaised(
                signal=signal,
                kind=SignalKind.ALERT,
                type=IncidentType.TOOL_MISUSE,
                detector="alertmanager",
                key=f"1/tool_misuse/{number}",
                workflow=workflow,
                summary="odd",
                occurred_at=START,
            )
        )
        tx.record(SignalJoined(incident=home, workflow=workflow, signal=signal))


def flooded(office: Office, home: str, count: int) -> list[str]:
    office.write(lambda tx: join(tx, home, range(count), workflow=WORKFLOW))
    return of(office.store, home)


def of(store: Store, home: str) -> list[str]:
    return [each.id for each in store.read(lambda view: list(view.each(Signal, incident=home)))]


def known(found: Incident) -> int:
    return len(found.signals) + found.more_signals


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Office]:
    with office_where(tmp_path) as office:
        yield office


def test_ten_thousand_signals_leave_the_record_of_their_incident_small(desk: Office) -> None:
    home = new_incident(desk)
    every = flooded(desk, home, MANY)
    found = incident(desk, home)
    assert (len(found.signals), known(found), len(every)) == (MAX_NAMED, MANY + 1, MANY + 1)
    assert len(msgspec.json.encode(found)) < 10_000
    assert fsck(desk.store).clean


def test_merging_takes_along_also_what_is_not_named(desk: Office) -> None:
    goes, home = new_incident(desk), new_incident(desk, "mail.send")
    flooded(desk, goes, MAX_NAMED + 20)
    grown = merge(desk, goes, home)
    assert (len(grown.signals), known(grown)) == (MAX_NAMED, MAX_NAMED + 22)
    assert len(of(desk.store, home)) == MAX_NAMED + 22
    assert of(desk.store, goes) == []
    assert fsck(desk.store).clean


def test_splitting_takes_what_is_named_and_what_is_not(desk: Office) -> None:
    home = new_incident(desk)
    flooded(desk, home, MAX_NAMED + 20)
    named = incident(desk, home).signals[1]
    unnamed = [each for each in of(desk.store, home) if each not in incident(desk, home).signals][:2]
    new = split(desk, home, [named, *unnamed])
    left = incident(desk, home)
    assert set(of(desk.store, new.id)) == {named, *unnamed} == set(new.signals)
    assert (len(left.signals), left.more_signals) == (MAX_NAMED - 1, 19)
    with pytest.raises(Invalid, match="holds nothing called"):
        split(desk, home, [named])
    with pytest.raises(Conflict, match="nothing would be left"):
        split(desk, home, of(desk.store, home))
    assert fsck(desk.store).clean


def split(office: Office, home: str, signals: list[str]) -> Incident:
    return does(
        office,
        lambda tx: triage.split(
            tx, office.inst.manifests, incident=home, signals=signals, reason="another cause"
        ),
    )


@pytest.mark.parametrize("database", DATABASES)
@pytest.mark.parametrize("count", [MAX_NAMED, MAX_NAMED + 50])
def test_what_an_earlier_version_had_named_is_counted(
    database: str, count: int, tmp_path: Path, postgres: PostgresServer
) -> None:
    location = postgres.empty_database() if database == POSTGRESQL else str(tmp_path / "earlier.db")
    with Store.open(location) as store:
        store.write(lambda tx: tell(tx, count))
        expected = store.read(lambda view: view.need(Incident, HOME))
        every = of(store, HOME)
    as_earlier(location, expected, every)
    with Store.open(location) as store:
        assert store.read(lambda view: view.need(Incident, HOME)) == expected
        assert fsck(store).clean


def test_what_an_earlier_version_had_split_off_is_not_counted(tmp_path: Path) -> None:
    with office_where(tmp_path) as desk:
        first, home = new_incident(desk), new_incident(desk, "mail.send")
        flooded(desk, first, MAX_NAMED + 20)
        merge(desk, first, home)
        split(desk, home, of(desk.store, home)[1:31])
        expected, every = incident(desk, home), of(desk.store, home)
    location = str(tmp_path / DATABASE)
    as_earlier(location, expected, every)
    with Store.open(location) as store:
        assert store.read(lambda view: view.need(Incident, home)) == expected
        assert fsck(store).clean


def tell(tx: Tx, count: int) -> None:
    for event in incident_with_evidence(HOME, path="", digest="")[:2]:
        tx.record(event)
    join(tx, HOME, range(count), workflow="renewals")


def as_earlier(location: str, found: Incident, signals: list[str]) -> None:
    record = msgspec.to_builtins(found) | {"signals": signals}
    record.pop("more_signals", None)
    engine = engine_of(location)
    with engine.begin() as connection:
        written = sa.text("UPDATE incident SET record = :record WHERE id = :id")
        connection.execute(written, {"record": msgspec.json.encode(record), "id": found.id})
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '0020'"))
    engine.dispose()
