"""Contract: a PostgreSQL database of an earlier version is brought to this one, and what it says is what its journal says."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import sqlalchemy as sa

from stopwork.kernel.clock import ManualClock
from stopwork.ledger.records import Incident, Signal
from stopwork.ledger.words import SignalState
from stopwork.operations import incidents
from stopwork.operations.installation import DATABASE, Installation
from stopwork.storage.fsck import fsck
from stopwork.storage.store import engine_of
from stopwork.worker.crew import Crew
from tests.support import earlier
from tests.support.office import LEE, START, Crm
from tests.support.postgres import PostgresServer


def moved(folder: Path, location: str) -> None:
    """Put the rows of the file in ``folder`` into the database of the same schema at ``location``, and take the file away."""
    earlier.make(location, version=earlier.SCHEMA)
    source, target = engine_of(folder / DATABASE), engine_of(location)
    tables = sa.MetaData()
    tables.reflect(target)
    with source.connect() as old, target.begin() as new:
        for table in tables.tables.values():
            if table.name in ("alembic_version", "journal_head"):
                continue
            truths = [each.name for each in table.columns if isinstance(each.type, sa.Boolean)]
            new.execute(sa.delete(table))
            for row in old.execute(sa.text(f'SELECT * FROM "{table.name}"')).mappings():
                told = {name: bool(row[name]) for name in truths if row[name] is not None}
                new.execute(sa.insert(table).values(**dict(row) | told))
        journal, head = tables.tables["journal"], tables.tables["journal_head"]
        new.execute(sa.update(head).values(seq=sa.select(sa.func.max(journal.c.seq)).scalar_subquery()))
    for engine in (source, target):
        engine.dispose()
    (folder / DATABASE).unlink()


def test_it_says_what_its_journal_says_before_and_after_the_duties_work_on_it(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    earlier.install(tmp_path)
    location = postgres.empty_database()
    moved(tmp_path, location)
    inst = Installation.open(tmp_path, database=location, systems={"crm": Crm()}, clock=ManualClock(START))
    try:
        report = fsck(inst.store)
        assert (report.faults, report.entries) == ((), 47)
        Crew(inst).catch_up()
        note = partial(incidents.add_note, incident=earlier.INCIDENT, text="after the upgrade")
        inst.store.write(note, actor=LEE)
        assert fsck(inst.store).faults == ()
        (incident,) = inst.store.read(lambda view: list(view.each(Incident, private=False, practice=False)))
        assert incident.id == earlier.INCIDENT
        assert inst.store.read(lambda view: view.count(Signal, state=SignalState.INCIDENT))
    finally:
        inst.close()
