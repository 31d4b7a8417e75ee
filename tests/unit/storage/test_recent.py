"""Contract of what is at hand of the journal: the very entries that the journal holds, without a gap, or nothing."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from stopwork.kernel.errors import Conflict
from stopwork.ledger.events import DutyFailed
from stopwork.storage.news import MAX_RECENT_BYTES
from stopwork.storage.store import Store
from stopwork.storage.transaction import Tx
from stopwork.storage.view import View


def failing(tx: Tx, errors: tuple[str, ...]) -> None:
    for error in errors:
        tx.record(DutyFailed(duty="sealer", error=error))


def test_entries_at_hand_are_those_of_the_journal(tmp_path: Path) -> None:
    with Store.open(tmp_path / "state.db") as store:
        begin = store.last_seq
        for number in range(5):
            store.write(partial(failing, errors=(f"{number} a", f"{number} b")))
        written = store.read(lambda view: view.entries(after=begin))
        assert len(written) == 10
        assert store.recent(after=begin, limit=100) == written
        assert store.recent(after=begin + 3, limit=4) == written[3:7]
        assert store.recent(after=store.last_seq, limit=4) == []


def test_what_was_written_before_the_store_was_opened_is_not_at_hand(tmp_path: Path) -> None:
    with Store.open(tmp_path / "state.db") as store:
        store.write(lambda tx: failing(tx, ("before",)))
    with Store.open(tmp_path / "state.db") as store:
        known = store.last_seq
        store.write(lambda tx: failing(tx, ("after",)))
        assert store.recent(after=known - 1, limit=10) is None
        assert store.recent(after=known, limit=10) == store.read(lambda view: view.entries(after=known))


def test_nothing_that_was_taken_back_is_at_hand(tmp_path: Path) -> None:
    def refused(tx: Tx) -> None:
        failing(tx, ("never",))
        raise Conflict("no", hint="Never.")

    with Store.open(tmp_path / "state.db") as store:
        begin = store.last_seq
        store.write(lambda tx: failing(tx, ("first",)))
        with pytest.raises(Conflict):
            store.write(refused)
        store.write(lambda tx: failing(tx, ("second",)))
        assert store.recent(after=begin, limit=10) == store.read(lambda view: view.entries(after=begin))


def test_so_much_is_kept_at_hand_and_no_more(tmp_path: Path) -> None:
    with Store.open(tmp_path / "state.db") as store:
        begin = store.last_seq
        for _ in range(5):
            store.write(lambda tx: failing(tx, ("x" * (MAX_RECENT_BYTES // 4),)))
        assert store.recent(after=begin, limit=10) is None
        assert store.recent(after=store.read(View.last_seq) - 3, limit=10) is not None
