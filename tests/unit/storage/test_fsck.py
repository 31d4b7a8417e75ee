"""Contract of fsck: whatever is changed behind the store's back, in the journal, the log or the records, is found, and the first thing
that differs is named; what nobody touched is clean.

Each case edits a copy of the database with plain SQL, as somebody with the file in hand would.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from shutil import copytree

import pytest

from stopwork.kernel.clock import ManualClock
from stopwork.kernel.errors import Unavailable
from stopwork.kernel.ids import CountingIds
from stopwork.ledger.notes import Signer
from stopwork.operations.sealing import seal
from stopwork.storage.backup import backup
from stopwork.storage.fsck import Report, fsck
from stopwork.storage.store import Store
from tests.support.told import (
    START,
    held,
    recording,
    run_finished,
    run_started,
    stepped,
)

SIGNER = Signer("log.acme.test", b"\x01" * 32)
STRANGER = Signer("log.acme.test", b"\x02" * 32)
SEALED, ENTRIES = 12, 14

Sql = tuple[str, ...]
Tampering = Callable[[sqlite3.Connection], None]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fourteen entries in two sealed batches, the last two not sealed yet."""
    folder = tmp_path_factory.mktemp("fsck")
    clock = ManualClock(START)
    with Store.open(folder / "test.db", clock=clock, ids=CountingIds()) as store:
        for n in range(1, 7):
            store.write(recording(run_started(f"run_{n}")))
        assert seal(store, SIGNER) == 6
        clock.advance(timedelta(seconds=1))
        for n in range(1, 6):
            store.write(recording(stepped(f"step_{n}", "run_1", tokens=n)))
        store.write(recording(held("hold_1")))
        assert seal(store, SIGNER) == SEALED
        store.write(recording(run_finished("run_1")))
        store.write(recording(run_finished("run_2")))
        assert fsck(store, vkeys=[SIGNER.vkey]).clean
    return folder


@pytest.fixture
def database(original: Path, tmp_path: Path) -> Path:
    return Path(copytree(original, tmp_path / "copy")) / "test.db"


def tampered(database: Path, change: Tampering) -> Report:
    with closing(sqlite3.connect(database)) as connection, connection:
        change(connection)
    return fsck(database, vkeys=[SIGNER.vkey])


def sql(*statements: str) -> Tampering:
    def run(connection: sqlite3.Connection) -> None:
        for statement in statements:
            assert connection.execute(statement).rowcount > 0, f"nothing was changed by {statement}"

    return run


def rewrite(seq: int, old: bytes, new: bytes, *, rehash: bool) -> Tampering:
    """Change an entry's bytes, and its hash with them if asked to."""

    def run(connection: sqlite3.Connection) -> None:
        (body,) = connection.execute("SELECT body FROM journal WHERE seq = ?", (seq,)).fetchone()
        assert old in body
        body = body.replace(old, new)
        connection.execute("UPDATE journal SET body = ? WHERE seq = ?", (body, seq))
        if rehash:
            leaf = hashlib.sha256(b"\x00" + body).digest()
            connection.execute("UPDATE journal SET leaf = ? WHERE seq = ?", (leaf, seq))

    return run


def swap(one: int, other: int) -> Tampering:
    return sql(
        f"UPDATE journal SET seq = -1 WHERE seq = {one}",
        f"UPDATE journal SET seq = {one} WHERE seq = {other}",
        f"UPDATE journal SET seq = {other} WHERE seq = -1",
    )


def test_what_nobody_touched_is_clean(database: Path) -> None:
    report = fsck(database, vkeys=[SIGNER.vkey])
    assert report == Report(
        entries=ENTRIES,
        sealed=SEALED,
        checkpoints=2,
        bundles=0,
        records=6 + 5 + 1 + 1 + 1,
        signatures_checked=True,
    )
    assert report.clean


def test_without_a_key_it_says_that_signatures_were_not_checked(database: Path) -> None:
    assert not fsck(database).signatures_checked


