"""What a database lays to calls, and what it costs to record one write with both images: by the database alone, read out as well, and guarded."""

from __future__ import annotations

import random
import sqlite3
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from contextvars import copy_context
from itertools import count, cycle
from pathlib import Path
from typing import Any, Final

import psycopg
from msgspec import Struct

from benchmarks.timing.figures import WARM_UP, Figure, Round, paired, timed_ms
from benchmarks.timing.workflow import OTHER, WORKFLOW, open_installation
from stopwork import Stopwork
from stopwork.kernel.calling import calling
from stopwork.ledger.records import ObjectRef
from stopwork.sdk.embedded import LocalDesk
from stopwork.systems.base import System
from stopwork.systems.capture import attributed, watch
from stopwork.systems.sql import SqlSystem, Table
from tests.support.postgres import PostgresServer
from tests.support.rows import PIECES, Pieces, World, judged, postgres_world, sqlite_world

COUNTED: Final = """\
*Rows*: two hundred pieces of work, each for a call of its own, by two connections in turns: cascades, the application's triggers, bulk statements,
changed and composite keys, tables without keys, JSON, binary, generated columns, replaced rows, failed statements and transactions. What was
captured is held against all tables before and after. *Costs*: one durable transaction that changes one row of twelve by its key, all ways in turns.
*Captured* is that transaction with both images written down in it by the database. *Read out and forgotten* adds what the guard does after the
call: it asks for the images (on PostgreSQL two ways to the server and back) and has them removed (one more). *Read before and after* is what the guard
does for a declared object without capture. A *guarded* tool has its permit, its attempt and its outcome recorded durably too, one after the other,
whatever is recorded of the row: that is what the last figure of each database shows."""
SEED: Final = 20261123
ROUNDS: Final = 9
WRITES: Final = 100
ROWS: Final = 12
PLAIN: Final = "the same write, not recorded"
TABLES: Final = {"account": Table(table="account", key=("id",))}
SCHEMA: Final = """CREATE TABLE account (id INTEGER PRIMARY KEY, name TEXT, owner TEXT, due TEXT, amount DOUBLE PRECISION,
    note TEXT, data TEXT)"""
DATA: Final = '{"plan": "gold", "seats": 40, "contacts": ["a@acme.test", "b@acme.test"]}'
NOTE: Final = "renewal moved to next quarter " * 4


class Place(Struct, frozen=True, kw_only=True):
    """A database as it is written plainly and as it is written for a call, and the system that sees it."""

    name: str
    plain: Callable[[], None]
    captured: Callable[[], None]
    system: SqlSystem


def measure(folder: Path, server: PostgresServer) -> Iterator[Figure]:
    """Answer the figures of both databases."""
    with sqlite_world(folder / "pieces.db") as world:
        yield _laid("SQLite", world)
    with postgres_world(server.empty_database()) as world:
        yield _laid("PostgreSQL", world)
    with _sqlite(folder) as place:
        yield from _figures(folder, place)
    with _postgresql(server) as place:
        yield from _figures(folder, place)


def _laid(name: str, world: World) -> Figure:
    """Answer how often what was captured for a call is not what the tables show: rows missing, too many, or of another call."""
    pieces = Pieces(random.Random(SEED))
    found = [judged(world, pieces, f"call_{number}") for number in range(PIECES)]
    rows = sum(sum(piece.rows.values()) for piece in found)
    return Figure(
        name=f"captured rows that are not those of their call, {name}: {rows:,} rows, {len(Pieces.KINDS)} kinds of work, 5 tables",
        unit=f"in {PIECES} pieces of work",
        rounds=(Round(sum(len(piece.wrong) for piece in found)),),
        aim="0",
    )


