"""The rows that a database says a call has changed, and what became of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from msgspec.structs import replace

from stopwork.ledger.records import Record

#: The table with the captured rows.
CAPTURE: Final = "stopwork_capture"
#: The setting of a PostgreSQL session or transaction that names the call.
SETTING: Final = "stopwork.call"
#: How many changed rows of one call are listed; beyond that the effects of the call are not complete.
CAPTURED_ROWS_MAX: Final = 100_000


class ChangedRow(Record):
    """One change of one row, in the driver's own values; ``before`` is ``None`` for one that came, ``after`` for one that went."""

    table: str
    schema: str | None = None
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None


class RowName(Record):
    """What a row is called; ``unique`` unless rows are named by their content, so that several may have the name."""

    text: str
    unique: bool = True


NameOf = Callable[[ChangedRow, dict[str, Any]], RowName]


def net(rows: Iterable[ChangedRow], name_of: NameOf) -> Iterator[tuple[str, ChangedRow]]:
    """Answer, under its name, what became of each row over all its changes, in the order in which rows were first changed.

    A change of the name is a row that went and one that came. A row that came and went again, or is as it was, is left out: nothing of it
    is left.
    """
    found: dict[tuple[str | None, str, str], ChangedRow] = {}
    balance: dict[tuple[str | None, str, str], list[ChangedRow]] = {}
    for row in rows:
        for name, part in _parts(row, name_of):
            key = (part.schema, part.table, name.text)
            if not name.unique:
                _weigh(balance.setdefault(key, []), part)
                continue
            first = found.get(key)
            found[key] = part if first is None else replace(part, before=first.before)
    for (_, _, text), row in found.items():
        if row.before != row.after:
            yield text, row
    for (_, _, text), alike in balance.items():
        for number, row in enumerate(alike, start=1):
            yield text if number == 1 else f"{text}#{number}", row


def _parts(row: ChangedRow, name_of: NameOf) -> Iterator[tuple[RowName, ChangedRow]]:
    """Answer the change by name: two changes when the row has another name after it."""
    names = [None if content is None else name_of(row, content) for content in (row.before, row.after)]
    if names[0] == names[1] and names[0] is not None and names[0].unique:
        yield names[0], row
        return
    for name, part in zip(names, (replace(row, after=None), replace(row, before=None)), strict=True):
        if name is not None:
            yield name, part


def _weigh(alike: list[ChangedRow], part: ChangedRow) -> None:
    """Let one of several equal rows come or go: it makes up for one that went or came before."""
    came = part.before is None
    if alike and (alike[-1].before is None) is not came:
        alike.pop()
    else:
        alike.append(part)
