"""A run that the product itself has recorded, taken apart so that it can be written again with other ids, times and objects.

Everything in a run that has to differ from run to run is spelled with a mark of the same length as what takes its place, so a copy is
the same bytes with other marks: what a reader decodes is what the product's own fold has written.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from msgspec import Struct

from stopwork.ledger.records import (
    Call,
    Captured,
    Effect,
    Image,
    Key,
    ObjectRef,
    Observed,
    Principal,
    Run,
    Step,
)
from stopwork.ledger.words import Operation, Outcome, PrincipalKind, RunStatus, StepKind
from stopwork.operations import manifests, outcomes, permits, runs
from stopwork.operations.installation import Installation
from stopwork.storage.tables import TABLES, journal
from stopwork.storage.transaction import Tx

MANIFEST: Final = """\
workflow: {workflow}
owners: {{business: dana@acme.test, technical: lee@acme.test}}
triggers: [manual]
tools:
  crm.search: {{effect: read}}
  crm.update:
    effect: update
    object: {{system: crm, type: account, id: args.id}}
    idempotency: [run.trigger_id, args.id]
    undo: {{system: crm}}
  mail.send:
    effect: send
    object: {{system: mail, type: message, id: result.id}}
    idempotency: [run.trigger_id, args.to]
"""

READS: Final = 17
UPDATES: Final = 2
CALLS: Final = READS + UPDATES + 1

#: The marks: a run's own part of every id in it, its workflow, the minute in which it took place, and the accounts that it touches.
RUN: Final = "7zzzzzzzzzmarkofarun0000"
WORKFLOW: Final = "flow-zz"
ACCOUNT: Final = "9999999"
MINUTE: Final = datetime(2031, 1, 1, 11, 59, tzinfo=UTC)
_TICK: Final = timedelta(milliseconds=7)

KINDS: Final = (Run, Step, Call, Key, Effect)


class Pattern(Struct, frozen=True):
    """The rows of one run by table, in the order of the table's columns."""

    rows: dict[str, list[tuple[Any, ...]]]


class MarkedIds:
    """Ids as long as real ones, with the mark of the run in them."""

    def __init__(self) -> None:
        self._count = 0

    def new(self, prefix: str) -> str:
        self._count += 1
        return f"{prefix}_{RUN}{self._count:02x}"


class Ticking:
    """A clock that goes on by a few milliseconds whenever it is looked at: a run takes place within one minute."""

    def __init__(self) -> None:
        self._now = MINUTE

    def now(self) -> datetime:
        self._now += _TICK
        return self._now


def recorded(folder: Path) -> Pattern:
    """Have the product record one run in a database of its own, and answer its rows."""
    with Installation.open(folder) as installation:
        declare(installation, WORKFLOW)
    with Installation.open(folder, clock=Ticking(), ids=MarkedIds()) as installation:
        newest = installation.store.last_seq
        play(
            installation, workflow=WORKFLOW, accounts=[f"{ACCOUNT}{n}" for n in range(UPDATES)], occasion=RUN
        )
        return installation.store.read(
            lambda view: _marked(
                {
                    **{
                        TABLES[kind].name: [tuple(row) for row in view.execute(_stored(TABLES[kind]))]
                        for kind in KINDS
                    },
                    journal.name: [
                        tuple(row) for row in view.execute(_stored(journal).where(journal.c.seq > newest))
                    ],
                }
            )
        )


def declare(installation: Installation, workflow: str) -> None:
    """Put the manifest of one workflow in force."""
    text = MANIFEST.format(workflow=workflow)
    installation.store.write(lambda tx: manifests.apply(tx, text, reason="the first version"))


def play(installation: Installation, *, workflow: str, accounts: list[str], occasion: str) -> str:
    """Have an agent make one run of :data:`READS` reads, an update of each account and a mail; answer the run."""
    agent = Principal(kind=PrincipalKind.AGENT, id=workflow)
    write = partial(installation.store.write, actor=agent)
    run = write(
        lambda tx: runs.start(
            tx, installation.manifests, workflow=workflow, trigger="manual", trigger_id=f"occasion-{occasion}"
        )
    ).run
    step = partial(runs.step, run=run, kind=StepKind.MODEL_CALL, name="plan", tokens=1200, cost_usd=0.01)
    write(step)
    for number in range(READS):
        args = {"query": f"renewals due, page {number}"}
        write(
            partial(
                _call, installation=installation, run=run, tool="crm.search", args=args, result={"found": 25}
            )
        )
    for account in accounts:
        args = {"id": f"account-{account}", "renewal": "2026-06-01"}
        seen = Observed(
            object=ObjectRef(system="crm", type="account", id=f"account-{account}"),
            operation=Operation.MODIFIED,
            before=Image.present(
                {"id": account, "name": "A Customer Ltd", "renewal": "2026-01-01", "amount": 12.5}
            ),
            after=Image.present(
                {"id": account, "name": "A Customer Ltd", "renewal": "2026-06-01", "amount": 12.5}
            ),
        )
        write(partial(_call, installation=installation, run=run, tool="crm.update", args=args, seen=seen))
    sent = Observed(
        object=ObjectRef(system="mail", type="message", id=f"message-{occasion}"),
        operation=Operation.SENT,
        before=Image.absent(),
        after=Image.present({"to": "customer@example.test", "subject": "Your renewal"}),
    )
    mail = {"to": f"{accounts[0]}@example.test", "subject": "Your renewal"}
    result = {"id": f"message-{occasion}"}
    write(
        partial(
            _call, installation=installation, run=run, tool="mail.send", args=mail, seen=sent, result=result
        )
    )
    write(lambda tx: runs.finish(tx, run=run, status=RunStatus.SUCCEEDED))
    return run


def _call(
    tx: Tx,
    *,
    installation: Installation,
    run: str,
    tool: str,
    args: dict[str, Any],
    seen: Observed | None = None,
    result: Any = None,
) -> None:
    session = tx.new_id("session")
    call = permits.ask(tx, installation.manifests, run=run, tool=tool, args=args, session=session).call
    if seen is not None:
        permits.attempt(
            tx, call=call, before=(Captured(object=seen.object, image=seen.before),), session=session
        )
    outcomes.finish(
        tx,
        installation.manifests,
        call=call,
        outcome=Outcome.SUCCEEDED,
        result=result,
        observed=(seen,) if seen else (),
        session=session,
    )


def _stored(table: sa.Table) -> sa.Select[Any]:
    """Ask for the rows as the driver has them: times as numbers, records as bytes."""
    columns: list[sa.ColumnElement[Any]] = [sa.literal_column(f'"{column.name}"') for column in table.c]
    return sa.select(*columns).select_from(table)


def _marked(rows: dict[str, list[tuple[Any, ...]]]) -> Pattern:
    """Put the mark into what is computed from it as well: idempotency keys."""
    at = [column.name for column in TABLES[Key].c].index("id")
    keys = [str(row[at]).partition("/")[2] for row in rows[TABLES[Key].name]]
    marks = {key: f"{RUN}{key[len(RUN) :]}" for key in keys}
    return Pattern(
        {table: [tuple(_replaced(each, marks)) for each in found] for table, found in rows.items()}
    )


def _replaced(row: tuple[Any, ...], marks: dict[str, str]) -> Iterator[Any]:
    for cell in row:
        if isinstance(cell, str):
            for key, mark in marks.items():
                cell = cell.replace(key, mark)
        elif isinstance(cell, bytes) and len(cell) > 32:
            for key, mark in marks.items():
                cell = cell.replace(key.encode(), mark.encode())
        yield cell
