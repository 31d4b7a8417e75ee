"""Contract of a checkpoint that was kept elsewhere: with it, fsck finds what the database alone cannot show, because whoever wrote it had
the signing key as well: a history written anew, an end cut off, an earlier copy put back, a key exchanged.
"""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from stopwork.kernel.clock import ManualClock
from stopwork.kernel.ids import CountingIds
from stopwork.ledger.events import LogAnchored
from stopwork.ledger.notes import Signer, notes_in
from stopwork.ledger.words import AnchorKind
from stopwork.operations.sealing import seal
from stopwork.storage.backup import backup
from stopwork.storage.fsck import fsck
from stopwork.storage.store import Store
from tests.support.told import START, recording, run_started

SIGNER = Signer("log.acme.test", b"\x01" * 32)
FORGER = Signer("log.acme.test", b"\x02" * 32)


class Kept:
    """A database whose checkpoints of four and of eight entries were kept elsewhere, and a copy from between the two."""

    def __init__(self, folder: Path) -> None:
        self.database, self.earlier = folder / "test.db", folder / "earlier.db"
        with self._opened() as store:
            self.notes = [self._grow(store, 1)]
            backup(self.database, self.earlier)
            self.notes.append(self._grow(store, 5))

    def _opened(self) -> Store:
        return Store.open(self.database, clock=ManualClock(START), ids=CountingIds())

    def _grow(self, store: Store, first: int) -> str:
        for number in range(first, first + 4):
            store.write(recording(run_started(f"run_{number}")))
        size = seal(store, SIGNER)
        note = store.read(lambda view: view.checkpoint_at(size))
        assert note is not None
        return note

    def edit(self, *statements: tuple[str, tuple[object, ...]]) -> None:
        with closing(sqlite3.connect(self.database)) as connection, connection:
            for statement, values in statements:
                connection.execute(statement, values)

    def note_anchored(self, note: str, *, size: int) -> None:
        """Record that a place keeps a checkpoint, as the server does."""
        with self._opened() as store:
            store.write(
                recording(
                    LogAnchored(
                        anchor="disk",
                        kind=AnchorKind.FILE,
                        place="a disk",
                        size=size,
                        checkpoint=note,
                        said="added",
                    )
                )
            )

    def rewrite(self, seq: int, signer: Signer) -> None:
        """Change what an entry says and everything that follows from it, and sign that: the work of who holds the key."""
        with closing(sqlite3.connect(self.database)) as connection, connection:
            (body,) = connection.execute("SELECT body FROM journal WHERE seq = ?", (seq,)).fetchone()
            body = body.replace(b"manual", b"forged")
            leaf = hashlib.sha256(b"\x00" + body).digest()
            connection.execute("UPDATE journal SET body = ?, leaf = ? WHERE seq = ?", (body, leaf, seq))
            connection.execute(
                "UPDATE run SET record = replace(CAST(record AS TEXT), 'manual', 'forged') WHERE id = ?",
                (f"run_{seq}",),
            )
            connection.execute("DELETE FROM checkpoint")
            connection.execute("DELETE FROM merkle_node")
        with self._opened() as store:
            seal(store, signer)


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path)


def test_a_log_that_grew_on_from_what_was_kept_is_clean(kept: Kept) -> None:
    assert fsck(kept.database, vkeys=[SIGNER.vkey], kept={"disk": kept.notes}).clean


def test_an_earlier_copy_put_back_is_found(kept: Kept) -> None:
    assert fsck(kept.earlier, vkeys=[SIGNER.vkey]).clean, "by itself it is a true state of the log"
    (fault,) = fsck(kept.earlier, vkeys=[SIGNER.vkey], kept={"disk": kept.notes}).faults
    assert fault.where == "journal entry 5"
    assert "(disk) covers 8 entries, so this is an earlier copy" in fault.what


@pytest.mark.parametrize(
    ("seq", "where"), [(2, "journal entries 1 to 4"), (7, "journal entries 5 to 8")], ids=str
)
def test_a_history_written_anew_with_the_true_key_is_found(kept: Kept, seq: int, where: str) -> None:
    kept.rewrite(seq, SIGNER)
    assert [fault.what for fault in fsck(kept.database, vkeys=[SIGNER.vkey]).faults] == []
    (fault,) = fsck(kept.database, vkeys=[SIGNER.vkey], kept={"disk": kept.notes}).faults
    assert (fault.where, "kept elsewhere" in fault.what) == (where, True)


def test_a_key_that_was_exchanged_is_found(kept: Kept) -> None:
    kept.rewrite(2, FORGER)
    assert fsck(kept.database, vkeys=[FORGER.vkey]).clean, (
        "whoever asks the folder for its key learns nothing"
    )
    faults = fsck(kept.database, vkeys=[FORGER.vkey], kept={"disk": kept.notes}).faults
    assert {(fault.where, "does not verify" in fault.what) for fault in faults} == {
        ("a checkpoint kept elsewhere (disk)", True)
    }
    assert fsck(kept.database, vkeys=[SIGNER.vkey]).faults[0].where == "checkpoint of 8 entries"


@pytest.mark.parametrize(("seq", "changed"), [(2, True), (8, False)], ids=["before it", "after it"])
def test_what_the_journal_says_of_anchors_finds_a_history_written_anew(
    kept: Kept, seq: int, changed: bool
) -> None:
    kept.note_anchored(kept.notes[0], size=4)
    assert fsck(kept.database, vkeys=[SIGNER.vkey]).clean
    kept.rewrite(seq, SIGNER)
    faults = fsck(kept.database, vkeys=[SIGNER.vkey]).faults
    assert faults[0].where == "checkpoint of 4 entries"
    assert "is missing; journal entry 9 says that it was there" in faults[0].what
    assert any("signed over other entries" in fault.what for fault in faults) is changed


@pytest.mark.parametrize("anchor", ["disk", "vault"], ids=str)
def test_a_place_that_lost_what_it_was_given_is_found(kept: Kept, anchor: str) -> None:
    kept.note_anchored(kept.notes[0], size=4)
    faults = fsck(kept.database, vkeys=[SIGNER.vkey], kept={anchor: []}).faults
    lost = "keeps no checkpoint; journal entry 9 says that it was given one of 4 entries"
    assert [(fault.where, fault.what) for fault in faults] == [("anchor disk", lost)] * (anchor == "disk")


def test_what_is_no_checkpoint_is_said_to_be_none(kept: Kept) -> None:
    (fault,) = fsck(kept.database, vkeys=[SIGNER.vkey], kept={"disk": ["nonsense\n"]}).faults
    assert fault.where == "a checkpoint kept elsewhere (disk)"


@pytest.mark.parametrize("between", ["", "\n", "\n\n\n"], ids=["nothing", "a line", "some lines"])
def test_a_file_holds_many_checkpoints(kept: Kept, between: str) -> None:
    assert notes_in(between.join(kept.notes)) == kept.notes
