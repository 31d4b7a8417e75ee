"""Is everything still what was recorded? Recomputes what can be recomputed and names what differs.

The journal's rows are hashed and counted, the Merkle log is built anew from them and compared with the stored nodes and with every
signed checkpoint, and the whole journal is folded into memory and compared with every record. What this finds out is
more than a reader of one bundle can; what it cannot is the same: an entry that no checkpoint covers yet can be rewritten together with its
hash and its records, and who has the signing key can rewrite all that no checkpoint covers which was kept elsewhere, or in a bundle. What
the server only remembers is compared with nothing: heartbeats, turns, deliveries, how far a duty has read (but not beyond the end) and what
it has seen. When a checkpoint was made is noted beside it, not signed, and not checked.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import quote

import msgspec
import sqlalchemy as sa

from stopwork.kernel.errors import StopworkError, Tampered, Unavailable
from stopwork.ledger.events import Entry, EvidenceSealed, LogAnchored
from stopwork.ledger.fold import Put, changes
from stopwork.ledger.merkle import MemoryNodes, Tree, leaf_hash
from stopwork.ledger.notes import Checkpoint, read_checkpoint, verify
from stopwork.ledger.records import BlobRef, Bundle, Record
from stopwork.storage import statements
from stopwork.storage.blobs import Blobs
from stopwork.storage.connections import cause_of, translated
from stopwork.storage.contents import fault_of, named
from stopwork.storage.lines import FOUND_BY, Line, pages, said_by
from stopwork.storage.sealed_files import Unrecorded, checkpoints_in, differing, names_in, unrecorded
from stopwork.storage.shape import misfits
from stopwork.storage.sqlite_errors import is_damage
from stopwork.storage.store import Store, is_address
from stopwork.storage.tables import (
    TABLES,
    checkpoint,
    column_values,
    duty,
    id_of,
    journal_head,
)
from stopwork.storage.view import View, decode, entry_of

MAX_FAULTS: Final = 100
PAGE: Final = 1_000
_NOTHING_KEPT: Final[Mapping[str, Sequence[str]]] = MappingProxyType({})


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is not as it was recorded: ``where`` names it, ``what`` says how it differs."""

    where: str
    what: str


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What was looked at and what was found; ``faults`` in the order of the journal, then of the log, of the evidence, of the records.

    ``unrecorded`` are files in the folder of the evidence that no record names, which is no fault. ``sealed`` is how many entries the newest checkpoint covers, ``kept`` how many checkpoints from elsewhere it was compared with. At most ``MAX_FAULTS`` are listed: the first is what matters.
    """

    entries: int
    sealed: int
    checkpoints: int
    bundles: int
    records: int
    signatures_checked: bool
    kept: int = 0
    blobs: int = 0
    faults: tuple[Fault, ...] = ()
    unrecorded: tuple[Unrecorded, ...] = ()

    @property
    def clean(self) -> bool:
        return not self.faults


def fsck(
    source: Store | str | Path,
    *,
    vkeys: Sequence[str] = (),
    kept: Mapping[str, Sequence[str]] = _NOTHING_KEPT,
    evidence: Path | None = None,
    blobs: Blobs | None = None,
    log_only: bool = False,
) -> Report:
    """Check a store, or the database of one by its file or address, which may be in use; nothing is changed.

    ``vkeys`` are the keys of which one must have signed each checkpoint; without any, signatures are not checked. ``kept`` are
    checkpoints by the name of the place where they were kept and where nobody who can write the database can change them: they show a
    database that was put back to an earlier copy. ``evidence`` is the folder of the sealed bundles, whose own checkpoints show that as well where ``vkeys`` are given, ``blobs`` where the content lies that the journal names; without them these are not looked at. Needs memory for every
    record, but for the ``log_only``: then journal and log are compared, and neither records nor evidence are looked at.
    Raises ``Unavailable`` when the file is no database or cannot be read.
    """
    there = names_in(evidence) if evidence else frozenset()

    def examine(view: View) -> Report:
        return _Examination(view, vkeys, kept, evidence, there, blobs, log_only=log_only).report()

    if isinstance(source, Store):
        return source.read(examine)
    try:
        with _read_only(source) as connection:
            return examine(View(connection))
    except Exception as error:
        found = translated(error)
        if found is error:
            raise
        raise found from error


def bundles_named(location: str | Path) -> frozenset[str]:
    """Answer the names of the files that the database at ``location`` has a bundle's record of."""
    with _read_only(location) as connection:
        return frozenset(Path(bundle.path).name for bundle in View(connection).each(Bundle))