@pytest.mark.parametrize(
    ("change", "where", "what"),
    [
        pytest.param(
            rewrite(3, b"run_3", b"run_X", rehash=False),
            "journal entry 3",
            "does not have the hash",
            id="a sealed entry is altered",
        ),
        pytest.param(
            rewrite(3, b'"trigger":"manual"', b'"trigger":"forged"', rehash=True),
            "log node 1/1",
            "does not match entries 3 to 4",
            id="a sealed entry is altered with its hash",
        ),
        pytest.param(
            rewrite(13, b"succeeded", b"abandoned", rehash=True),
            "run run_1",
            "differs from what the journal says in: status",
            id="an entry not sealed yet is altered with its hash",
        ),
        pytest.param(
            rewrite(5, b"{", b"[", rehash=True), "journal entry 5", "cannot be read", id="an entry is garbled"
        ),
        pytest.param(
            sql("DELETE FROM journal WHERE seq = 1"),
            "journal entry 1",
            "is missing; entry 2",
            id="the first entry is dropped",
        ),
        pytest.param(
            sql("DELETE FROM journal WHERE seq = 7"),
            "journal entry 7",
            "is missing; entry 8",
            id="an entry is dropped",
        ),
        pytest.param(
            sql("DELETE FROM journal WHERE seq = 14"),
            "run run_2",
            "differs from what the journal says in: status, finished_at",
            id="the newest entry is dropped",
        ),
        pytest.param(
            sql("DELETE FROM journal WHERE seq >= 12"),
            "journal entry 12",
            "a checkpoint covers 12 entries and there are 11",
            id="the journal is cut below a checkpoint",
        ),
        pytest.param(
            swap(2, 5), "journal entry 2", "says of itself that it is entry 5", id="two entries are swapped"
        ),
        pytest.param(
            sql(
                "INSERT INTO journal SELECT 15, at, kind, workflow, run, call, incident, body, leaf FROM journal WHERE seq = 2"
            ),
            "journal entry 15",
            "says of itself that it is entry 2",
            id="an entry is there twice",
        ),
        pytest.param(
            sql(
                "UPDATE journal SET seq = -2 WHERE seq = 2",
                "UPDATE journal SET seq = 2 WHERE seq = 3",
                "UPDATE journal SET seq = 3 WHERE seq = 4",
                "UPDATE journal SET seq = 4 WHERE seq = -2",
            ),
            "journal entry 2",
            "says of itself that it is entry 3",
            id="entries are put into another order",
        ),
        pytest.param(
            sql("UPDATE journal SET at = at + 1 WHERE seq = 4"),
            "journal entry 4",
            "is indexed under at",
            id="an entry is given another time in the index",
        ),
        pytest.param(
            sql("UPDATE journal SET run = 'run_9' WHERE seq = 4"),
            "journal entry 4",
            "is indexed under run 'run_9'",
            id="an entry is hidden from its run",
        ),
        *(
            pytest.param(
                sql(f"UPDATE journal SET {column} = 'another' WHERE seq = 4"),
                "journal entry 4",
                f"is indexed under {column} 'another'",
                id=f"the {column} of an entry is another one in the index",
            )
            for column in ("kind", "workflow", "call", "incident")
        ),
        pytest.param(
            sql("UPDATE journal SET workflow = NULL WHERE seq = 4"),
            "journal entry 4",
            "is indexed under workflow None",
            id="an entry is hidden from its workflow",
        ),
        pytest.param(
            sql("UPDATE journal SET leaf = zeroblob(32) WHERE seq = 4"),
            "journal entry 4",
            "does not have the hash",
            id="an entry's hash is altered",
        ),
        pytest.param(
            sql("UPDATE merkle_node SET hash = zeroblob(32) WHERE level = 2 AND position = 1"),
            "log node 2/1",
            "does not match entries 5 to 8",
            id="a node is altered",
        ),
        pytest.param(
            sql("DELETE FROM merkle_node WHERE level = 3"),
            "log node 3/0",
            "is missing; it covers entries 1 to 8",
            id="a node is dropped",
        ),
        pytest.param(
            sql("INSERT INTO merkle_node VALUES (1, 6, zeroblob(32))"),
            "log node 1/6",
            "entries that are not there",
            id="a node is invented",
        ),
        pytest.param(
            sql("UPDATE checkpoint SET root = zeroblob(32) WHERE size = 6"),
            "checkpoint of 6 entries",
            "another state of the log",
            id="a checkpoint's root is altered",
        ),
        pytest.param(
            sql("UPDATE checkpoint SET note = replace(note, '6', '5') WHERE size = 6"),
            "checkpoint of 6 entries",
            "does not verify",
            id="a checkpoint's text is altered",
        ),
        pytest.param(
            sql("DELETE FROM checkpoint WHERE size = 12"),
            "log node 1/3",
            "entries that are not there",
            id="the newest checkpoint is dropped",
        ),
        pytest.param(
            sql(
                "UPDATE run SET record = replace(CAST(record AS TEXT), 'manual', 'forged') WHERE id = 'run_4'"
            ),
            "run run_4",
            "differs from what the journal says in: trigger",
            id="a record is altered",
        ),
        pytest.param(
            sql("UPDATE hold SET active = 0"),
            "hold hold_1",
            "is indexed under active False instead of True",
            id="a hold is hidden from the permits",
        ),
        pytest.param(
            sql("UPDATE run SET record = 'nonsense' WHERE id = 'run_4'"),
            "run run_4",
            "cannot be read",
            id="a record is garbled",
        ),
        pytest.param(
            sql("UPDATE journal SET body = replace(body, '2026', '2027') WHERE seq = 3"),
            "journal entry 3",
            "does not have the hash",
            id="an entry's bytes become text",
        ),
        pytest.param(
            sql("UPDATE journal SET at = 'yesterday' WHERE seq = 3"),
            "journal entry 3",
            "holds text under at",
            id="an entry's time becomes text",
        ),
        pytest.param(
            sql("UPDATE checkpoint SET note = x'ff' WHERE size = 6"),
            "checkpoint 6",
            "holds blob under note",
            id="a checkpoint's text becomes bytes",
        ),
        pytest.param(
            sql("UPDATE run SET record = 5 WHERE id = 'run_4'"),
            "run run_4",
            "holds integer under record",
            id="a record becomes a number",
        ),
        pytest.param(
            sql("UPDATE journal SET at = 9000000000000000000 WHERE seq = 3"),
            "journal entry 3",
            "is indexed under at",
            id="a time that no calendar has",
        ),
        pytest.param(
            lambda connection: _ignore(connection.execute("DROP TABLE hold")),
            "table hold",
            "is missing",
            id="a table is dropped",
        ),
        pytest.param(
            lambda connection: _ignore(connection.execute("ALTER TABLE journal RENAME leaf TO loaf")),
            "table journal",
            "has no leaf",
            id="a column is renamed",
        ),
        pytest.param(
            sql("UPDATE run SET started_at = 9000000000000000000"),
            "run run_1",
            "holds another number under started_at",
            id="a record's time that no calendar has",
        ),
        pytest.param(
            sql("UPDATE hold SET active = 2"),
            "hold hold_1",
            "holds another number under active",
            id="a hold that nobody finds any more",
        ),
        pytest.param(
            lambda connection: _ignore(
                connection.execute("CREATE TRIGGER quiet AFTER INSERT ON hold BEGIN DELETE FROM hold; END")
            ),
            "trigger quiet",
            "is none of Stopwork's",
            id="something that acts by itself",
        ),
        pytest.param(
            lambda connection: _ignore(connection.execute("CREATE VIEW holds AS SELECT * FROM hold")),
            "view holds",
            "is none of Stopwork's",
            id="a view",
        ),
        pytest.param(
            sql("INSERT INTO duty (name, position, state, error) VALUES ('detectors', 1000, x'', '')"),
            "duty detectors",
            "has read up to entry 1000, and there are 14",
            id="a detector that would never read again",
        ),
        pytest.param(sql("DELETE FROM hold"), "hold hold_1", "is missing", id="a record is dropped"),
        pytest.param(
            sql(
                "INSERT INTO run (id, workflow, started_at, status, trigger_id, record) "
                "SELECT 'run_0', workflow, started_at, status, trigger_id, record FROM run WHERE id = 'run_1'"
            ),
            "run run_0",
            "is not in the journal",
            id="a record is invented",
        ),
    ],
)
def test_a_change_is_found_and_named(database: Path, change: Tampering, where: str, what: str) -> None:
    report = tampered(database, change)
    assert not report.clean
    first = report.faults[0]
    assert (first.where, what in first.what) == (where, True), first


