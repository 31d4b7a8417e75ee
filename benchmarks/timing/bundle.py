"""A large incident preserved: how long its bundle takes to write and to verify, and how much memory that needs.

Writing and verifying run in processes of their own, so that the memory is theirs alone.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any, Final

from benchmarks.timing.figures import Figure, Round
from benchmarks.timing.workflow import AGENT, LEE, WORKFLOW, WRITE, arguments, open_installation
from benchmarks.timing.yardsticks import BareDatabase
from stopwork.ledger.records import Captured, Image, ObjectRef, Observed
from stopwork.ledger.verify import verify_bundle
from stopwork.ledger.words import IncidentType, Operation, Outcome
from stopwork.operations import attaching, evidence, incidents, outcomes, permits, runs
from stopwork.operations.installation import EVIDENCE, Installation
from stopwork.storage.transaction import Tx

CALLS: Final = 10_000
CALLS_A_COMMIT: Final = 50
BLOBS: Final = 64
BLOB_BYTES: Final = 16 * 1024**2


def measure(folder: Path, _bare: BareDatabase) -> list[Figure]:
    """Answer time and peak memory of writing and of verifying one bundle of 10,000 calls and 1 GiB of content."""
    place = folder / "bundle"
    incident = _made(place)
    sealed = _in_a_process("seal", str(place), incident)
    verified = _in_a_process("verify", str(place / EVIDENCE / sealed["path"]))
    what = f"bundle of {CALLS:,} calls and {BLOBS * BLOB_BYTES / 1024**3:.0f} GiB of content"
    return [
        Figure(name=f"{what}: sealed", unit="s", rounds=(Round(sealed["s"]),)),
        Figure(
            name="peak memory of the server process", unit="MB", rounds=(Round(sealed["mb"]),), aim="≤ 300"
        ),
        Figure(name="verified by what travels in it", unit="s", rounds=(Round(verified["s"]),)),
        Figure(name="peak memory of the verifier", unit="MB", rounds=(Round(verified["mb"]),), aim="≤ 300"),
    ]


def _made(place: Path) -> str:
    with open_installation(place) as installation:
        store = installation.store
        begun = store.write(
            lambda tx: runs.start(
                tx, installation.manifests, workflow=WORKFLOW, trigger="manual", trigger_id="large"
            ),
            actor=AGENT,
        )
        for first in range(0, CALLS, CALLS_A_COMMIT):
            store.write(partial(_calls, installation=installation, run=begun.run, first=first), actor=AGENT)
        known = store.write(
            lambda tx: incidents.open_by_hand(
                tx,
                installation.manifests,
                workflow=WORKFLOW,
                type=IncidentType.BAD_WRITEBACK,
                runs=(begun.run,),
            ),
            actor=LEE,
        )
        for number in range(BLOBS):
            content = os.urandom(BLOB_BYTES)
            attaching.attach(installation, LEE, incident=known.id, name=f"{number}.log", content=content)
        return known.id


def _calls(tx: Tx, *, installation: Installation, run: str, first: int) -> None:
    for number in range(first, first + CALLS_A_COMMIT):
        args = arguments(number)
        account = ObjectRef(system="crm", type="account", id=args["id"])
        before, after = Image.present({**args, "amount": 10.0}), Image.present(args)
        permit = permits.ask(tx, installation.manifests, run=run, tool=WRITE, args=args)
        permits.attempt(tx, call=permit.call, before=(Captured(object=account, image=before),))
        outcomes.finish(
            tx,
            installation.manifests,
            call=permit.call,
            outcome=Outcome.SUCCEEDED,
            result={"version": number},
            observed=(Observed(object=account, operation=Operation.MODIFIED, before=before, after=after),),
        )


def _in_a_process(*arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.timing.bundle", *arguments]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _seal(place: str, incident: str) -> dict[str, Any]:
    with Installation.open(place) as installation:
        started = time.perf_counter()
        bundle = evidence.seal(installation, LEE, incident=incident)
        return {"path": bundle.path, "entries": bundle.entries, "s": time.perf_counter() - started}


def _verify(path: str) -> dict[str, Any]:
    started = time.perf_counter()
    report = verify_bundle(path)
    return {"outcome": report.outcome.name, "s": time.perf_counter() - started}


def _peak_mb() -> float:
    """Answer the most memory this program has had; what getrusage says goes on from whoever started it."""
    (line,) = (each for each in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in each)
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    said = _seal(*sys.argv[2:]) if sys.argv[1] == "seal" else _verify(*sys.argv[2:])
    sys.stdout.write(json.dumps({**said, "mb": _peak_mb()}) + "\n")
