"""The evidence log: how many entries a second are sealed and verified, what a proof costs, and how long an entry waits for its seal.

The yardstick is the least that a log in SQLite costs (RFC 6962): each entry is hashed, it and every node above that it completes is a row,
and 1,000 entries are one durable commit; to verify it, the rows are read, hashed again and compared, and the root is made anew.
"""

from __future__ import annotations

import hashlib
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from benchmarks.timing.figures import Figure, Round, percentile, timed_ms
from benchmarks.timing.workflow import AGENT, WORKFLOW, open_installation
from benchmarks.timing.yardsticks import BareDatabase
from stopwork.ledger.merkle import Tree, leaf_hash, verify_inclusion
from stopwork.ledger.words import StepKind
from stopwork.operations import runs, sealing
from stopwork.operations.installation import DATABASE, Installation
from stopwork.storage.fsck import fsck
from stopwork.storage.tables import checkpoint
from stopwork.storage.transaction import Tx
from stopwork.storage.view import View
from stopwork.worker.crew import Crew

ROUNDS: Final = 5
ENTRIES: Final = 20_000
A_COMMIT: Final = 1_000
PROOFS: Final = 2_000
BUSY_FOR_S: Final = 20.0
BUSY_ENTRIES_PER_S: Final = 3_000
BUSY_AT_ONCE: Final = 30


