"""Builds from which one safeguard has been taken out: whatever holds us to a promise has to find out each of them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

import sqlalchemy as sa

from stopwork.storage.postgres import Postgres
from stopwork.storage.store import Store
from stopwork.storage.transaction import Tx

T = TypeVar("T")


class WithoutLock(Postgres):
    """Servers do not wait for each other: what one decides by, another may be changing."""

    def begin_alone(self, connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN")


class WithoutUrgency(Store):
    """A pause waits in line like everybody else."""

    def submit(self, work: Callable[[Tx], T], *, urgent: bool = False, **more: Any) -> Future[T]:
        return super().submit(work, urgent=False, **more)
