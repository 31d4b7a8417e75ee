"""``python -m benchmarks.scale`` (`make bench-scale`): one incident among ten million calls, on SQLite and on PostgreSQL."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec

from benchmarks import results
from benchmarks.scale import incident, looking, report, working
from benchmarks.scale.filling import Copies, Loader, PostgresLoader, SqliteLoader, Stretch, prepared
from benchmarks.scale.pattern import CALLS, recorded
from stopwork.operations.installation import DATABASE
from tests.support.postgres import PostgresServer

#: The calls are spread over so many days, and the incident lies so many days back.
DAYS: Final = timedelta(days=90)
AGO: Final = timedelta(days=9)
JOURNAL_ENTRIES: Final = 2_000_000


def main() -> None:
    """Fill, make the incident, look at it, work beside it, and say what each took."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--calls", type=int, default=10_000_000)
    parser.add_argument(
        "--journal",
        type=int,
        default=JOURNAL_ENTRIES,
        help="how many of the newest entries the journal holds",
    )
    parser.add_argument("--only", choices=("sqlite", "postgresql"))
    parser.add_argument("--folder", type=Path, help="where the data lies; a new temporary folder without it")
    parser.add_argument(
        "--keep", action="store_true", help="leave SQLite's data there, to be looked at again"
    )
    parser.add_argument("--write", action="store_true", help="write the section in benchmarks/RESULTS.md")
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="stopwork-scale-"))
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    try:
        if options.only != "postgresql":
            with tempfile.TemporaryDirectory() as other:
                found.append(_measured("SQLite", folder / "sqlite", None, (Path(other), None), options))
        if options.only != "sqlite":
            with PostgresServer.started() as server, tempfile.TemporaryDirectory() as other:
                prepared(server)
                place = (Path(other), server.empty_database())
                url = server.empty_database()
                found.append(_measured("PostgreSQL", folder / "postgresql", url, place, options))
    finally:
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)
    for each in found:
        name = f"scale {each.database}"
        text = report.section(each, options.calls, options.journal)
        print(text)
        if options.write:
            results.write(name, text)


def _measured(
    name: str, folder: Path, database: str | None, empty: tuple[Path, str | None], options: argparse.Namespace
) -> report.Found:
    folder.mkdir(exist_ok=True)
    known = folder / "incident.json"
    filled_s = 0.0
    if not known.exists() or database is not None:
        started = time.perf_counter()
        known.write_bytes(msgspec.json.encode(_filled(folder, database, options)))
        filled_s = time.perf_counter() - started
    ids = msgspec.json.decode(known.read_bytes(), type=incident.Ids)
    looks = []
    for look in looking.measured(folder, database, ids):
        looks.append(look)
        print(f"{name}: {look}", file=sys.stderr, flush=True)
    return report.Found(
        database=name,
        filled_s=filled_s,
        looks=tuple(looks),
        working=working.measured(folder, database, *empty),
    )


def _filled(folder: Path, database: str | None, options: argparse.Namespace) -> incident.Ids:
    """Fill the database: most of the runs, the incident, and the runs that came after it."""
    now = datetime.now(UTC)
    runs = options.calls // CALLS
    later = int(runs * (AGO / DAYS))
    of_run = 2 * CALLS + 3 + 3
    journal_from = max(0, runs - options.journal // of_run)
    with tempfile.TemporaryDirectory() as place:
        copies = Copies(recorded(Path(place)))
    incident.declare_all(folder, database)
    before = Stretch(
        first=0,
        runs=runs - later,
        begins=now - DAYS,
        ends=now - AGO - timedelta(hours=1),
        journal_from=journal_from,
    )
    after = Stretch(
        first=runs - later,
        runs=later,
        begins=now - AGO + timedelta(hours=1),
        ends=now,
        journal_from=journal_from,
    )
    _load(folder, database, copies, before, bare=True)
    ids = incident.make(folder, database, ago=AGO)
    _load(folder, database, copies, after, bare=False)
    return ids


def _load(folder: Path, database: str | None, copies: Copies, stretch: Stretch, *, bare: bool) -> None:
    started = time.perf_counter()
    loader: Loader = (
        PostgresLoader(database, bare=bare) if database else SqliteLoader(folder / DATABASE, bare=bare)
    )
    for rows in copies.of(stretch, loader.newest()):
        loader.load(rows)
    print(
        f"  {stretch.runs} runs written, {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True
    )
    loader.finish()
    print(f"  indexes made, {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