@pytest.mark.parametrize("seq", range(1, ENTRIES + 1))
def test_no_entry_can_be_altered(database: Path, seq: int) -> None:
    report = tampered(database, rewrite(seq, b'"at":"2026', b'"at":"2025', rehash=False))
    assert report.faults[0].where == f"journal entry {seq}"


@pytest.mark.parametrize("seq", range(1, SEALED + 1))
def test_no_sealed_entry_can_be_altered_together_with_all_that_follows_from_it(
    database: Path, seq: int
) -> None:
    report = tampered(database, rewrite(seq, b'"id":"stopwork"', b'"id":"somebody"', rehash=True))
    about_the_log = [fault for fault in report.faults if fault.where.startswith(("log node", "checkpoint"))]
    assert about_the_log


def test_the_log_alone_can_be_compared_without_the_records(database: Path) -> None:
    whole = fsck(database, vkeys=[SIGNER.vkey], log_only=True)
    assert (whole.clean, whole.entries, whole.records) == (True, ENTRIES, 0)
    tampered(database, rewrite(3, b'"trigger":"manual"', b'"trigger":"forged"', rehash=True))
    found = fsck(database, vkeys=[SIGNER.vkey], log_only=True)
    assert found.faults[0].where == "log node 1/1"


def test_a_checkpoint_by_another_key_does_not_count(database: Path) -> None:
    report = fsck(database, vkeys=[STRANGER.vkey])
    assert [fault.where for fault in report.faults] == ["checkpoint of 6 entries", "checkpoint of 12 entries"]