@contextlib.contextmanager
def _read_only(location: str | Path) -> Iterator[sa.Connection]:
    if is_address(location):
        from stopwork.storage.postgres import BEGIN_READING
        from stopwork.storage.postgres_connections import postgres_engine

        with postgres_engine(str(location)).connect() as connection:
            connection.exec_driver_sql(BEGIN_READING)
            yield connection
        return
    path = Path(location)
    if not path.is_file():
        raise Unavailable(
            f"there is no database at {path}", hint="Name the file stopwork.db of an installation."
        )
    address = f"file:{quote(str(path))}?mode=ro&uri=true"
    engine = sa.create_engine(
        f"sqlite:///{address}", isolation_level="AUTOCOMMIT", poolclass=sa.pool.NullPool
    )
    with engine.connect() as connection:
        connection.exec_driver_sql("BEGIN")
        yield connection
        connection.exec_driver_sql("ROLLBACK")


class _Examination:
    """One pass over one snapshot."""

    def __init__(
        self,
        view: View,
        vkeys: Sequence[str],
        kept: Mapping[str, Sequence[str]],
        evidence: Path | None,
        there: frozenset[str],
        blobs: Blobs | None,
        *,
        log_only: bool,
    ) -> None:
        self._view = view
        self._vkeys = tuple(vkeys)
        self._kept = [(place, note) for place, notes in kept.items() for note in notes]
        self._empty = [place for place, notes in kept.items() if not notes]
        self._evidence = evidence
        self._there = there
        self._unrecorded: tuple[Unrecorded, ...] = ()
        self._blobs = blobs
        self._faults: list[Fault] = []
        self._nodes = MemoryNodes()
        self._tree = Tree(self._nodes)
        self._state: dict[tuple[type[Record], str], Record] = {}
        self._anchored: list[tuple[int, LogAnchored]] = []
        self._said_sealed: dict[int, int] = {}
        self._log_only = log_only
        self._folds = not log_only

    def report(self) -> Report:
        sealed = checkpoints = bundles = blobs = records = 0
        try:
            self._check_file()
            if not self._has_shape():
                return self._found()
            self._check_journal()
            sealed, checkpoints = self._check_log()
            self._check_said()
            self._check_kept()
            bundles, blobs = self._check_evidence(), self._check_blobs()
            # Records of a journal that cannot be folded to its end would all differ, which says nothing new.
            records = self._check_records() if self._folds else 0
        except (sa.exc.DatabaseError, sqlite3.DatabaseError) as error:
            if not is_damage(cause_of(error)):
                raise
            self._fault("database file", f"cannot be read further: {translated(error).__cause__}")
        except (TypeError, ValueError, OverflowError) as error:
            self._fault("database file", f"cannot be read further: {error}")
        return self._found(
            sealed=sealed, checkpoints=checkpoints, bundles=bundles, blobs=blobs, records=records
        )

    def _found(
        self, *, sealed: int = 0, checkpoints: int = 0, bundles: int = 0, blobs: int = 0, records: int = 0
    ) -> Report:
        return Report(
            entries=self._tree.size,
            sealed=sealed,
            checkpoints=checkpoints,
            bundles=bundles,
            blobs=blobs,
            records=records,
            signatures_checked=bool(self._vkeys),
            kept=len(self._kept),
            faults=tuple(self._faults),
            unrecorded=self._unrecorded,
        )

    def _fault(self, where: str, what: str, *, fold: bool = True) -> None:
        """Note a fault; after some there is no sense in folding any further."""
        self._folds = self._folds and fold
        if len(self._faults) < MAX_FAULTS:
            self._faults.append(Fault(where=where, what=what))

    def _check_file(self) -> None:
        if self._log_only or self._view.database != "sqlite":
            return  # a server looks after its own files, and what is hashed needs no other check
        for (line,) in self._view.execute(sa.text(f"PRAGMA integrity_check({MAX_FAULTS})")):
            if line != "ok":
                self._fault("database file", line)

    def _has_shape(self) -> bool:
        found = list(misfits(self._view, cells=not self._log_only))
        for where, what in found:
            self._fault(where, what)
        return not found

    # the journal

    def _check_journal(self) -> None:
        for page in pages(self._view):
            leaves = self._check_page(page)
            self._tree.extend(leaves)
            if len(leaves) < len(page):
                return
        self._check_head()
        self._check_duties()

    def _check_page(self, page: Sequence[Line]) -> list[bytes]:
        """Check some lines of the journal; answer the hashes of what is in them, up to the first that is missing."""
        leaves = []
        for seq, line in enumerate(page, start=self._tree.size + 1):
            *found_by, body, written = line
            if line[0] != seq:
                self._fault(
                    f"journal entry {seq}", f"is missing; entry {line[0]} stands in its place", fold=False
                )
                break
            leaf = leaf_hash(body)
            leaves.append(leaf)
            if leaf != written:
                self._fault(f"journal entry {seq}", "does not have the hash that it was written with")
            try:
                said = said_by(body)
                if said != found_by:
                    self._tell_misplaced(seq, found_by, said)
                if self._folds:
                    self._fold(entry_of(body))
            except Tampered as error:
                self._fault(f"journal entry {seq}", f"cannot be read: {error.__cause__}", fold=False)
        return leaves

    def _tell_misplaced(self, seq: int, found_by: Sequence[object], said: Sequence[object]) -> None:
        where = f"journal entry {seq}"
        for name, found, written in zip(FOUND_BY, found_by, said, strict=True):
            if name == "seq" and found != written:
                self._fault(where, f"says of itself that it is entry {written}")
            elif found != written:
                self._fault(where, f"is indexed under {name} {found!r} and says {written!r}")

    def _check_head(self) -> None:
        """Compare the last entry with the number that the next one will be counted from, where that is kept."""
        if self._view.database == "sqlite":
            return
        counted = self._view.execute(sa.select(journal_head.c.seq)).scalar()
        if counted != self._tree.size:
            self._fault(
                f"journal entry {self._tree.size + 1}", f"is missing: entries were counted up to {counted}"
            )

    def _check_duties(self) -> None:
        """A duty that claims to have read further than the journal goes would never read what comes next."""
        ahead = sa.select(duty.c.name, duty.c.position).where(duty.c.position > self._tree.size)
        for row in self._view.execute(ahead.order_by(duty.c.name)):
            self._fault(
                f"duty {row.name}", f"has read up to entry {row.position}, and there are {self._tree.size}"
            )

    def _fold(self, entry: Entry) -> None:
        if isinstance(entry.event, LogAnchored):
            self._anchored.append((entry.seq, entry.event))
            self._said_sealed.setdefault(entry.event.size, entry.seq)
        elif isinstance(entry.event, EvidenceSealed):
            self._said_sealed.setdefault(entry.event.tree_size, entry.seq)
        try:
            for change in changes(entry):
                if isinstance(change, Put):
                    self._state[type(change.record), id_of(change.record)] = change.record
                elif (record := change.evolve(self._state.get((change.kind, change.id)))) is not None:
                    self._state[change.kind, change.id] = record
        except (AttributeError, TypeError, ValueError) as error:
            where = f"journal entry {entry.seq}"
            self._fault(where, f"does not follow from the entries before it: {error}", fold=False)

    # the log

    def _check_log(self) -> tuple[int, int]:
        rows = self._view.execute(sa.select(checkpoint).order_by(checkpoint.c.size)).all()
        sealed = rows[-1].size if rows else 0
        if sealed > self._tree.size:
            self._fault(
                f"journal entry {self._tree.size + 1}",
                f"is missing: a checkpoint covers {sealed} entries and there are {self._tree.size}",
            )
        self._check_nodes(min(sealed, self._tree.size))
        for row in rows:
            self._check_checkpoint(row)
        return sealed, len(rows)

    def _check_nodes(self, sealed: int) -> None:
        stored: defaultdict[int, dict[int, bytes]] = defaultdict(dict)
        for level, position, node in self._view.run(statements.NODES, {}):
            stored[level][position] = bytes(node)
        for level in range(1, sealed.bit_length()):
            self._check_level(level, stored.pop(level, {}), self._nodes.levels[level][: sealed >> level])
        for level, nodes in sorted(stored.items()):
            self._check_level(level, nodes, [])

    def _check_level(self, level: int, stored: dict[int, bytes], expected: Sequence[bytes]) -> None:
        if list(stored.values()) == expected and list(stored) == list(range(len(expected))):
            return
        for position, node in enumerate(expected):
            found = stored.pop(position, None)
            where, covered = (
                f"log node {level}/{position}",
                f"entries {(position << level) + 1} to {(position + 1) << level}",
            )
            if found is None:
                self._fault(where, f"is missing; it covers {covered}")
            elif found != node:
                self._fault(where, f"does not match {covered}: one was changed")
        for position in sorted(stored):
            self._fault(f"log node {level}/{position}", "covers entries that are not there")

    def _check_checkpoint(self, row: sa.Row[Any]) -> None:
        where = f"checkpoint of {row.size} entries"
        signed = self._opened(where, row.note)
        if signed is None:
            return
        if (signed.size, signed.root) != (row.size, row.root):
            self._fault(
                where, f"is a signed statement about another state of the log, of {signed.size} entries"
            )
        if signed.size <= self._tree.size and self._tree.root(signed.size) != signed.root:
            self._fault(where, "was signed over other entries than those that are there")

    def _check_said(self) -> None:
        """Compare the log with what its own entries say of its checkpoints: that they were kept elsewhere, or sealed evidence."""
        there = {0} | set(self._view.execute(sa.select(checkpoint.c.size)).scalars())
        for size, seq in sorted(self._said_sealed.items()):
            if size not in there:
                self._fault(
                    f"checkpoint of {size} entries", f"is missing; journal entry {seq} says that it was there"
                )
        for seq, event in self._anchored:
            signed = self._opened(f"journal entry {seq}", event.checkpoint)
            if signed and signed.size <= self._tree.size and self._tree.root(signed.size) != signed.root:
                self._fault(
                    f"checkpoint of {signed.size} entries",
                    f"was kept elsewhere, as journal entry {seq} says, and signed over other entries than those that are there",
                )

    def _opened(self, where: str, note: str) -> Checkpoint | None:
        """Answer what a checkpoint says, or note why that is not to be relied on."""
        try:
            text = verify(note, self._vkeys) if self._vkeys else note.partition("\n\n")[0] + "\n"
            return read_checkpoint(text)
        except StopworkError as error:
            self._fault(where, f"does not verify: {error.detail}")
            return None

    def _check_kept(self) -> None:
        for place in self._empty:
            self._check_empty(place)
        opened = [
            (self._opened(f"a checkpoint kept elsewhere ({place})", note), f"kept elsewhere ({place})")
            for place, note in self._kept
        ]
        self._compare([(each, where) for each, where in opened if each])

    def _compare(self, signed_ones: Iterable[tuple[Checkpoint, str]]) -> None:
        """Compare the log with checkpoints that do not stand in the database; between two of them lies the first entry that differs."""
        same = 0
        for signed, where in sorted(signed_ones, key=lambda it: it[0].size):
            if signed.size > self._tree.size:
                self._fault(
                    f"journal entry {self._tree.size + 1}",
                    f"is missing: a checkpoint {where} covers {signed.size} entries, so this is an earlier "
                    "copy of the database, or its end was cut off",
                )
                return
            if self._tree.root(signed.size) != signed.root:
                self._fault(
                    f"journal entries {same + 1} to {signed.size}",
                    f"are not those that the checkpoint of {signed.size} entries, {where}, was signed over",
                )
                return
            same = signed.size

    def _check_empty(self, place: str) -> None:
        """A place that keeps nothing has lost what the journal says that it was given."""
        for seq, event in reversed(self._anchored):
            if event.anchor == place:
                what = f"keeps no checkpoint; journal entry {seq} says that it was given one of {event.size} entries"
                self._fault(f"anchor {place}", what)
                return

    # the evidence

    def _check_evidence(self) -> int:
        if self._evidence is None or self._log_only:
            return 0
        bundles = [record for record in self._state.values() if isinstance(record, Bundle)]
        for where, what in differing(self._evidence, bundles):
            self._fault(where, what)
        self._compare(checkpoints_in(self._evidence, self._there, self._vkeys))
        if self._folds:
            found = unrecorded(self._evidence, self._there, bundles)
            self._unrecorded = tuple(islice(found, MAX_FAULTS))
        return len(bundles)

    def _check_blobs(self) -> int:
        if self._blobs is None or not self._folds:
            return 0
        first: dict[str, tuple[int, BlobRef]] = {}
        for seq, blob in named(self._view):
            first.setdefault(blob.digest, (seq, blob))
        for seq, blob in first.values():
            if fault := fault_of(self._blobs, blob):
                self._fault(f"blob {blob.digest}", f"{fault}; journal entry {seq} names it as {blob.name!r}")
        return len(first)

    # the records

    def _check_records(self) -> int:
        count = 0
        for kind, table in TABLES.items():
            for row in self._records(table):
                count += 1
                self._check_record(kind, row)
        for kind, record_id in self._state:
            self._fault(f"{_word(kind)} {record_id}", "is missing; the journal says it is there")
        return count

    def _records(self, table: sa.Table) -> Iterator[sa.Row[Any]]:
        after = ""
        while page := self._view.execute(
            sa.select(table).where(table.c.id > after).order_by(table.c.id).limit(PAGE)
        ).all():
            yield from page
            after = page[-1].id

    def _check_record(self, kind: type[Record], row: sa.Row[Any]) -> None:
        where = f"{_word(kind)} {row.id}"
        expected = self._state.pop((kind, row.id), None)
        if expected is None:
            self._fault(where, "is not in the journal")
            return
        try:
            found = decode(kind, row.record)
        except Tampered as error:
            self._fault(where, f"cannot be read: {error.__cause__}")
            return
        if found != expected:
            differing = [n for n in kind.__struct_fields__ if getattr(found, n) != getattr(expected, n)]
            self._fault(where, f"differs from what the journal says in: {', '.join(differing)}")
        for name, value in column_values(expected).items():
            if getattr(row, name) != value:
                self._fault(where, f"is indexed under {name} {getattr(row, name)!r} instead of {value!r}")


def _word(kind: type[Record]) -> str:
    return "".join(f" {c.lower()}" if c.isupper() else c for c in kind.__name__).strip()
