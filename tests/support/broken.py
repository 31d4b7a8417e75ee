"""Builds from which one safeguard has been taken out: whatever holds us to a promise has to find out each of them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

import psycopg
import sqlalchemy as sa

from stopwork.storage.postgres import WRITERS, Postgres
from stopwork.storage.store import Store
from stopwork.storage.transaction import Tx

T = TypeVar("T")


class WithoutShareLock(Postgres):
    """Permits do not keep a pause waiting."""

    def begin_beside_others(self, connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN")


class _ForgetsToLock(psycopg.Cursor[Any]):
    def execute(self, query: Any, *more: Any, **options: Any) -> Any:
        plain = query.replace(" FOR UPDATE", "") if isinstance(query, str) else query
        return super().execute(plain, *more, **options)


class WithoutRowLocks(Postgres):
    """Guards' requests do not lock the rows that they decide by: the run, the call, the key."""

    def __init__(self, engine: sa.Engine, *, writers: int = WRITERS) -> None:
        sa.event.listen(engine, "connect", _forget_to_lock)
        super().__init__(engine, writers=writers)


def _forget_to_lock(connection: psycopg.Connection[Any], _record: object) -> None:
    connection.cursor_factory = _ForgetsToLock


class WithoutUrgency(Store):
    """A pause waits in line like everybody else."""

    def submit(self, work: Callable[[Tx], T], *, urgent: bool = False, **more: Any) -> Future[T]:
        return super().submit(work, urgent=False, **more)