def measure(folder: Path, _bare: BareDatabase) -> list[Figure]:
    """Answer the rates beside those of the plain log, the cost of a proof, and the wait for a seal."""
    sealed, verified, proofs_us = [], [], []
    with open_installation(folder / "sealed") as installation:
        _begin(installation)
        for number in range(ROUNDS):
            for _ in range(ENTRIES // A_COMMIT):
                installation.store.write(partial(_steps, count=A_COMMIT), actor=AGENT)
            own = _rate(lambda: sealing.seal(installation.store, installation.signer), ENTRIES)
            with closing(_PlainLog(folder / f"plain-{number}.db", _bodies(installation))) as plain:
                sealed.append(Round(own, _rate(plain.append, ENTRIES)))
                plain_verified = _rate(plain.verify, ENTRIES)
            entries = installation.store.last_seq
            own = _rate(partial(_verify, folder / "sealed" / DATABASE, installation.signer.vkey), entries)
            verified.append(Round(own, plain_verified))
            proofs_us.append(Round(_proof_us(installation)))
    return [
        Figure(
            name="journal entries sealed",
            unit="/s",
            yardstick=f"plain RFC 6962 log in SQLite, {A_COMMIT:,} a commit",
            rounds=tuple(sealed),
            aim="≥ 0.4",
        ),
        Figure(
            name="journal entries verified, with every column (db fsck --log)",
            unit="/s",
            yardstick="plain RFC 6962 log in SQLite, read and compared",
            rounds=tuple(verified),
            aim="≥ 0.5",
        ),
        Figure(name="a proof of inclusion made and checked", unit="µs", rounds=tuple(proofs_us), aim="≤ 100"),
        *_waits(folder),
    ]


def _begin(installation: Installation) -> None:
    begin = partial(
        runs.start, manifests=installation.manifests, workflow=WORKFLOW, trigger="manual", run="run"
    )
    installation.store.write(begin, actor=AGENT)
    sealing.seal(installation.store, installation.signer)


def _steps(tx: Tx, *, count: int) -> None:
    for number in range(count):
        runs.step(tx, run="run", kind=StepKind.MESSAGE, name=f"step {number}")


def _bodies(installation: Installation) -> list[bytes]:
    last = installation.store.last_seq
    return [
        row.body
        for row in installation.store.read(lambda view: view.stored(after=last - ENTRIES, limit=ENTRIES))
    ]


def _rate(work: Callable[[], object], entries: int) -> float:
    return entries / timed_ms(work) * 1e3


def _verify(database: Path, vkey: str) -> None:
    if not fsck(database, vkeys=[vkey], log_only=True).clean:
        raise RuntimeError("the log does not verify")


def _proof_us(installation: Installation) -> float:
    """Answer the median time in which one proof of a random entry is made from what is stored, and checked."""

    def some(view: View) -> float:
        size, note = view.checkpoint() or (0, "")
        root = Tree(sealing.StoredNodes(view), size).root()
        prove = sealing.prover(view, size)
        times = []
        for index in random.Random(size).sample(range(size), PROOFS):
            leaf = view.node(0, index) or b""
            started = time.perf_counter()
            if not verify_inclusion(index, size, leaf, prove(index), root):
                raise RuntimeError(f"the proof of {index} under {note} does not verify")
            times.append((time.perf_counter() - started) * 1e6)
        return percentile(times, 0.5)

    return installation.store.read(some)


class _PlainLog:
    """A log as plain as can be over entries that are there: a row for every node."""

    def __init__(self, path: Path, bodies: list[bytes]) -> None:
        self._bodies = bodies
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.executescript(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE entry (seq INTEGER PRIMARY KEY, body BLOB);"
            "CREATE TABLE node (level INTEGER, position INTEGER, hash BLOB, PRIMARY KEY (level, position))"
        )
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany("INSERT INTO entry VALUES (?, ?)", enumerate(bodies))
        self._connection.execute("COMMIT")

    def append(self) -> None:
        nodes: dict[tuple[int, int], bytes] = {}
        for start in range(0, len(self._bodies), A_COMMIT):
            rows = []
            for position, body in enumerate(self._bodies[start : start + A_COMMIT], start=start):
                completed = list(_completed(nodes, position, body))
                nodes.update(completed)
                rows += [(level, index, node) for (level, index), node in completed]
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany("INSERT INTO node VALUES (?, ?, ?)", rows)
            self._connection.execute("COMMIT")

    def verify(self) -> None:
        """Hash every entry and every node above it anew, and compare each with its row."""
        stored = {
            (level, index): node for level, index, node in self._connection.execute("SELECT * FROM node")
        }
        for position, body in self._connection.execute("SELECT seq, body FROM entry ORDER BY seq"):
            for place, node in _completed(stored, position, body):
                if stored[place] != node:
                    raise RuntimeError(f"node {place} differs")

    def close(self) -> None:
        self._connection.close()


def _completed(
    nodes: dict[tuple[int, int], bytes], position: int, body: bytes
) -> Iterator[tuple[tuple[int, int], bytes]]:
    """Yield the leaf of an entry and every node above that it completes."""
    level, index, node = 0, position, leaf_hash(body)
    yield (level, index), node
    while index & 1:
        node = hashlib.sha256(b"\x01" + nodes[level, index - 1] + node).digest()
        level, index = level + 1, index >> 1
        yield (level, index), node


# --- how long an entry waits ---------------------------------------------------------------------------------


def _waits(folder: Path) -> list[Figure]:
    """Answer how long entries waited for a stored checkpoint, while they came at a steady rate and every duty ran."""
    with open_installation(folder / "waits") as installation:
        _begin(installation)
        crew = Crew(installation)
        crew.start()
        began = time.perf_counter()
        _write_steadily(installation)
        rate = installation.store.last_seq / (time.perf_counter() - began)
        time.sleep(2 * crew.duties[0].period_s)
        crew.stop()
        waits_s = installation.store.read(_waited_s)
    name = f"entry committed → covered by a stored checkpoint, {rate:,.0f} entries/s"
    return [
        Figure(name=f"{name}, {label}", unit="s", rounds=(Round(percentile(waits_s, share)),), aim=aim)
        for label, share, aim in (("p50", 0.5, ""), ("p99", 0.99, "≤ 2"))
    ]


def _write_steadily(installation: Installation) -> None:
    every_s = BUSY_AT_ONCE / BUSY_ENTRIES_PER_S
    began = time.perf_counter()
    pause = threading.Event()
    for number in range(int(BUSY_FOR_S / every_s)):
        installation.store.submit(partial(_steps, count=BUSY_AT_ONCE), actor=AGENT)
        pause.wait(max(0.0, began + (number + 1) * every_s - time.perf_counter()))
    installation.store.write(partial(_steps, count=1), actor=AGENT)


def _waited_s(view: View) -> list[float]:
    """Answer for each entry how much later the first checkpoint that covers it was stored; both are dated by their transaction."""
    found = view.execute(sa.select(checkpoint).order_by(checkpoint.c.size)).all()
    waited, at = [], 0
    for entry in view.entries(after=found[0].size, limit=100_000):
        while at < len(found) and found[at].size < entry.seq:
            at += 1
        if at < len(found):
            waited.append((found[at].at - entry.at).total_seconds())
    return waited
