"""What a row is as an object: which columns are seen, what its id is, and what content may be put there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from stopwork.kernel.canonical import revive
from stopwork.kernel.errors import Conflict, Invalid
from stopwork.ledger.records import ObjectRef, Record
from stopwork.systems.base import Unsupported
from stopwork.systems.databases import Session, Table


class Layout(Record):
    """Which columns of a table are seen, and which are neither seen nor declared immaterial."""

    seen: tuple[str, ...]
    unseen: tuple[str, ...]


def layout_of(session: Session, table: Table) -> Layout:
    """Answer which columns of a table are seen; ``Invalid`` when one that is named is not there."""
    known = session.columns(table)
    names = [column.name for column in known]
    stamps = filter(None, (table.changed_by, table.changed_at))
    for column in (*table.key, *(table.columns or ()), *table.ignore, *stamps):
        if column not in names:
            raise Invalid(
                f"{table.table} has no column {column}",
                hint=f"It has {', '.join(names)}." if names else "There is no such table.",
                found=column,
            )
    settable = [column.name for column in known if not column.computed and column.name not in table.ignore]
    wanted = set(table.columns if table.columns is not None else settable) | set(table.key)
    return Layout(
        seen=tuple(name for name in settable if name in wanted),
        unseen=tuple(name for name in settable if name not in wanted),
    )


class Layouts:
    """The layouts of the tables of one transaction, each worked out once."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._known: dict[Table, Layout] = {}

    def of(self, table: Table) -> Layout:
        if table not in self._known:
            self._known[table] = layout_of(self._session, table)
        return self._known[table]


def require_whole(ref: ObjectRef, layout: Layout) -> None:
    """Raise ``Unsupported`` where part of the row is not seen: it can be changed, and neither made nor removed."""
    if layout.unseen:
        raise Unsupported(
            f"{ref} cannot be deleted or created again, since its column {layout.unseen[0]} is not seen",
            hint="Add the column to `columns`, or to `ignore` if its value does not matter.",
            object=str(ref),
        )


def content_of(ref: ObjectRef, table: Table, layout: Layout, target: Any) -> dict[str, Any]:
    """Answer the content to be put into a row; ``Invalid`` when it is none of this table, or of another row."""
    if not isinstance(target, dict) or (strange := sorted(target.keys() - set(layout.seen))):
        what = strange[0] if isinstance(target, dict) else type(target).__name__
        raise Invalid(
            f"the content for {ref} is not a row of {table.table}: {what}",
            hint=f"Its columns are {', '.join(layout.seen)}.",
            object=str(ref),
        )
    if any(column not in target for column in table.key) or id_of(table, revive(target)) != ref.id:
        raise Invalid(
            f"the content for {ref} belongs under another id",
            hint="An object keeps its key; delete one and create the other instead.",
            object=str(ref),
        )
    return target


def parts_of(table: Table, object_id: str) -> list[str]:
    """Answer the text of each key column in an id."""
    if len(table.key) == 1:
        return [object_id]
    parts = [part.replace("%2F", "/").replace("%25", "%") for part in object_id.split("/")]
    if len(parts) != len(table.key):
        raise Invalid(
            f"the id {object_id!r} has {len(parts)} parts, and {table.table} has a key of {len(table.key)}",
            hint=f"Join {', '.join(table.key)} with a slash; write %2F for a slash within a part.",
            found=object_id,
        )
    return parts


def id_of(table: Table, row: Mapping[str, Any]) -> str:
    """Answer the id of a row."""
    parts = list(_key_texts(table, row))
    if len(parts) == 1:
        return parts[0]
    return "/".join(part.replace("%", "%25").replace("/", "%2F") for part in parts)


def _key_texts(table: Table, row: Mapping[str, Any]) -> Iterator[str]:
    for column in table.key:
        value = row[column]
        if value is None or isinstance(value, bytes | float):
            raise Unsupported(
                f"{table.table}.{column} holds {type(value).__name__}, which makes no id",
                hint="Name a key column of text or whole numbers.",
            )
        yield str(value)


def writable(text: str) -> str:
    """Answer text that can be written down, bytes that are none spelled as ``\\udcff``."""
    return text.encode("utf-8", "backslashreplace").decode()


def lost_race(ref: ObjectRef) -> Conflict:
    """Answer the error for a row that was changed between the look and the change."""
    return Conflict(
        f"{ref} was changed in the same moment",
        hint="Look at it and decide again.",
        object=str(ref),
    )
