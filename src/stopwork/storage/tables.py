"""The tables: one per kind of record, and the journal with its Merkle log.

A record's table holds its id, the columns it is looked up by, and the record itself as JSON. So a field
that nobody searches by costs no migration, and the whole state can be rebuilt from the journal. Times are stored as
microseconds since 1970 in UTC.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import Enum
from types import MappingProxyType
from typing import Any, Final

import sqlalchemy as sa

from stopwork.kernel.clock import in_utc
from stopwork.kernel.fields import fields
from stopwork.ledger import records as r

metadata: Final = sa.MetaData()

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Moment(sa.types.TypeDecorator[datetime]):
    """An aware time, stored as microseconds since 1970 in UTC."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> int | None:
        return None if value is None else micros(value)

    def process_result_value(self, value: int | None, dialect: sa.Dialect) -> datetime | None:
        return None if value is None else _EPOCH + timedelta(microseconds=value)


class Bytes(sa.types.TypeDecorator[bytes]):
    """Bytes that count as evidence: always bytes when read, also where someone has put another type into the column."""

    impl = sa.LargeBinary
    cache_ok = True

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> bytes:
        return value if isinstance(value, bytes) else str(value).encode()


def micros(moment: datetime) -> int:
    """Answer microseconds since 1970 in UTC, exactly."""
    return (in_utc(moment) - _EPOCH) // timedelta(microseconds=1)


def text(length: int) -> sa.types.TypeEngine[str]:
    """Text that is compared by code point on every database, whatever the language of its server."""
    return sa.String(length).with_variant(sa.Text(collation="C"), "postgresql")


#: The attributes of an event that the journal is indexed by.
JOURNAL_KEYS: Final = ("workflow", "run", "call", "incident")

journal: Final = sa.Table(
    "journal",
    metadata,
    sa.Column(
        "seq", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=False
    ),
    sa.Column("at", Moment, nullable=False),
    sa.Column("kind", text(48), nullable=False),
    sa.Column("workflow", text(128)),
    sa.Column("run", text(64)),
    sa.Column("call", text(64)),
    sa.Column("incident", text(64)),
    sa.Column("body", Bytes, nullable=False),
    sa.Column("leaf", Bytes(32), nullable=False),
    sa.Index("journal_workflow", "workflow", "seq"),
    sa.Index("journal_run", "run", "seq"),
    sa.Index("journal_incident", "incident", "seq"),
    sa.Index("journal_kind", "kind", "seq"),
)

#: The newest number of the journal, for several writers to count from. SQLite's single writer looks at the journal itself.
journal_head: Final = sa.Table(
    "journal_head",
    metadata,
    sa.Column("single", sa.Boolean, sa.CheckConstraint("single"), primary_key=True),
    sa.Column("seq", sa.BigInteger, nullable=False),
)

#: Which replica does a duty: until when unless it says so again, and how often that has changed hands.
lease: Final = sa.Table(
    "lease",
    metadata,
    sa.Column("duty", text(64), primary_key=True),
    sa.Column("owner", text(64), nullable=False),
    sa.Column("fence", sa.BigInteger, nullable=False),
    sa.Column("until_us", sa.BigInteger, nullable=False),
)

merkle_node: Final = sa.Table(
    "merkle_node",
    metadata,
    sa.Column("level", sa.Integer, primary_key=True),
    sa.Column("position", sa.BigInteger, primary_key=True),
    sa.Column("hash", Bytes(32), nullable=False),
)

