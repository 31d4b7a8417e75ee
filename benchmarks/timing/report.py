"""The table of all figures: printed, and kept in RESULTS.md between two markers."""

from __future__ import annotations

import datetime as dt
import os
import platform
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.timing.figures import Figure

RESULTS: Final = Path(__file__).parents[1] / "RESULTS.md"
_BEGIN: Final = "<!-- timing -->"
_END: Final = "<!-- /timing -->"
_HEAD: Final = ("figure", "measured", "yardstick", "ratio", "rounds", "aim")


def section(figures: Sequence[Figure], *, disk: Path, duration_s: float) -> str:
    """Answer the section in Markdown: when, where and how, and one line for each figure."""
    rows = [_HEAD, ("---",) * len(_HEAD), *(_row(each) for each in figures)]
    missed = [each for each in figures if each.missed]
    aims = sum(bool(each.aim) for each in figures)
    lines = [
        "## Timing: what the hot paths cost",
        "",
        f"{dt.datetime.now(tz=dt.UTC):%Y-%m-%d}, {_machine(disk)}.",
        f"`python -m benchmarks`: {duration_s:.0f} s. Other work ran on the same cores (load {os.getloadavg()[0]:.1f} at the end).",
        "Each ratio is the median of rounds in which figure and yardstick were measured one after the other;",
        "behind it stand how many rounds there were, the lowest and the highest. A commit is the quietest that the run has seen.",
        "",
        *(f"| {' | '.join(row)} |" for row in rows),
        "",
        f"**Aims missed: {len(missed)} of {aims}.**" if missed else f"All {aims} aims are met.",
        *(f"- {each.name}: {_measured(each)}, aimed at {each.aim}" for each in missed),
    ]
    return "\n".join(lines) + "\n"


def write(text: str, path: Path = RESULTS) -> None:
    """Put the section into the file, in place of the one that stands there."""
    known = path.read_text(encoding="utf-8") if path.exists() else "# Results\n"
    if _BEGIN not in known:
        known += f"\n{_BEGIN}\n{_END}\n"
    before, _, rest = known.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    path.write_text(f"{before}{_BEGIN}\n{text}{_END}{after}", encoding="utf-8")


def _row(figure: Figure) -> tuple[str, ...]:
    if not figure.yardstick:
        return (
            figure.name,
            _amount(figure.own, figure.unit),
            "none",
            "none",
            str(len(figure.rounds)),
            figure.aim or "none",
        )
    low, high = figure.noise
    return (
        figure.name,
        _amount(figure.own, figure.unit),
        f"{figure.yardstick}: {_amount(figure.beside, figure.unit)}",
        f"**{_ratio(figure)}**",
        f"{len(figure.rounds)}: {low:.2f} to {high:.2f}",
        figure.aim or "none",
    )


def _measured(figure: Figure) -> str:
    own = _amount(figure.own, figure.unit)
    return f"{_ratio(figure)} ({own})" if figure.yardstick else own


def _ratio(figure: Figure) -> str:
    return f"{figure.ratio:.2f}" if figure.ratio < 10 else f"{figure.ratio:.0f}"


def _amount(value: float, unit: str) -> str:
    return f"{value:,.0f} {unit}" if value >= 100 or value % 1 == 0 else f"{value:.2f} {unit}"


def _machine(disk: Path) -> str:
    versions = f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    return f"{os.cpu_count()} shared cores ({platform.machine()}), {versions}, {_file_system(disk)}"


def _file_system(path: Path) -> str:
    """Answer the kind of the file system that a path is on; a durable commit in memory would be none."""
    try:
        mounts = [line.split() for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines()]
    except OSError:
        return "unknown file system"
    on = [(len(mount[1]), mount[2]) for mount in mounts if path.resolve().is_relative_to(mount[1])]
    return max(on)[1]
