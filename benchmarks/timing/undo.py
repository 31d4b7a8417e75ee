"""What it costs to take back a thousand changes that an agent made, each verified, beside making as many changes by hand.

A plain update is one statement in a transaction of its own on a connection that is kept, durable before the next begins. The undo
looks at each row, makes its intent durable in the journal, puts the row back by compare-and-set, reads it back, compares, and makes the
outcome durable; rows, intents and outcomes of a batch share their transaction.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import psycopg
from msgspec import Struct

from benchmarks.timing.figures import Figure, Round, timed_ms
from stopwork.ledger.words import ItemState
from stopwork.operations import plans, recovering
from stopwork.operations.installation import Installation
from stopwork.systems.sql import SqlSystem, Table
from tests.support import damage
from tests.support.postgres import PostgresServer
from tests.support.undoing import LEE, approved, reversal

ROWS: Final = 1_000
ROUNDS: Final = 7
TABLES: Final = {"account": Table(table="account", key=("id",))}
SCHEMA: Final = (
    "CREATE TABLE account (id INTEGER PRIMARY KEY, name TEXT, owner TEXT, renewal TEXT, amount DOUBLE PRECISION,"
    " note TEXT)"
)


class Place(Struct, frozen=True, kw_only=True):
    """A database with its accounts: one plain update on a connection that is kept, and the system that sees it."""

    name: str
    update: Callable[[str, int], object]
    dates: Callable[[], set[str]]
    system: SqlSystem
    state: str | None = None


def measure(folder: Path, server: PostgresServer, rows: int = ROWS) -> Iterator[Figure]:
    """Answer the figures of both databases."""
    with _sqlite(folder, rows) as place:
        yield _undone(folder / "on-sqlite", place, rows)
    with _postgresql(server, rows) as place:
        yield _undone(folder / "on-postgresql", place, rows)


def _undone(folder: Path, place: Place, rows: int) -> Figure:
    numbers = range(1, rows + 1)
    rounds = []
    with Installation.open(folder, database=place.state, systems={"crm": place.system}) as installation:
        damage.record(installation, numbers)
        plan = approved(installation, damage.WORKFLOW)
        for _ in range(ROUNDS):
            plain_ms = timed_ms(lambda: [place.update(damage.BEFORE, number) for number in numbers])
            for number in numbers:
                place.update(damage.DAMAGE, number)
            own_ms = timed_ms(partial(recovering.run, installation, LEE, plan=plan.id))
            _require_all_verified(installation, plan.id, rows)
            if place.dates() != {damage.BEFORE}:
                raise AssertionError(f"{place.name}: not everything is as it was before")
            rounds.append(Round(own_ms, plain_ms))
            back = reversal(installation, plan)
            recovering.run(installation, LEE, plan=back.id)
            plan = reversal(installation, back)
    return Figure(
        name=f"{rows:,} row updates undone, each read back, {place.name}",
        unit="ms",
        yardstick="as many plain updates, one by one",
        rounds=tuple(rounds),
        aim="≤ 1.7",
    )


def _require_all_verified(installation: Installation, plan: str, rows: int) -> None:
    items = installation.store.read(lambda view: plans.items_of(view, plan))
    if [item.state for item in items] != [ItemState.VERIFIED] * rows:
        raise AssertionError({item.state: item.note for item in items})


@contextmanager
def _sqlite(folder: Path, rows: int) -> Iterator[Place]:
    path = folder / "crm.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as plain:
        plain.execute("PRAGMA journal_mode = WAL")
        plain.execute(SCHEMA)
        plain.execute("BEGIN")
        for number in range(1, rows + 1):
            plain.execute(
                "INSERT INTO account VALUES (:id, :name, :owner, :renewal, :amount, :note)",
                damage.content(number, damage.DAMAGE),
            )
        plain.execute("COMMIT")
        yield Place(
            name="SQLite",
            update=lambda renewal, number: plain.execute(
                "UPDATE account SET renewal = ? WHERE id = ?", (renewal, number)
            ),
            dates=lambda: {date for (date,) in plain.execute("SELECT DISTINCT renewal FROM account")},
            system=SqlSystem("crm", path, TABLES),
        )


@contextmanager
def _postgresql(server: PostgresServer, rows: int) -> Iterator[Place]:
    url = server.empty_database()
    with psycopg.connect(url, autocommit=True) as plain:
        plain.execute(SCHEMA)
        with plain.transaction():
            for number in range(1, rows + 1):
                plain.execute(
                    "INSERT INTO account VALUES (%(id)s, %(name)s, %(owner)s, %(renewal)s, %(amount)s, %(note)s)",
                    damage.content(number, damage.DAMAGE),
                )
        yield Place(
            name="PostgreSQL",
            update=lambda renewal, number: plain.execute(
                "UPDATE account SET renewal = %s WHERE id = %s", (renewal, number)
            ),
            dates=lambda: {date for (date,) in plain.execute("SELECT DISTINCT renewal FROM account")},
            system=SqlSystem("crm", url.replace("postgresql://", "postgresql+psycopg://"), TABLES),
            state=server.empty_database(),
        )