checkpoint: Final = sa.Table(
    "checkpoint",
    metadata,
    sa.Column(
        "size", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=False
    ),
    sa.Column("root", Bytes(32), nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("at", Moment, nullable=False),
)

heartbeat: Final = sa.Table(
    "heartbeat",
    metadata,
    sa.Column("point", text(64), primary_key=True),
    sa.Column("seen_at", Moment, nullable=False),
    sa.Column("epoch", sa.BigInteger, nullable=False),
    sa.Column("lease_until_us", sa.BigInteger, nullable=False, default=0, server_default="0"),
    sa.Column("lease_reads", sa.BigInteger, nullable=False, default=0, server_default="0"),
)

duty: Final = sa.Table(
    "duty",
    metadata,
    sa.Column("name", text(64), primary_key=True),
    sa.Column("position", sa.BigInteger, nullable=False, default=0),
    sa.Column("state", sa.LargeBinary, nullable=False, default=b""),
    sa.Column("succeeded_at", Moment),
    sa.Column("failed_at", Moment),
    sa.Column("error", sa.Text, nullable=False, default=""),
)

#: What other tools have delivered, for as long as they may deliver it again: memory, and no evidence.
delivery: Final = sa.Table(
    "delivery",
    metadata,
    sa.Column("digest", text(80), primary_key=True),
    sa.Column("at", Moment, nullable=False),
    sa.Column("signal", text(64), nullable=False),
    sa.Index("delivery_at", "at"),
)

blob: Final = sa.Table(
    "blob",
    metadata,
    sa.Column("digest", text(80), primary_key=True),
    sa.Column("content", sa.LargeBinary, nullable=False),
)

#: The fields each kind of record is looked up by; ``a+b`` is one index over both.
INDEXED: Final[MappingProxyType[type[r.Record], tuple[str, ...]]] = MappingProxyType(
    {
        r.Workflow: (),
        r.ManifestVersion: ("workflow+version",),
        r.Run: (
            "workflow+started_at",
            "status+started_at",
            "workflow+status+started_at",
            "trigger_id",
            "started_at",
        ),
        r.Day: (),
        r.Step: ("run+at",),
        r.Call: (
            "run+requested_at",
            "workflow+requested_at",
            "requested_at",
            "in_flight+requested_at",
            "tool+requested_at",
            "verdict+requested_at",
            "workflow+verdict+requested_at",
            "outcome+requested_at",
            "workflow+outcome+requested_at",
        ),
        r.Key: ("workflow+idle_since",),
        r.Effect: ("call", "run+at", "object_key+at", "workflow+at"),
        r.Point: ("workflow", "retired_at"),
        r.Hold: ("active", "incident"),
        r.Approval: ("state+requested_at", "subject", "incident", "call"),
        r.Draft: ("state+requested_at", "workflow+requested_at", "key", "run"),
        r.Backfill: ("workflow+ordered_at", "state", "incident"),
        r.Signal: (
            "incident",
            "workflow+raised_at",
            "key+raised_at",
            "kind+raised_at",
            "state+raised_at",
            "workflow+state+raised_at",
            "raised_at",
        ),
        r.Incident: ("status+opened_at", "workflow+opened_at", "cause", "private", "practice"),
        r.Bundle: ("incident",),
        r.LegalHold: ("active",),
        r.ContainmentItem: ("incident",),
        r.Audit: ("incident+at",),
        r.Drift: (),
        r.FeedChange: ("object_key+at", "system+at"),
        r.Item: ("plan+order", "incident", "state"),
        r.Plan: ("incident+proposed_at", "state"),
        r.Message: ("incident+drafted_at", "state"),
        r.Postmortem: ("incident",),
        r.Check: ("incident",),
        r.Note: ("incident",),
        r.Mark: ("incident",),
        r.Response: ("incident",),
        r.Telling: ("incident+planned_at", "state+next_at"),
        r.Vetted: (),
        r.Credential: ("secret_digest",),
        r.Control: (),
    }
)


#: What else a kind's table has a column for: looked through, not looked up.
SEARCHED: Final[MappingProxyType[type[r.Record], tuple[str, ...]]] = MappingProxyType({r.Signal: ("words",)})


def _column_type(kind: type[r.Record], name: str) -> Any:
    hint = str(kind.__annotations__.get(name, str))  # what a record works out is text
    if "datetime" in hint:
        return Moment
    if "bool" in hint:
        return sa.Boolean
    if "int" in hint.split("|", maxsplit=1)[0]:
        return sa.Integer
    return text(256)


def _table(kind: type[r.Record], indexed: tuple[str, ...]) -> sa.Table:
    name = _snake(kind.__name__)
    looked_up = (field for index in indexed for field in index.split("+"))
    columns = dict.fromkeys([*looked_up, *SEARCHED.get(kind, ())])
    return sa.Table(
        name,
        metadata,
        sa.Column("id", text(256), primary_key=True),
        *(sa.Column(column, _column_type(kind, column)) for column in columns),
        sa.Column("record", sa.LargeBinary, nullable=False),
        *(sa.Index(f"{name}_{index.replace('+', '_')}", *index.split("+")) for index in indexed),
    )


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")


TABLES: Final = MappingProxyType({kind: _table(kind, indexed) for kind, indexed in INDEXED.items()})

#: The columns of each kind's table, in their order, but for the record itself.
COLUMNS: Final[MappingProxyType[type[r.Record], tuple[str, ...]]] = MappingProxyType(
    {
        kind: tuple(column.name for column in table.columns if column.name != "record")
        for kind, table in TABLES.items()
    }
)
_VALUES: Final = {kind: fields(*columns) for kind, columns in COLUMNS.items()}
_STORED_AS_THEY_ARE: Final = frozenset({str, int, bool, float, bytes, type(None)})


def id_of(record: r.Record) -> str:
    """Answer the record's primary key."""
    return str(record.id)  # type: ignore[attr-defined]  # every kind that has a table has one


def column_values(record: r.Record) -> dict[str, Any]:
    """Answer what the record's table holds beside the record itself."""
    values = {name: getattr(record, name) for name in COLUMNS[type(record)]}
    return {name: value.value if isinstance(value, Enum) else value for name, value in values.items()}


def stored_values(record: r.Record) -> tuple[Any, ...]:
    """Answer the same as a driver takes it, in the order of :data:`COLUMNS`."""
    return tuple(map(as_stored, _VALUES[type(record)](record)))


def as_stored(value: Any) -> Any:
    """Answer a value as a driver takes it."""
    if type(value) in _STORED_AS_THEY_ARE:
        return value
    if isinstance(value, Enum):
        return value.value
    return micros(value) if isinstance(value, datetime) else value
