"""``python -m benchmarks`` (`make bench`): the hot paths on this machine, each beside a yardstick of the same run.

Absolute times say something about a machine, ratios about the code. A yardstick is the least that could be done in its place: the
same durable commit, the same digest, with nothing around it.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Final

from stopwork import Stopwork
from stopwork.control.protocol import AskPermit, StartRun
from stopwork.kernel.canonical import canonical_bytes
from stopwork.ledger.merkle import MemoryNodes, Tree
from stopwork.ledger.records import Principal, Scope
from stopwork.ledger.words import PrincipalKind, ScopeKind
from stopwork.operations import holds
from stopwork.operations.installation import Installation
from stopwork.sdk.embedded import LocalDesk

SAMPLES: Final = 300
WARM_UP: Final = 30
WRITERS: Final = 16

MANIFEST: Final = """
workflow: bench
owners: {business: dana@acme.test, technical: lee@acme.test}
triggers: [manual]
tools:
  crm.read: {effect: read}
  crm.update:
    effect: update
    object: {system: crm, type: account, id: args.id}
    deny_when: args.amount > 1000.0
  crm.other: {effect: update}
"""
DANA: Final = Principal(kind=PrincipalKind.PERSON, id="dana@acme.test")
LEE: Final = Principal(kind=PrincipalKind.PERSON, id="lee@acme.test")
ENTRY: Final = {f"field {number}": ["some text", number, None, {"nested": True}] for number in range(12)}


def main() -> None:
    """Measure everything and print one line each."""
    with tempfile.TemporaryDirectory(prefix="stopwork-bench-") as folder:
        for name, own_us, yardstick, its_us in _measured(Path(folder)):
            print(
                f"{name:<44} {own_us:>9.1f} µs   {own_us / its_us:>6.1f} times {yardstick} ({its_us:.1f} µs)"
            )


def _measured(folder: Path) -> Iterator[tuple[str, float, str, float]]:
    commit = "one durable commit"
    commit_us = _median_us(_bare_commit(folder))
    (folder / "stopwork.yaml").write_text(MANIFEST, encoding="utf-8")
    desk = LocalDesk(Installation.open(folder / "installation"))  # its background duties are not started
    with desk.installation:
        desk.apply(folder / "stopwork.yaml")
        guard = Stopwork.at(desk)
        desk.send(StartRun(run="run_permits", workflow="bench", trigger="manual", trigger_id="permits"))
        numbers = count()

        def permit() -> None:
            number = next(numbers)
            args = {"id": str(number), "amount": 12.5}
            desk.send(AskPermit(call=f"call_{number}", run="run_permits", tool="crm.update", args=args))

        def pause() -> None:
            scope = Scope(kind=ScopeKind.TOOL, name="crm.other", workflow="bench")
            hold = desk.installation.store.write(
                lambda tx: holds.pause(tx, scope=scope, reason="bench"), actor=DANA
            ).hold
            desk.installation.store.write(lambda tx: holds.lift(tx, hold=hold.id, reason="bench"), actor=LEE)

        yield "permit, durable", _median_us(permit), commit, commit_us
        yield f"permit, {WRITERS} at once, each", _each_us(permit), commit, commit_us
        with guard.run("bench"):
            read = guard.tool("crm.read")(lambda: None)
            write = guard.tool("crm.update")(_nothing)
            yield "guarded read: permit, outcome", _median_us(read), commit, commit_us
            written = _median_us(lambda: write(id=str(next(numbers)), amount=12.5))
            yield "guarded write: permit, attempt, outcome", written, commit, commit_us
        yield "pause and lift", _median_us(pause), commit, commit_us

    plain_us = _median_us(lambda: json.dumps(ENTRY, sort_keys=True, separators=(",", ":")).encode())
    yield "canonical bytes of an entry", _median_us(lambda: canonical_bytes(ENTRY)), "json.dumps", plain_us

    tree, leaf = Tree(MemoryNodes()), hashlib.sha256(b"leaf").digest()
    hash_us = _median_us(lambda: hashlib.sha256(leaf + leaf).digest())
    yield "append to the Merkle log", _median_us(lambda: tree.append(leaf)), "one hash", hash_us


def _bare_commit(folder: Path) -> Callable[[], object]:
    connection = sqlite3.connect(folder / "yardstick.db", isolation_level=None)
    connection.executescript(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE line (body BLOB)"
    )
    return lambda: connection.execute("INSERT INTO line VALUES (?)", (b"x" * 500,))


def _nothing(**_args: str | float) -> None:
    """The tool: what is measured is what stands around it."""


def _median_us(work: Callable[[], object]) -> float:
    for _ in range(WARM_UP):
        work()
    return statistics.median(_timed_s(work) for _ in range(SAMPLES)) * 1e6


def _timed_s(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _each_us(work: Callable[[], object]) -> float:
    """Answer what one costs when many are waiting: commits are shared then."""
    started = time.perf_counter()
    with ThreadPoolExecutor(WRITERS) as pool:
        for done in [pool.submit(work) for _ in range(SAMPLES)]:
            done.result()
    return (time.perf_counter() - started) / SAMPLES * 1e6


if __name__ == "__main__":
    main()
