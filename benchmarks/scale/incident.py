"""The one incident: some runs that the product records itself, opened by a person, audited, with a plan."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

from msgspec import Struct

from benchmarks.scale.filling import ACCOUNTS, BUSIEST, WORKFLOWS
from benchmarks.scale.pattern import declare, play
from benchmarks.timing.workflow import DANA, LEE
from stopwork.kernel.clock import SystemClock
from stopwork.ledger.records import Call, Scope
from stopwork.ledger.words import ScopeKind
from stopwork.operations import audits, holds, incidents, planning
from stopwork.operations.installation import Installation
from stopwork.storage.transaction import Tx
from tests.support.undoing import sealed

RUNS: Final = 20
UPDATES: Final = 25


class Ids(Struct, frozen=True, kw_only=True):
    """What the pages are asked for."""

    incident: str
    run: str
    call: str
    hold: str


class Earlier:
    """The clock as it was some time ago."""

    def __init__(self, ago: timedelta) -> None:
        self._ago = ago
        self._clock = SystemClock()

    def now(self) -> datetime:
        return self._clock.now() - self._ago


def declare_all(folder: Path, database: str | None) -> None:
    """Put the manifest of every workflow in force."""
    with Installation.open(folder, database=database) as installation:
        for workflow in WORKFLOWS:
            declare(installation, workflow)


def make(folder: Path, database: str | None, *, ago: timedelta) -> Ids:
    """Have an agent go wrong, and people open the incident, pause, seal, audit and plan, all of that some time ago."""
    with Installation.open(folder, database=database, clock=Earlier(ago)) as installation:
        write = installation.store.write
        runs = [
            play(
                installation,
                workflow=BUSIEST,
                accounts=[f"{ACCOUNTS + number * UPDATES + each:07d}" for each in range(UPDATES)],
                occasion=f"bad-{number}",
            )
            for number in range(RUNS)
        ]
        opened = write(
            partial(
                incidents.open_by_hand, manifests=installation.manifests, workflow=BUSIEST, runs=tuple(runs)
            ),
            actor=DANA,
        )
        scope = Scope(kind=ScopeKind.TOOL, name="mail.send", workflow=BUSIEST)
        paused = write(
            partial(holds.pause, scope=scope, reason="stop the mails", incident=opened.id), actor=LEE
        )

        def proposed(tx: Tx) -> None:
            tx.record(sealed(opened.id, BUSIEST, tx.last_seq()))
            audits.complete(tx, installation.manifests, incident=opened.id)
            planning.propose(tx, installation.manifests, installation.systems, incident=opened.id)

        write(proposed, actor=LEE)
        call = installation.store.read(lambda view: view.find(Call, run=runs[0], limit=1))[0].id
        return Ids(incident=opened.id, run=runs[0], call=call, hold=paused.hold.id)
