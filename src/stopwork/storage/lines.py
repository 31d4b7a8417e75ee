"""The journal's lines as the database has them: the bytes of each entry, and beside them the columns that it is found by.

The columns are copies of what the bytes say. A leaf of the log covers the bytes, so a column that says something else was changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from stopwork.storage.statements import Statement
from stopwork.storage.tables import JOURNAL_KEYS, journal, micros
from stopwork.storage.view import View, unreadable

PAGE: Final = 1_000
#: The columns beside the bytes, in their order.
FOUND_BY: Final = ("seq", "at", "kind", *JOURNAL_KEYS)


#: One row as the driver gives it: the values of :data:`FOUND_BY`, the time in microseconds since 1970, then the bytes and their leaf.
Line = tuple[Any, ...]


class _About(msgspec.Struct):
    event: str
    workflow: str | None = None
    run: str | None = None
    call: str | None = None
    incident: str | None = None


class _Said(msgspec.Struct):
    seq: int
    at: datetime
    event: _About


_said: Final = msgspec.json.Decoder(_Said)

# Cast, because whoever edits the file by hand may leave text where bytes were: that has to be found out, not to fail.
_PAGE: Final = Statement(
    sa.select(
        *(journal.c[name] for name in FOUND_BY),
        *(sa.cast(column, sa.LargeBinary) for column in (journal.c.body, journal.c.leaf)),
    )
    .where(journal.c.seq > sa.bindparam("after", type_=sa.BigInteger))
    .order_by(journal.c.seq)
    .limit(PAGE)
)


def pages(view: View) -> Iterator[list[Line]]:
    """Yield every line of the journal in order, ``PAGE`` at a time, without decoding any."""
    after = -1
    while rows := view.run(_PAGE, {"after": after}).fetchall():
        yield rows
        after = rows[-1][0]


def said_by(body: bytes) -> list[int | str | None]:
    """Answer what the bytes of an entry say that it is to be found by; ``Tampered`` when they spell no entry."""
    try:
        said = _said.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise unreadable("a journal entry", error) from error
    about = said.event
    return [said.seq, micros(said.at), about.event, about.workflow, about.run, about.call, about.incident]
