"""Durations are read as people write them, and written so that they read back as the same."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stopwork.manifest.duration import LONGEST, Duration

READ = {
    "45m": timedelta(minutes=45),
    "24h": timedelta(days=1),
    "7d": timedelta(days=7),
    "2w": timedelta(weeks=2),
    "1h30m": timedelta(minutes=90),
    "90s": timedelta(seconds=90),
}
NOT_READ = [
    "",
    "m",
    "45",
    "45 m",
    "45min",
    "1.5h",
    "-1h",
    "30m1h",
    "1h1h",
    "45m\n",
    "0s",
    "999999w",
    "PT45M",
    "४५m",
]


@pytest.mark.parametrize(("text", "length"), READ.items(), ids=READ)
def test_read(text: str, length: timedelta) -> None:
    assert Duration.parse(text) == length


@pytest.mark.parametrize("text", NOT_READ, ids=repr)
def test_not_read(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a duration|more than nothing"):
        Duration.parse(text)


@given(st.integers(1, int(LONGEST.total_seconds())))
def test_written_and_read_back(seconds: int) -> None:
    length = Duration(seconds=seconds)
    assert Duration.parse(str(length)) == length
