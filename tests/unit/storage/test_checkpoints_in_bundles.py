"""Contract of the sealed bundles as witnesses: each holds a signed checkpoint, and whoever writes the database does not write these. So fsck
finds with them, and without any anchor, an earlier copy that was put back and a history that was written anew.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from stopwork.kernel.clock import ManualClock
from stopwork.kernel.ids import CountingIds
from stopwork.ledger.bundle import write_bundle
from stopwork.ledger.merkle import leaf_hash
from stopwork.ledger.notes import Signer
from stopwork.operations.sealing import seal
from stopwork.storage.backup import backup, backup_evidence
from stopwork.storage.fsck import Report, fsck
from stopwork.storage.sealed_files import names_in
from stopwork.storage.store import Store
from tests.support.told import START, incident_with_evidence, recording, run_started

SIGNER = Signer("log.acme.test", b"\x01" * 32)
FORGER = Signer("log.acme.test", b"\x02" * 32)


class Server:
    """A log of four entries, then of eight, and the folder of its evidence."""

    def __init__(self, folder: Path) -> None:
        self.database, self.earlier = folder / "test.db", folder / "earlier.db"
        self.evidence = folder / "evidence"
        self.evidence.mkdir()
        self.grow("first")
        backup(self.database, self.earlier)
        self.grow("second")

    def grow(self, name: str) -> None:
        with self._opened() as store:
            for number in range(4):
                store.write(recording(run_started(f"run_{name}_{number}")))
            seal(store, SIGNER)

    def sealed(self, name: str, *, signer: Signer = SIGNER) -> None:
        """Put a bundle into the folder, sealed from the log as it is now."""
        with self._opened() as store:
            note = store.read(lambda view: view.checkpoint_at(seal(store, SIGNER)))
        assert note is not None
        if signer is not SIGNER:
            note = signer.sign(note.partition("\n\n")[0] + "\n")
        write_bundle(
            self.evidence / name,
            external_id="AI-INC-1",
            description="",
            payload={},
            entries=(),
            checkpoint=note,
            signer=signer,
            created_at=START,
        )

    def record(self, name: str) -> None:
        """Let the database have a record of the bundle."""
        with self._opened() as store:
            store.write(recording(*incident_with_evidence("inc_1", path=name, digest="")))

    def write_anew(self) -> None:
        """Change the second entry and all that follows from it, and sign that: the work of who holds the key."""
        with closing(sqlite3.connect(self.database)) as connection, connection:
            (body,) = connection.execute("SELECT body FROM journal WHERE seq = 2").fetchone()
            body = body.replace(b"manual", b"forged")
            connection.execute("UPDATE journal SET body = ?, leaf = ? WHERE seq = 2", (body, leaf_hash(body)))
            connection.execute("UPDATE run SET record = replace(CAST(record AS TEXT), 'manual', 'forged')")
            connection.execute(
                "UPDATE run SET record = replace(CAST(record AS TEXT), 'forged', 'manual') WHERE id <> 'run_first_1'"
            )
            connection.execute("DELETE FROM checkpoint")
            connection.execute("DELETE FROM merkle_node")
        with self._opened() as store:
            seal(store, SIGNER)

    def checked(self, database: Path, log_only: bool = False) -> Report:
        return fsck(database, vkeys=[SIGNER.vkey], evidence=self.evidence, log_only=log_only)

    def _opened(self) -> Store:
        return Store.open(self.database, clock=ManualClock(START), ids=CountingIds())


@pytest.fixture
def server(tmp_path: Path) -> Server:
    return Server(tmp_path)


def test_a_log_that_grew_on_from_its_bundles_is_clean(server: Server) -> None:
    server.sealed("AI-INC-1-001.zip")
    server.grow("third")
    assert server.checked(server.database).clean


def test_an_earlier_copy_put_back_is_found_by_a_bundle_that_it_does_not_know(server: Server) -> None:
    assert server.checked(server.earlier).clean, "by itself it is a true state of the log"
    server.sealed("AI-INC-1-001.zip")
    report = server.checked(server.earlier)
    (fault,) = report.faults
    assert fault.where == "journal entry 5"
    assert (
        "a checkpoint in evidence file AI-INC-1-001.zip covers 8 entries, so this is an earlier" in fault.what
    )
    assert len(report.unrecorded) == 1, "and it is said that the file is to be kept"
    assert server.checked(server.earlier, log_only=True).clean, "then the evidence is not looked at"


def test_a_history_written_anew_with_the_true_key_is_found_by_a_bundle_of_before(server: Server) -> None:
    server.sealed("AI-INC-1-001.zip")
    server.write_anew()
    assert fsck(server.database, vkeys=[SIGNER.vkey]).clean
    (fault,) = server.checked(server.database).faults
    assert fault.where == "journal entries 1 to 8"
    assert "the checkpoint of 8 entries, in evidence file AI-INC-1-001.zip, was signed over" in fault.what


def test_a_backup_takes_no_bundle_that_was_sealed_after_its_database_was_copied(
    server: Server, tmp_path: Path
) -> None:
    server.sealed("AI-INC-1-001.zip")
    there = names_in(server.evidence)
    copy, evidence = tmp_path / "copy.db", tmp_path / "copied"
    backup(server.database, copy)
    server.grow("third")
    server.sealed("AI-INC-1-002.zip")
    backup_evidence(server.evidence, evidence, there=there, database=copy)
    assert names_in(evidence) == {"AI-INC-1-001.zip"}
    assert fsck(copy, vkeys=[SIGNER.vkey], evidence=evidence).clean
    assert not server.checked(copy).clean, "with the other one it would be an earlier database"


def test_a_backup_takes_every_bundle_that_its_database_names(server: Server, tmp_path: Path) -> None:
    server.sealed("AI-INC-1-001.zip")
    server.record("AI-INC-1-001.zip")
    backup_evidence(server.evidence, tmp_path / "copied", there=frozenset(), database=server.database)
    assert names_in(tmp_path / "copied") == {"AI-INC-1-001.zip"}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda file: file.write_bytes(b""),
        lambda file: file.write_bytes(file.read_bytes()[:-30]),
        lambda file: file.write_bytes(file.read_bytes().replace(b"log.acme.test", b"log.evil.test")),
        lambda file: (file.unlink(), file.symlink_to("nowhere")),
        lambda file: (file.unlink(), file.mkdir()),
    ],
    ids=["reserved", "half written", "another log", "a link", "a folder"],
)
def test_what_is_no_bundle_of_this_log_shows_nothing_about_it(
    server: Server, spoil: Callable[[Path], object]
) -> None:
    server.sealed("AI-INC-1-001.zip")
    spoil(server.evidence / "AI-INC-1-001.zip")
    assert server.checked(server.earlier).clean


def test_a_bundle_that_somebody_else_has_signed_shows_nothing(server: Server) -> None:
    server.sealed("AI-INC-1-001.zip", signer=FORGER)
    assert server.checked(server.earlier).clean
