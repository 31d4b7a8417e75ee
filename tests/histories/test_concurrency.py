"""Contract: agents that make calls of all kinds at once, while people pause, lift and approve, leave a history in which every rule holds,
on each database and on several servers; nobody was told what it does not bear out, and the records are what follows from it.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from stopwork.ledger.events import CallDecided
from stopwork.ledger.words import Verdict
from stopwork.storage.fsck import fsck
from tests.support.databases import POSTGRESQL
from tests.support.history import history_faults
from tests.support.replicas import Replica
from tests.support.servers import Crowd, House
from tests.support.workload import BUSY_MANIFEST, Scene, in_threads

SEED = int(os.environ.get("STOPWORK_TEST_SEED", "20260302"))
AGENTS = 10
FOR_S = 2.5


def test_threads_on_one_server_or_three_keep_to_every_rule(location: str) -> None:
    servers = 3 if location.startswith(POSTGRESQL) else 1
    scene = Scene.of(SEED)
    with Replica.several(servers, partial(Replica.open, location)) as replicas:
        replicas[0].apply(BUSY_MANIFEST)
        in_threads(replicas, scene, agents=AGENTS, for_s=FOR_S)
        store = replicas[-1].store
        assert store.read(partial(history_faults, witness=scene.witness)) == [], f"seed {SEED}"
        assert fsck(store).clean
        decided = store.read(lambda view: view.entries(kinds=("call.decided",), limit=100_000))
    # Otherwise it would show nothing.
    verdicts = {entry.event.verdict for entry in decided if isinstance(entry.event, CallDecided)}
    assert verdicts >= {Verdict.ALLOW, Verdict.DENY, Verdict.WAIT, Verdict.REPLAY}
    assert len(scene.witness.paused) > 3


def test_event_loops_that_ask_real_servers_keep_to_every_rule(location: str, tmp_path: Path) -> None:
    shared = location.startswith(POSTGRESQL)
    house = House(tmp_path / "data", location if shared else None)
    scene = Scene.of(SEED + 1)
    with house.servers(2 if shared else 1) as servers:
        Crowd(servers, house.tokens).play(scene, agents=AGENTS, for_s=FOR_S)
    with house.opened() as installation:
        store = installation.store
        assert store.read(partial(history_faults, witness=scene.witness)) == [], f"seed {SEED + 1}"
        assert fsck(store, vkeys=[installation.signer.vkey]).clean
    assert sum(asked.allowed for asked in scene.witness.asked) > 20
    assert scene.witness.paused