def test_an_older_copy_put_back_is_found_by_whoever_kept_a_later_checkpoint(
    database: Path, tmp_path: Path
) -> None:
    """Alone an older copy is a true state of the log; with a newer checkpoint beside it, it is not."""
    older = tmp_path / "older.db"
    backup(database, older)
    with Store.open(database, clock=ManualClock(START)) as store:
        assert seal(store, SIGNER) == ENTRIES
        note = store.read(lambda view: view.checkpoint_at(ENTRIES))
    kept = "INSERT INTO checkpoint (size, root, note, at) VALUES (20, zeroblob(32), ?, 0)"
    report = tampered(older, lambda connection: _ignore(connection.execute(kept, (note,))))
    assert report.faults[0].where == f"journal entry {ENTRIES + 1}"


def test_a_database_of_another_version_is_not_called_tampered_with(database: Path) -> None:
    with pytest.raises(Unavailable, match="the database has schema 0000") as caught:
        tampered(database, sql("UPDATE alembic_version SET version_num = '0000'"))
    assert "stopwork db upgrade" in caught.value.hint


def test_damage_to_the_file_itself_is_found(database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (page_size,) = connection.execute("PRAGMA page_size").fetchone()
        (page,) = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'journal_kind'"
        ).fetchone()
    with database.open("r+b") as file:
        file.seek((page - 1) * page_size)
        file.write(os.urandom(page_size))
    assert fsck(database).faults[0].where == "database file"


def test_what_is_no_database_cannot_be_checked(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="there is no database"):
        fsck(tmp_path / "nothing.db")
    (tmp_path / "noise.db").write_bytes(os.urandom(8192))
    with pytest.raises(Unavailable, match="cannot be read") as caught:
        fsck(tmp_path / "noise.db")
    assert caught.value.hint


def test_a_store_in_use_can_be_checked(original: Path, tmp_path: Path) -> None:
    database = Path(copytree(original, tmp_path / "copy")) / "test.db"
    with Store.open(database, clock=ManualClock(START)) as store:
        store.write(recording(run_started("run_7")))
        assert fsck(database, vkeys=[SIGNER.vkey]).entries == ENTRIES + 1


def _ignore(_result: object) -> None:
    return None
