"""A figure says by itself whether its aim was reached, and the table names every aim that was missed; what starts late is counted as it is
meant: begun after the pause had returned, and not named by it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.timing.figures import Figure, Round
from benchmarks.timing.report import section
from benchmarks.timing.starts import Start, Told, Trial, late_starts


@pytest.mark.parametrize(
    ("own", "yardstick", "aim", "missed"),
    [
        (6.0, 1.0, "≤ 6", False),
        (6.1, 1.0, "≤ 6", True),
        (0.55, 1.0, "≥ 0.55", False),
        (0.5, 1.0, "≥ 0.55", True),
        (0.0, 88.0, "0", False),
        (1.0, 88.0, "0", True),
        (100.0, 1.0, "", False),
    ],
)
def test_an_aim_bounds_the_ratio(own: float, yardstick: float, aim: str, missed: bool) -> None:
    figure = Figure(name="f", unit="ms", yardstick="y", rounds=(Round(own, yardstick),), aim=aim)
    assert figure.missed is missed


@pytest.mark.parametrize(
    ("aim", "missed"), [("≤ 9 ms", False), ("≤ 8 ms", True), ("≥ 9 ms", False), ("≤ 8", False)]
)
def test_an_aim_with_its_unit_bounds_what_was_measured(aim: str, *, missed: bool) -> None:
    figure = Figure(name="f", unit="ms", yardstick="y", rounds=(Round(9.0, 3.0),), aim=aim)
    assert figure.missed is missed


def test_without_a_yardstick_an_aim_bounds_what_was_measured() -> None:
    figure = Figure(name="f", unit="s", rounds=(Round(0.4), Round(0.6), Round(0.7)), aim="≤ 0.5")
    assert figure.missed


def test_the_table_names_what_was_missed(tmp_path: Path) -> None:
    good = Figure(name="good", unit="s", rounds=(Round(0.4),), aim="≤ 0.5")
    bad = Figure(name="bad", unit="ms", yardstick="a commit", rounds=(Round(9.0, 1.0),), aim="≤ 6")
    text = section([good, bad], disk=tmp_path, duration_s=1)
    assert "**Aims missed: 1 of 2.**\n- bad: 9.00 (9 ms), aimed at ≤ 6" in text
    assert "All 1 aims are met." in section([good], disk=tmp_path, duration_s=1)


def test_late_is_what_began_after_the_return_and_was_not_named() -> None:
    trials = [Trial(10.0, 20.0, frozenset({"named"})), Trial(30.0, 40.0)]
    began = {"before": 9.9, "named": 10.1, "late": 19.9, "between": 25.0, "late again": 30.1, "after": 40.1}
    told = [Told([Start(call, at)], []) for call, at in began.items()]
    assert late_starts(trials, told) == 2