def _figures(folder: Path, place: Place) -> Iterator[Figure]:
    numbers, chance = count(), random.Random(SEED)
    refs = cycle(ObjectRef(system="crm", type="account", id=str(each)) for each in range(ROWS))

    def captured() -> str:
        call = f"call_{next(numbers)}"
        with calling(call):
            place.captured()
        return call

    def read_out() -> None:
        call = captured()
        if len(place.system.captured(call)) != 1:
            raise AssertionError(call)
        place.system.forget(call)

    def looked_at() -> None:
        ref = next(refs)
        place.system.read(ref)
        place.plain()
        place.system.read(ref)

    with (
        _guarded(folder / f"{place.name} recorded", place.captured, {"crm": place.system}) as recorded,
        _guarded(folder / f"{place.name} alone", place.plain, {}) as guarded,
    ):
        ways = (place.plain, captured, read_out, looked_at, guarded, recorded)
        plain, *measured, alone, whole = zip(*(_round(ways, chance) for _ in range(ROUNDS)), strict=True)
    names = ("captured", "captured, read out and forgotten", "its object read before and after")
    for name, own in zip(names, measured, strict=True):
        yield _figure(f"one write, {name}, {place.name}", own, PLAIN, plain, aim="≤ 2")
    tool = f"one write by a guarded tool, captured, read out and forgotten, {place.name}"
    yield _figure(tool, whole, "the same guarded, its row not recorded", alone, aim="≤ 2")
    yield _figure(tool, whole, "the same write, neither guarded nor recorded", plain)


def _figure(
    name: str, own: Sequence[float], yardstick: str, beside: Sequence[float], *, aim: str = ""
) -> Figure:
    return Figure(name=name, unit="ms", yardstick=yardstick, rounds=paired(own, beside), aim=aim)


def _round(ways: Sequence[Callable[[], object]], chance: random.Random) -> list[float]:
    """Answer the median of each way, in turns and in another order each time: the disk is shared, and who comes last waits for the others."""
    taken: list[list[float]] = [[] for _ in ways]
    for number in range(WARM_UP + WRITES):
        for at in chance.sample(range(len(ways)), len(ways)):
            took_ms = timed_ms(ways[at])
            if number >= WARM_UP:
                taken[at].append(took_ms)
    return [statistics.median(each) for each in taken]


@contextmanager
def _guarded(
    folder: Path, write: Callable[[], None], systems: dict[str, System]
) -> Iterator[Callable[[], object]]:
    """Yield a guarded write with the control plane embedded: its permit, attempt and outcome are durable as well."""
    numbers = count()

    def update(number: int) -> None:  # noqa: ARG001 - so that no two calls are the same
        write()

    with open_installation(folder) as installation:
        guard = Stopwork.at(LocalDesk(installation), systems=systems)
        tool = guard.tool(OTHER)(update)
        run, apart = guard.run(WORKFLOW), copy_context()  # two runs are open at a time
        apart.run(run.__enter__)
        yield lambda: apart.run(tool, next(numbers))
        apart.run(run.__exit__, None, None, None)


@contextmanager
def _sqlite(folder: Path) -> Iterator[Place]:
    path = folder / "captured.db"
    with closing(_opened(path)) as plain, closing(_opened(path)) as watched:
        _filled(plain)
        watch(watched)
        yield Place(
            name="SQLite",
            plain=_writing(plain, "BEGIN IMMEDIATE", "?", first=0),
            captured=_writing(watched, "BEGIN IMMEDIATE", "?", first=1),
            system=SqlSystem("crm", path, TABLES, capture=True),
        )


@contextmanager
def _postgresql(server: PostgresServer) -> Iterator[Place]:
    plain_url, url = server.empty_database(), server.empty_database()
    with (
        psycopg.connect(plain_url, autocommit=True) as plain,
        psycopg.connect(url, autocommit=True) as watched,
    ):
        _filled(plain)
        _filled(watched)
        system = SqlSystem(
            "crm", url.replace("postgresql://", "postgresql+psycopg://", 1), TABLES, capture=True
        )
        system.install_capture()
        write = _writing(watched, "BEGIN", "%s", first=1)

        def captured() -> None:
            with attributed(watched):
                write()

        yield Place(
            name="PostgreSQL", plain=_writing(plain, "BEGIN", "%s", first=0), captured=captured, system=system
        )


def _opened(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")
    return connection


def _filled(connection: Any) -> None:
    connection.execute(SCHEMA)
    for number in range(ROWS):
        connection.execute(
            f"INSERT INTO account VALUES ({number}, 'Acme', 'dana', '2026-03-02', 1.5, '{NOTE}', '{DATA}')"
        )


def _writing(connection: Any, begin: str, mark: str, *, first: int) -> Callable[[], None]:
    """Answer what changes one row in one transaction, to a value that it has never had."""
    amounts = count(first, 2)
    statement = f"UPDATE account SET amount = {mark}, due = {mark} WHERE id = {mark}"

    def write() -> None:
        amount = next(amounts)
        connection.execute(begin)
        connection.execute(statement, (amount, f"2026-04-{amount % 28:02}", amount % ROWS))
        connection.execute("COMMIT")

    return write
