"""The table of all figures: printed, and kept in RESULTS.md."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.results import machine, table
from benchmarks.timing.figures import Figure

SECTION: Final = "timing"
_HEAD: Final = ("figure", "measured", "yardstick", "ratio", "rounds", "aim")


def section(
    figures: Sequence[Figure], *, disk: Path, duration_s: float, only: str = "", counted: str = ""
) -> str:
    """Answer the section in Markdown: when, where and how, and one line for each figure, or for those of one name only.

    ``counted`` says what the figures count.
    """
    missed = [each for each in figures if each.missed]
    aims = sum(bool(each.aim) for each in figures)
    lines = [
        f"## Timing of {only}" if only else "## Timing: what the hot paths cost",
        "",
        f"{dt.datetime.now(tz=dt.UTC):%Y-%m-%d}, {machine()}, {_file_system(disk)}.",
        f"`python -m benchmarks{f' --only {only}' if only else ''}`: {duration_s:.0f} s. Other work ran on the same cores (load {os.getloadavg()[0]:.1f} at the end).",
        "Each ratio is the median of rounds; behind it stand how many rounds there were, the lowest and the highest.",
        "Figure and yardstick of a round were measured one after the other, but for the commit: it is the quietest that the run had",
        "seen by then, so that what others do on the disk counts against the figure and never for it.",
        *(["", counted] if counted else []),
        "",
        *table(_HEAD, [_row(each) for each in figures]),
        "",
        f"**Aims missed: {len(missed)} of {aims}.**" if missed else f"All {aims} aims are met.",
        *(f"- {each.name}: {_measured(each)}, aimed at {each.aim}" for each in missed),
    ]
    return "\n".join(lines) + "\n"


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


def _file_system(path: Path) -> str:
    """Answer the kind of the file system that a path is on; a durable commit in memory would be none."""
    try:
        mounts = [line.split() for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines()]
    except OSError:
        return "unknown file system"
    on = [(len(mount[1]), mount[2]) for mount in mounts if path.resolve().is_relative_to(mount[1])]
    return max(on)[1]
