"""Contract of a backup: one consistent state while others write, complete or not there at all, and good to go on with."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from stopwork.kernel.errors import Conflict, Unavailable
from stopwork.ledger.events import Entry
from stopwork.ledger.records import Run, Step
from stopwork.storage.backup import backup
from stopwork.storage.fsck import fsck
from stopwork.storage.store import Store
from stopwork.storage.transaction import Tx
from tests.support.told import recording, run_started, stepped


def both(n: int) -> Callable[[Tx], Entry]:
    return recording(run_started(f"run_{n}"), stepped(f"step_{n}", f"run_{n}"))


def test_a_copy_made_while_others_write_is_one_moment_and_can_be_gone_on_with(tmp_path: Path) -> None:
    database = tmp_path / "live.db"
    stop = threading.Event()
    with Store.open(database) as store:

        def write() -> None:
            n = 0
            while not stop.is_set():
                n += 1
                store.write(both(n))

        writer = threading.Thread(target=write)
        writer.start()
        try:
            sizes = []
            for n in range(3):
                store.wait_beyond(store.last_seq + 5, timeout_s=10)
                known = store.last_seq
                backup(database, tmp_path / f"copy-{n}.db")
                sizes.append((known, fsck(tmp_path / f"copy-{n}.db")))
        finally:
            stop.set()
            writer.join()

    assert all(report.clean and report.entries >= known for known, report in sizes)
    with Store.open(tmp_path / "copy-2.db") as restored:
        before = restored.last_seq
        assert restored.read(lambda view: view.count(Run)) == restored.read(lambda view: view.count(Step))
        restored.write(both(10**6))
        assert restored.last_seq == before + 2


def test_a_backup_overwrites_nothing_and_leaves_nothing_unfinished(tmp_path: Path) -> None:
    database = tmp_path / "live.db"
    Store.open(database).close()
    (tmp_path / "there.db").write_text("something else")
    with pytest.raises(Conflict, match="exists already"):
        backup(database, tmp_path / "there.db")
    assert (tmp_path / "there.db").read_text() == "something else"
    with pytest.raises(Unavailable, match="there is no database"):
        backup(tmp_path / "nothing.db", tmp_path / "copy.db")
    with pytest.raises(Unavailable) as caught:
        backup(database, tmp_path / "no-folder" / "copy.db")
    assert caught.value.hint
    assert sorted(each.name for each in tmp_path.iterdir() if "copy" in each.name) == []


def test_what_is_no_database_is_not_backed_up(tmp_path: Path) -> None:
    (tmp_path / "noise.db").write_bytes(os.urandom(8192))
    with pytest.raises(Unavailable, match="cannot be read"):
        backup(tmp_path / "noise.db", tmp_path / "copy.db")
    assert not (tmp_path / "copy.db").exists()
