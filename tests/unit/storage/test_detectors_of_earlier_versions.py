"""Contract: what detectors remembered under an earlier version is remembered by this one, and how far they had come is known."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from stopwork.storage.store import Store
from stopwork.worker.detection import DUTY, STATES
from stopwork.worker.duty import position
from tests.support import earlier

REMEMBERED = b'{"cost":{}}'


def test_the_states_move_to_a_place_of_their_own(tmp_path: Path) -> None:
    older = tmp_path / "older.db"
    earlier.make(older, version="0019")
    with closing(sqlite3.connect(older)) as database, database:
        database.execute(
            "INSERT INTO duty (name, position, state, error) VALUES (?, 7, ?, '')", (DUTY, REMEMBERED)
        )
    with Store.open(older) as store:
        assert store.read(lambda view: position(view, DUTY)) == (7, b"")
        assert store.read(lambda view: position(view, STATES)) == (7, REMEMBERED)


def test_where_nothing_was_ever_watched_nothing_is_remembered(tmp_path: Path) -> None:
    older = tmp_path / "older.db"
    earlier.make(older, version="0019")
    with Store.open(older) as store:
        assert store.read(lambda view: position(view, STATES)) == (0, b"")
