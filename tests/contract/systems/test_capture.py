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
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest
import sqlalchemy as sa

from stopwork.incidents.images import same_image
from stopwork.kernel.calling import calling
from stopwork.kernel.errors import Invalid
from stopwork.ledger.records import ObjectRef
from stopwork.ledger.words import Operation
from stopwork.systems.base import Unsupported
from stopwork.systems.capture import attributed, watch
from tests.support.postgres import PostgresServer
from tests.support.rows import PIECES, Pieces, World, judged, postgres_world, spelled, sqlite_world


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with PostgresServer.started() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    if request.param == "sqlite":
        opened = sqlite_world(tmp_path / "crm.db")
    else:
        opened = postgres_world(request.getfixturevalue("server").empty_database())
    with opened as world:
        yield world


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
    world.system.forget("call_1")
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


def test_what_an_event_loop_does_is_laid_to_its_calls(server: PostgresServer) -> None:
    """Two calls are at work at once, each on a connection of its own."""
    with postgres_world(server.empty_database()) as world:
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


def test_a_connection_of_an_event_loop_is_not_quietly_left_out(server: PostgresServer) -> None:
    async def work() -> None:
        connection = await psycopg.AsyncConnection.connect(server.empty_database())
        async with connection:
            with pytest.raises(Invalid, match="event loop"), attributed(connection):
                raise AssertionError("it was let in")

    asyncio.run(work())


def test_what_cannot_be_watched_is_said(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="cannot be watched"):
        watch("crm.db")
    with closing(sqlite3.connect(tmp_path / "x.db")) as connection:
        connection.execute("CREATE TABLE t (a)")
        connection.execute("INSERT INTO t VALUES (1)")
        with pytest.raises(Invalid, match="outside of a transaction"):
            watch(connection)
