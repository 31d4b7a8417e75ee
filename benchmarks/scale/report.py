"""What was found, as a section of RESULTS.md."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from msgspec import Struct

from benchmarks.results import machine, table
from benchmarks.scale.looking import Look
from benchmarks.scale.working import Working
from stopwork.kernel.phrases import listed

AIM_MS: Final = 150
_COLD: Final = {
    "SQLite": "after the operating system has dropped the file from memory",
    "PostgreSQL": "the first time, with whatever the database had in memory",
}


class Found(Struct, frozen=True, kw_only=True):
    """What one database took: to be filled, to be looked at, and to be worked with."""

    database: str
    filled_s: float
    looks: tuple[Look, ...]
    working: Working


def section(found: Found, calls: int, journal: int) -> str:
    """Answer the section: the looks, those that miss the aim first named, and the work."""
    missed = listed(f"`{look.name}`" for look in found.looks if look.p50_ms > AIM_MS)
    full, empty = found.working.full, found.working.empty
    calls_ratio, entries_ratio = (
        full.calls_per_s / empty.calls_per_s,
        full.entries_per_s / empty.entries_per_s,
    )
    rows = "\n".join(table(("address", "size", "cold", "p50", "worst"), [_row(look) for look in found.looks]))
    return f"""\
## One incident among {calls:,} calls, {found.database}

{datetime.now(UTC):%Y-%m-%d}, {machine()}. Every call with its run, key, effects and indexes; the journal holds the newest
{journal:,} entries. The incident is 20 runs that changed 520 objects, nine days back, with a hold, an audit and a proposed plan
of 520 items. Each address is asked over HTTP by a person who is signed in: once (*cold*: {_COLD[found.database]}), then 20 times. Aim: {AIM_MS} ms in the middle. {f"Missed: {missed}." if missed else "Met by all."}

{rows}

Beside these calls {full.calls_per_s:,.0f} calls a second are permitted and ended, beside none {empty.calls_per_s:,.0f}: a ratio of
{calls_ratio:.2f}. Detectors follow {full.entries_per_s:,.0f} entries a second, beside none {empty.entries_per_s:,.0f}: {entries_ratio:.2f}.
Both in turns on the same machine, medians of seven rounds.
"""


def _row(look: Look) -> tuple[str, ...]:
    times = (f"{look.cold_ms:.0f} ms", f"{look.p50_ms:.1f} ms", f"{look.worst_ms:.0f} ms")
    return (f"`{look.name}`", f"{look.bytes / 1000:.0f} kB", *times)
