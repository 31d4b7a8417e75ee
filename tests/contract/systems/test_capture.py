"""Every row that a call changes is laid to it, on SQLite and on PostgreSQL, and to no other: held against a full comparison of all tables.

Two hundred pieces of work with cascades, the application's own triggers, bulk statements, replaced rows, changed keys and transactions that fail.
What is captured reads like the row itself and can be put back; what nobody was called for is not captured.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import psycopg
import pytest
import sqlalchemy as sa

from stopwork.incidents.images import same_image
from stopwork.kernel.calling import calling
from stopwork.kernel.errors import Invalid
from stopwork.ledger.records import ObjectRef
from stopwork.ledger.words import ImageState, Operation
from stopwork.systems.base import Unsupported
from stopwork.systems.capture import attributed, watch
from stopwork.systems.sql import SqlSystem, Table
from tests.support.postgres import PostgresServer
from tests.support.rows import PIECES, Pieces, World, judged, postgres_world, spelled


def test_two_hundred_pieces_of_work_are_laid_to_their_calls(world: World) -> None:
    pieces = Pieces(random.Random(20261123))
    seen, kinds = Counter[str](), Counter[str]()
    laid = {}
    for number in range(PIECES):
        call = f"call_{number}"
        piece = judged(world, pieces, call)
        assert not piece.wrong
        seen.update(piece.rows)
        kinds[piece.kind] += 1
        laid[call] = world.system.captured(call)
    assert min(seen.values()) > 10, seen
    assert kinds.keys() == set(Pieces.KINDS)
    # Whatever has happened to the rows since, each call keeps its own.
    assert all(world.system.captured(call) == found for call, found in laid.items())


def test_what_was_captured_reads_like_the_row_and_is_put_back(world: World) -> None:
    world.run(world.person, "INSERT INTO account (id, name, score) VALUES (7, 'Acme', 0.1)")
    world.run(world.person, """INSERT INTO "odd name" VALUES ('a/b', 'x')""")
    ref, odd = (
        ObjectRef(system="crm", type=kind, id=key) for kind, key in (("customer", "7"), ("odd name", "a/b"))
    )
    before = {each: world.system.read(each) for each in (ref, odd)}
    was = world.rows()
    with world.laid_to("call_1"):
        world.run(world.agent, "UPDATE account SET name = 'Evil', score = 1e300 WHERE id = 7")
        world.run(world.agent, 'DELETE FROM "odd name"')
    found = {seen.object: seen for seen in world.system.captured("call_1")}
    assert {(each.type, seen.operation) for each, seen in found.items()} >= {
        ("customer", Operation.MODIFIED),
        ("odd name", Operation.DELETED),
        ("audit", Operation.CREATED),
    }
    for each in (ref, odd):
        assert same_image(found[each].before, before[each])
        assert same_image(found[each].after, world.system.read(each))
        world.system.replace(each, found[each].after, found[each].before)
    assert {table: rows for table, rows in world.rows().items() if table != "audit"} == {
        table: rows for table, rows in was.items() if table != "audit"
    }


def test_what_others_do_is_not_captured(world: World) -> None:
    world.run(world.agent, "INSERT INTO account (id) VALUES (1)")
    with calling("call_1"):
        world.run(world.person, "INSERT INTO account (id) VALUES (2)")
    assert world.system.captured("call_1") == ()


def test_what_is_on_record_can_be_forgotten(world: World) -> None:
    for call in ("call_1", "call_2"):
        with world.laid_to(call):
            world.run(world.agent, "INSERT INTO audit VALUES (?, 1)", call)
    assert world.system.kept() == {"call_1", "call_2"}
    world.system.forget("call_1")
    assert world.system.kept() == {"call_2"}
    assert world.system.captured("call_1") == ()
    assert len(world.system.captured("call_2")) == 1


def test_a_row_without_a_key_is_put_back_where_the_database_knows_it(world: World) -> None:
    with world.laid_to("call_1"):
        world.run(world.agent, "DELETE FROM audit WHERE what = 'all'")
    [seen] = world.system.captured("call_1")
    assert seen.operation is Operation.DELETED
    if world.mark == "?":
        world.system.replace(seen.object, seen.after, seen.before)
        assert world.rows()["audit"] == Counter([(spelled("all"), spelled(0))])
    else:
        with pytest.raises(Unsupported, match="no key"):
            world.system.replace(seen.object, seen.after, seen.before)


@pytest.mark.parametrize("asynchronous", [False, True])
def test_an_engine_is_watched_as_a_whole(world: World, tmp_path: Path, asynchronous: bool) -> None:
    """One for event loops is known by the engine that it works with."""
    address = f"sqlite:///{tmp_path}/crm.db" if world.mark == "?" else world.url
    engine = sa.create_engine(address)
    watch(SimpleNamespace(sync_engine=engine) if asynchronous else engine)
    with calling("call_1"), engine.begin() as connection:
        connection.execute(sa.text("INSERT INTO audit VALUES ('by an engine', 1)"))
    with engine.begin() as connection:
        connection.execute(sa.text("INSERT INTO audit VALUES ('by nobody', 1)"))
    engine.dispose()
    assert len(world.system.captured("call_1")) == 1


def test_what_an_event_loop_does_is_laid_to_its_calls(postgres: PostgresServer) -> None:
    """Two calls are at work at once, each on a connection of its own."""
    with postgres_world(postgres.empty_database()) as world:
        address = world.url.replace("postgresql+psycopg://", "postgresql://", 1)

        async def work(call: str, meet: asyncio.Barrier) -> None:
            with calling(call):
                connection = await psycopg.AsyncConnection.connect(address, autocommit=True)
                async with connection, attributed(connection):
                    await meet.wait()
                    await connection.execute("INSERT INTO audit VALUES (%s, 1)", (call,))
                    await meet.wait()

        async def both() -> None:
            meet = asyncio.Barrier(2)
            await asyncio.gather(work("call_1", meet), work("call_2", meet))

        asyncio.run(both())
        for call in ("call_1", "call_2"):
            [seen] = world.system.captured(call)
            assert seen.after.content["what"] == call


def test_a_connection_of_an_event_loop_is_not_quietly_left_out(postgres: PostgresServer) -> None:
    async def work() -> None:
        connection = await psycopg.AsyncConnection.connect(postgres.empty_database())
        async with connection:
            with pytest.raises(Invalid, match="event loop"), attributed(connection):
                raise AssertionError("it was let in")

    asyncio.run(work())


def test_a_row_that_cannot_be_written_down_is_told_with_the_others(tmp_path: Path) -> None:
    """SQLite takes any bytes for text: of such a row it is known that it was changed."""
    with closing(sqlite3.connect(tmp_path / "crm.db", isolation_level=None)) as connection:
        connection.execute("CREATE TABLE note (id TEXT PRIMARY KEY, text TEXT)")
        connection.execute("CREATE TABLE loose (text TEXT)")
        watch(connection)
        with calling("call_1"):
            for name, text in (("a", "62"), ("b", "FF00FE"), ("c", "FFFE")):
                connection.execute(f"INSERT INTO note VALUES ('{name}', CAST(x'{text}' AS TEXT))")
            connection.execute("INSERT INTO note VALUES (CAST(x'FF' AS TEXT), '')")
            connection.execute("INSERT INTO loose VALUES (CAST(x'FF' AS TEXT)), ('x')")
    system = SqlSystem(
        "crm",
        tmp_path / "crm.db",
        {"note": Table(table="note", key=("id",)), "loose": Table(table="loose", key=("text",))},
        capture=True,
    )
    found = {str(seen.object): seen.after for seen in system.captured("call_1")}
    assert {name for name, image in found.items() if image.state is ImageState.UNKNOWN} == {
        "crm/note/b",
        "crm/note/c",
        "crm/note/\\udcff",
        "crm/loose/\\udcff",
    }
    assert found["crm/note/a"].content == {"id": "a", "text": "b"}
    assert len(found) == 6


@pytest.fixture
def on_postgres(postgres: PostgresServer) -> Iterator[World]:
    with postgres_world(postgres.empty_database()) as world:
        yield world


@pytest.fixture
def engine(on_postgres: World) -> Iterator[sa.Engine]:
    """One connection only, so that what stays with it is seen."""
    engine = sa.create_engine(on_postgres.url, pool_size=1, max_overflow=0)
    watch(engine)
    yield engine
    engine.dispose()


def noted(connection: Any, what: str) -> None:
    statement = "INSERT INTO audit VALUES (:what, 1)"
    if isinstance(connection, sa.Connection):
        connection.execute(sa.text(statement), {"what": what})
    else:
        connection.execute(statement.replace(":what", "%s"), (what,))


def laid(world: World, call: str = "call_1") -> set[str]:
    return {seen.after.content["what"] for seen in world.system.captured(call)}


def test_two_calls_in_one_transaction_have_each_their_own(on_postgres: World, engine: sa.Engine) -> None:
    with engine.begin() as connection:
        noted(connection, "before")
        with calling("call_1"):
            noted(connection, "first")
        with calling("call_2"):
            noted(connection, "second")
            with suppress(ZeroDivisionError), connection.begin_nested(), calling("call_3"):
                noted(connection, "taken back")
                raise ZeroDivisionError
            noted(connection, "second again")
        noted(connection, "between")
        with calling("call_1"):
            connection.execute(sa.text("SAVEPOINT one"))
        with calling("call_3"):
            noted(connection, "taken back too")
            connection.execute(sa.text("ROLLBACK TO one"))
        noted(connection, "after")
    assert laid(on_postgres) == {"first"}
    assert laid(on_postgres, "call_2") == {"second", "second again"}
    assert laid(on_postgres, "call_3") == set()


def test_what_commits_statement_by_statement_is_refused_in_a_call(
    on_postgres: World, engine: sa.Engine
) -> None:
    alone = engine.execution_options(isolation_level="AUTOCOMMIT")
    with alone.connect() as connection:
        noted(connection, "for nobody")
        with calling("call_1"), pytest.raises(Invalid, match="commits each statement by itself"):
            noted(connection, "unseen")
    with calling("call_1"), engine.begin() as connection:
        noted(connection, "seen")
    assert laid(on_postgres) == {"seen"}


ENDS: Final[dict[str, tuple[str, ...]]] = {
    "one transaction": ("seen 1",),
    "two transactions": ("seen 1", "commit", "seen 2", "commit"),
    "taken back": ("lost", "rollback"),
    "fails": ("lost", "fail"),
    "fails after a commit": ("seen 1", "commit", "lost", "fail"),
    "goes on after a commit": ("seen 1", "commit", "lost"),
    "raises after a commit": ("seen 1", "commit", "lost", "raise"),
}


@pytest.mark.parametrize("way", ENDS)
@pytest.mark.parametrize("after", ["commit", "rollback"])
def test_a_block_lays_to_the_call_what_is_done_in_it_and_nothing_that_comes_after(
    on_postgres: World, way: str, after: str
) -> None:
    with psycopg.connect(on_postgres.url.replace("+psycopg", "", 1)) as connection:
        with suppress(Invalid, ZeroDivisionError, psycopg.Error), calling("call_1"), attributed(connection):
            for step in ENDS[way]:
                match step:
                    case "commit" | "rollback":
                        getattr(connection, step)()
                    case "fail":
                        connection.execute("SELECT 1 / 0")
                    case "raise":
                        raise ZeroDivisionError
                    case _:
                        noted(connection, step)
        getattr(connection, after)()
        noted(connection, "what somebody else does on it")
        connection.commit()
    stays = {each for each in ENDS[way] if each.startswith("seen")}
    assert laid(on_postgres) == (set() if (way, after) == ("one transaction", "rollback") else stays)


def test_a_transaction_that_goes_on_after_its_block_is_refused_aloud(on_postgres: World) -> None:
    def work() -> None:
        with attributed(on_postgres.agent):
            on_postgres.agent.execute("BEGIN")
            noted(on_postgres.agent, "lost")

    with calling("call_1"), pytest.raises(Invalid, match="open at its end"):
        work()
    noted(on_postgres.agent, "what somebody else does on it")
    assert laid(on_postgres) == set()


def test_a_block_that_fails_within_a_transaction_leaves_the_transaction_to_whoever_began_it(
    on_postgres: World,
) -> None:
    with on_postgres.agent.transaction(), calling("call_1"):
        noted(on_postgres.agent, "for nobody")
        with (
            suppress(psycopg.IntegrityError),
            on_postgres.agent.transaction(),
            attributed(on_postgres.agent),
        ):
            noted(on_postgres.agent, "taken back")
            on_postgres.agent.execute("INSERT INTO account (id) VALUES (1), (1)")
        with attributed(on_postgres.agent):
            noted(on_postgres.agent, "seen")
        noted(on_postgres.agent, "for nobody either")
    assert laid(on_postgres) == {"seen"}
    assert sum(on_postgres.rows()["audit"].values()) == 4


def test_a_row_of_a_partition_is_a_row_of_the_table(postgres: PostgresServer) -> None:
    url = postgres.empty_database().replace("postgresql://", "postgresql+psycopg://", 1)
    system = SqlSystem("crm", url, {"order": Table(table="o", key=("id", "day"))}, capture=True)
    engine = sa.create_engine(url)
    watch(engine)
    with engine.begin() as connection:
        for statement in (
            "CREATE TABLE o (id INTEGER, day INTEGER, n INTEGER, PRIMARY KEY (id, day)) PARTITION BY RANGE (day)",
            "CREATE TABLE o1 (n INTEGER, day INTEGER NOT NULL, id INTEGER NOT NULL)",
            "ALTER TABLE o ATTACH PARTITION o1 FOR VALUES FROM (0) TO (10)",
            "CREATE TABLE o2 PARTITION OF o FOR VALUES FROM (10) TO (20)",
            "INSERT INTO o VALUES (1, 5, 0), (2, 5, 0)",
        ):
            connection.execute(sa.text(statement))
    system.install_capture()
    with calling("call_1"), engine.begin() as connection:
        connection.execute(sa.text("UPDATE o SET n = 1 WHERE id = 1"))
        connection.execute(sa.text("UPDATE o SET day = 15 WHERE id = 2"))
    engine.dispose()
    found = {str(seen.object): seen for seen in system.captured("call_1")}
    assert {name: seen.operation for name, seen in found.items()} == {
        "crm/order/1/5": Operation.MODIFIED,
        "crm/order/2/5": Operation.DELETED,
        "crm/order/2/15": Operation.CREATED,
    }
    changed = found["crm/order/1/5"]
    assert same_image(changed.after, system.read(changed.object))


def test_columns_of_every_kind_are_told_and_put_back(postgres: PostgresServer) -> None:
    kinds = {
        "inet": ("10.0.0.1/8", "10.0.0.2"),
        "cidr": ("10.0.0.0/8", "::/0"),
        "inet[]": ("{10.0.0.1,NULL}", "{}"),
        "int4range": ("[1,3)", "empty"),
        "tstzrange": ("[2026-01-01 00:00+00,)", "(,)"),
        "numrange": ("(1.5,2.50]", "[2,3]"),
        "bit(3)": ("101", "000"),
        "text[]": ("{a,NULL}", "{}"),
        "interval": ("2 days", "1 hour"),
    }
    url = postgres.empty_database().replace("postgresql://", "postgresql+psycopg://", 1)
    system = SqlSystem("crm", url, {}, capture=True)
    engine = sa.create_engine(url)
    watch(engine)
    columns = ", ".join(f"c{number} {kind}" for number, kind in enumerate(kinds))
    before, after = (", ".join(f"'{pair[at]}'" for pair in kinds.values()) for at in (0, 1))
    names = ", ".join(f"c{number}" for number in range(len(kinds)))
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE TABLE mixed (id INTEGER PRIMARY KEY, {columns})")
        connection.exec_driver_sql(f"INSERT INTO mixed VALUES (1, {before})")
    system.install_capture()
    with calling("call_1"), engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE mixed SET ({names}) = ({after})")
    engine.dispose()
    [seen] = system.captured("call_1")
    assert same_image(seen.after, system.read(seen.object))
    system.replace(seen.object, seen.after, seen.before)
    assert same_image(seen.before, system.read(seen.object))


def test_what_cannot_be_watched_is_said(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="cannot be watched"):
        watch("crm.db")
    with closing(sqlite3.connect(tmp_path / "x.db")) as connection:
        connection.execute("CREATE TABLE t (a)")
        connection.execute("INSERT INTO t VALUES (1)")
        with pytest.raises(Invalid, match="outside of a transaction"):
            watch(connection)
