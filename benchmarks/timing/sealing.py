"""How many entries a second the sealer covers with a signed checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from benchmarks.timing.figures import Figure, Round, timed_ms
from benchmarks.timing.workflow import AGENT, WORKFLOW, open_installation
from benchmarks.timing.yardsticks import BareDatabase
from stopwork.ledger.words import StepKind
from stopwork.operations import runs, sealing
from stopwork.storage.transaction import Tx

ROUNDS: Final = 5
ENTRIES: Final = 2_000
HASH_BYTES: Final = 32


def measure(folder: Path, bare: BareDatabase) -> list[Figure]:
    """Answer the sealing rate beside that of writing one hash an entry."""
    rounds = []
    with open_installation(folder / "sealed") as installation:
        store = installation.store
        store.write(
            lambda tx: runs.start(tx, installation.manifests, workflow=WORKFLOW, trigger="manual", run="run"),
            actor=AGENT,
        )
        sealing.seal(store, installation.signer)
        for _ in range(ROUNDS):
            store.write(_steps, actor=AGENT)
            own = ENTRIES / timed_ms(lambda: sealing.seal(store, installation.signer)) * 1e3
            rounds.append(Round(own, bare.rows_per_s(ENTRIES, HASH_BYTES)))
    return [
        Figure(
            name="journal entries sealed",
            unit="/s",
            yardstick="one hash an entry written, one commit",
            rounds=tuple(rounds),
        )
    ]


def _steps(tx: Tx) -> None:
    for number in range(ENTRIES):
        runs.step(tx, run="run", kind=StepKind.MESSAGE, name=f"step {number}")
