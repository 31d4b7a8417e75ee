"""Whatever the moment at which a server dies: every write that was acknowledged is there, the journal has no gap, the records are what
follows from it, and the next process goes on.
"""

from __future__ import annotations

import os
import random
import time
from functools import partial
from pathlib import Path

from stopwork.ledger.records import Call
from stopwork.ledger.words import Outcome
from stopwork.operations.installation import Installation
from stopwork.storage.fsck import fsck
from tests.support.doomed import acknowledged, doomed, hammer, wait_for

ROUNDS = 20
THREADS = 4
LONGEST_LIFE_S = 0.1


def test_a_server_killed_at_random_moments_loses_nothing_it_has_acknowledged(tmp_path: Path) -> None:
    seed = int(os.environ.get("STOPWORK_TEST_SEED", "20260302"))
    moments = random.Random(seed)
    for number in range(ROUNDS):
        known = len(acknowledged(tmp_path))
        life_s = moments.uniform(0, LONGEST_LIFE_S)
        with doomed(hammer, tmp_path, THREADS) as server:
            wait_for(partial(has_acknowledged_more, tmp_path, known), server)
            time.sleep(life_s)
            server.kill()
            server.join(10)

        where = f"round {number} of seed {seed}, killed {life_s:.3f} s after its first answer"
        told = acknowledged(tmp_path)
        with Installation.open(tmp_path / "data") as inst:
            calls = {call.id: call for call in inst.store.read(lambda view: list(view.each(Call)))}
            lost = [
                call for call in told if call not in calls or calls[call].outcome is not Outcome.SUCCEEDED
            ]
            assert lost == [], where
            report = fsck(inst.store, vkeys=[inst.signer.vkey])
            assert report.faults == (), where
            entries = inst.store.read(lambda view: view.last_seq())
            assert report.entries == entries, where
    assert len(acknowledged(tmp_path)) > ROUNDS


def has_acknowledged_more(folder: Path, known: int) -> bool:
    return len(acknowledged(folder)) > known
