"""Promise: nobody changes the log unseen, not even who holds the database and the signing key, once a checkpoint lies elsewhere. A database
that was put back is told by the anchors while the server runs, as a signal; and by fsck, with any checkpoint that was kept.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from stopwork.anchors.base import Anchor
from stopwork.anchors.file import FileAnchor
from stopwork.anchors.settings import Anchors
from stopwork.anchors.witness import WitnessAnchor
from stopwork.kernel.clock import Clock, ManualClock
from stopwork.kernel.ids import TimeOrderedIds
from stopwork.ledger.notes import notes_in
from stopwork.ledger.records import Signal
from stopwork.notify.outlet import Outlet
from stopwork.operations import manifests, runs, sealing
from stopwork.operations.installation import DATABASE, Installation
from stopwork.storage.backup import backup
from stopwork.storage.fsck import fsck
from stopwork.worker.crew import Crew
from stopwork.worker.watching import Watching
from tests.support.office import AGENT, LEE, MANIFEST, START, WORKFLOW
from tests.support.places import Place, Witness

EVERY_S = 600.0


class Server:
    """A server that is started again and again on one folder, whose file anchor lies out of its reach."""

    def __init__(self, folder: Path, witness: WitnessAnchor | None = None) -> None:
        self.folder, self.kept, self.clock = folder / "data", folder / "elsewhere.txt", ManualClock(START)
        self._witness = witness

    def opened(self) -> Installation:
        def places(_outlet: Outlet, _clock: Clock) -> tuple[Anchor, ...]:
            file = FileAnchor("disk", self.kept, every_s=EVERY_S)
            return (file, self._witness) if self._witness else (file,)

        anchors: Anchors = places
        ids = TimeOrderedIds(self.clock)
        return Installation.open(self.folder, clock=self.clock, ids=ids, anchors=anchors)

    def work(self, *, first_run: int, count: int) -> None:
        """Start some runs, seal them and let the anchors keep that."""
        with self.opened() as installation:
            begin(installation, range(first_run, first_run + count))
            self.anchor(installation)

    def anchor(self, installation: Installation) -> list[str]:
        """Let a period pass; answer which anchors fail, and what they say."""
        self.clock.advance(timedelta(seconds=EVERY_S + 1))
        sealing.seal(installation.store, installation.signer)
        crew = Crew(installation)
        crew.anchoring.look()
        Watching(installation.store, crew.health).look()
        return [each.error for each in crew.health() if each.name.startswith("anchor ") and each.error]

    def declare(self) -> None:
        with self.opened() as installation:
            installation.store.write(
                lambda tx: manifests.apply(tx, MANIFEST, reason="the first version"), actor=LEE
            )

    def put_back(self, copy: Path) -> None:
        for rest in self.folder.glob(f"{DATABASE}*"):
            rest.unlink()
        shutil.copy(copy, self.folder / DATABASE)


def begin(installation: Installation, numbers: Iterable[int]) -> None:
    """Start one run for each number."""
    for number in numbers:
        start = partial(
            runs.start,
            manifests=installation.manifests,
            workflow=WORKFLOW,
            trigger="manual",
            trigger_id=f"{number}",
        )
        installation.store.write(start, actor=AGENT)


@pytest.fixture
def server(tmp_path: Path) -> Server:
    made = Server(tmp_path)
    made.declare()
    return made


def test_a_log_that_only_grows_is_well_with_all_its_anchors(server: Server) -> None:
    for number in range(3):
        server.work(first_run=3 * number, count=3)
    with server.opened() as installation:
        assert server.anchor(installation) == []
    assert len(notes_in(server.kept.read_text())) == 4


@pytest.mark.parametrize("since", [0, 20], ids=["shorter than it was", "grown past it again"])
def test_a_database_that_was_put_back_is_a_signal(server: Server, tmp_path: Path, since: int) -> None:
    server.work(first_run=0, count=3)
    backup(server.folder / DATABASE, tmp_path / "copy.db")
    server.work(first_run=3, count=3)
    server.put_back(tmp_path / "copy.db")

    with server.opened() as installation:
        store = installation.store
        begin(installation, range(100, 100 + since))
        [error] = server.anchor(installation)
        assert error.startswith("Tampered: ")
        assert ("other ones now" if since else "the database was put back") in error
        [signal] = [
            each for each in store.read(lambda view: view.find(Signal, limit=9)) if "anchor disk" in each.key
        ]
        assert "Tampered" in signal.summary

        kept = notes_in(server.kept.read_text())
        assert fsck(store, vkeys=[installation.signer.vkey]).clean, "by itself nothing is wrong with it"
        (fault,) = fsck(store, vkeys=[installation.signer.vkey], kept={"disk": kept}).faults
        assert fault.where.startswith("journal entr")


def test_a_witness_signs_no_other_history(server: Server, tmp_path: Path) -> None:
    with server.opened() as installation:
        key = installation.signer.vkey
    witness = Witness(key, now_s=int(START.timestamp()))
    with Place(witness.answer) as place:
        watched = Server(tmp_path, WitnessAnchor("witness", place.url, witness.key.vkey, every_s=EVERY_S))
        watched.work(first_run=0, count=3)
        seen = witness.seen
        assert seen.size > 0
        backup(server.folder / DATABASE, tmp_path / "copy.db")
        watched.work(first_run=3, count=3)
        assert witness.seen.size > seen.size
        watched.put_back(tmp_path / "copy.db")
        with watched.opened() as installation:
            errors = watched.anchor(installation)
        assert [error.partition(":")[0] for error in errors] == ["Tampered", "Tampered"]
