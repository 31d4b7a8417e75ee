"""A SQL statement with the facts as bound parameters, such as ``:target``, in one transaction that is cut off when it takes too long.

It has an address of its own and not that of a connected system: whoever may revoke grants is another user than the one that puts rows back.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from stopwork.hooks.base import FACTS, Answer, Ended, Facts
from stopwork.hooks.filling import names_in
from stopwork.hooks.redacting import Redactor
from stopwork.kernel.canonical import plain
from stopwork.kernel.errors import Invalid, StopworkError

MAX_ROWS: Final = 100


class Statement:
    """Runs one statement; a probe's is read only as far as its user's rights go, so give it few."""

    def __init__(self, url: str, statement: str, *, within_s: float, redactor: Redactor) -> None:
        self.within_s = within_s
        self._redactor = redactor
        try:
            self._engine = sa.create_engine(
                url, hide_parameters=True, poolclass=sa.NullPool, **_limits(url, within_s)
            )
            failures = self._engine.dialect.loaded_dbapi.Error
        except (SQLAlchemyError, ImportError):
            raise Invalid(
                "the database address cannot be used",
                hint="Write a SQLAlchemy address whose driver is installed, such as postgresql+psycopg://HOST/NAME.",
                field="url",
            ) from None
        self._failures = (SQLAlchemyError, failures)
        self._statement = sa.text(statement)
        # Only those that it names: a driver refuses others.
        self._names = frozenset(self._statement.compile().params)
        for name in (*self._names.difference(FACTS), *set(names_in(statement)).intersection(FACTS)):
            raise Invalid(
                f"{name} stands for nothing here",
                hint=f"Write one of :{', :'.join(FACTS)}; a colon that is none of them is written \\:.",
                field="statement",
            )

    def do(self, facts: Facts) -> Answer:
        """Run it once; what fails before the commit has changed nothing."""
        words = {name: value for name, value in facts.words().items() if name in self._names}
        committing = False
        try:
            with self._engine.connect() as connection, self._limited(connection):
                result = connection.execute(self._statement, words)
                found = (
                    [dict(row) for row in result.mappings().fetchmany(MAX_ROWS + 1)]
                    if result.returns_rows
                    else []
                )
                rows = len(found) if result.returns_rows else result.rowcount
                committing = True
                connection.commit()
        except self._failures as error:
            told = self._redactor.told(str(getattr(error, "orig", None) or type(error).__name__))
            return Answer(
                ended=Ended.UNKNOWN if committing else Ended.NO, said=f"the database refused it: {told}"
            )
        many = f"more than {MAX_ROWS}" if len(found) > MAX_ROWS else str(rows)
        about = f"was about {many} {'row' if rows == 1 else 'rows'}"
        return Answer(
            ended=Ended.YES,
            said=f"the statement {about if rows >= 0 else 'ran'}",
            code=0,
            content=_plain(found),
            rows=rows,
        )

    @contextmanager
    def _limited(self, connection: sa.Connection) -> Iterator[None]:
        """Let no statement of this connection take longer than it may."""
        if connection.dialect.name != "sqlite":
            if connection.dialect.name == "postgresql":
                connection.execute(sa.text(f"SET LOCAL statement_timeout = {int(self.within_s * 1000)}"))
            yield
            return
        raw: Any = connection.connection.driver_connection
        timer = threading.Timer(self.within_s, raw.interrupt)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


def _plain(rows: list[dict[str, Any]]) -> Any:
    """Answer the rows as JSON content, or nothing where they hold what cannot be written as such."""
    try:
        return plain(rows)
    except StopworkError:
        return None


def _limits(url: str, within_s: float) -> dict[str, Any]:
    wait_s = max(1, int(within_s))
    if url.startswith("sqlite"):
        return {"connect_args": {"timeout": wait_s, "check_same_thread": False}}
    return {"connect_args": {"connect_timeout": wait_s}} if url.startswith("postgresql") else {}
