"""Connections to PostgreSQL: sessions that never keep others waiting for long, and of which another thread can tell that they are silent."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from typing import Any, Final, Self

import psycopg
import sqlalchemy as sa

from stopwork.kernel.errors import Internal, Invalid

CONNECT_WITHIN_S: Final = 5
#: Work does nothing but ask the database, so a session that is silent for this long in a transaction belongs to a server that is gone.
IDLE_WITHIN_S: Final = 3
#: How long one statement may take, and how long it may wait for others.
STATEMENT_WITHIN_S: Final = 30
LOCKED_WITHIN_S: Final = 10


class Asked(psycopg.Cursor[Any]):
    """A cursor whose connection says since when it waits for an answer."""

    def execute(self, *statement: Any, **options: Any) -> Self:
        connection = self.connection
        if not isinstance(connection, Watched):
            return super().execute(*statement, **options)
        connection.waiting_since = time.monotonic()
        try:
            return super().execute(*statement, **options)
        finally:
            connection.waiting_since = None


class Watched(psycopg.Connection[Any]):
    """A connection of which another thread can tell how long its database has not answered."""

    waiting_since: float | None = None

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        self.cursor_factory = Asked


def postgres_engine(url: str) -> sa.Engine:
    """Answer the engine of a database: transactions begun by hand, sessions that never keep others waiting for long."""
    try:
        address = sa.make_url(url).set(drivername="postgresql+psycopg")
    except (sa.exc.ArgumentError, ValueError) as error:
        raise Invalid(
            "this is no address of a database",
            hint="Write it as postgresql://user:password@host:5432/name",
            field="database",
        ) from error
    engine = sa.create_engine(
        address,
        isolation_level="AUTOCOMMIT",  # transactions are begun by hand
        poolclass=sa.pool.NullPool,
        pool_reset_on_return=None,  # closing ends what is open, also where the connection is lost already
        connect_args={
            "connect_timeout": CONNECT_WITHIN_S,
            "application_name": "stopwork",
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 3,
            "tcp_user_timeout": 10_000,
        },
    )

    @sa.event.listens_for(engine, "do_connect")
    def connect(_dialect: Any, _record: Any, given: list[Any], options: dict[str, Any]) -> Watched:
        return Watched.connect(*given, **options)

    @sa.event.listens_for(engine, "connect")
    def configure(connection: psycopg.Connection, _record: Any) -> None:
        connection.execute(
            "SELECT set_config('idle_in_transaction_session_timeout', %s, false),"
            " set_config('statement_timeout', %s, false), set_config('lock_timeout', %s, false)",
            [f"{seconds}s" for seconds in (IDLE_WITHIN_S, STATEMENT_WITHIN_S, LOCKED_WITHIN_S)],
        )
        # What is answered is durable, whatever this database does for others.
        connection.execute(
            "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
        )
        connection.commit()

    return engine


def cut(connection: psycopg.Connection) -> None:
    """End a connection under the thread that waits on it: its next read finds the end, instead of waiting on."""
    with contextlib.suppress(psycopg.Error, OSError):
        descriptor = os.dup(connection.fileno())
        with socket.socket(fileno=descriptor) as end:
            end.shutdown(socket.SHUT_RDWR)


def psycopg_of(connection: sa.Connection) -> psycopg.Connection:
    """Answer the driver's own connection."""
    driver = connection.connection.driver_connection
    if not isinstance(driver, psycopg.Connection):
        raise Internal(f"{type(driver).__qualname__} is no connection to PostgreSQL")
    return driver
