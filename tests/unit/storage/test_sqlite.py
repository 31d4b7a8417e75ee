"""Contract of the store on SQLite alone: jobs that wait together share a commit, and one process owns the file."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from stopwork.kernel.errors import Conflict
from stopwork.storage.database import MAX_BATCH
from stopwork.storage.store import Store
from stopwork.storage.transaction import Tx
from tests.support.told import recording, run_started


def test_jobs_that_wait_together_become_durable_together(tmp_path: Path) -> None:
    announced: list[int] = []
    entered, released = threading.Event(), threading.Event()

    def hold(_tx: Tx) -> None:
        entered.set()
        released.wait(10)

    with Store.open(tmp_path / "test.db") as store, store.listening(announced.append):
        gate = store.submit(hold)
        entered.wait(10)
        futures = [store.submit(recording(run_started(f"run_{n}"))) for n in range(MAX_BATCH // 2)]
        released.set()
        gate.result(10)
        for future in futures:
            future.result(10)
    assert announced == [MAX_BATCH // 2]


def test_a_file_has_one_owner(tmp_path: Path) -> None:
    with Store.open(tmp_path / "test.db"), pytest.raises(Conflict, match="is in use by process"):
        Store.open(tmp_path / "test.db")
    Store.open(tmp_path / "test.db").close()
