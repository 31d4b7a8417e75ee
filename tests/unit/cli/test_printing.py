"""Contract: what people read is aligned, dated with its zone, and cannot steer their terminal; JSON is one value."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from stopwork.cli.printing import Paper, content_of, in_short, write_json

NOW = datetime(2026, 3, 2, 8, 14, tzinfo=UTC)


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def paris(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Paris")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def printed(file: io.StringIO | None = None) -> tuple[Paper, io.StringIO]:
    file = file or io.StringIO()
    return Paper(file, now=NOW, width=60), file


def test_a_table_in_a_pipe_is_aligned_and_never_folded_or_cut() -> None:
    paper, file = printed()
    paper.table(("call", "why"), [("c-1", "x" * 300), ("call-22", None)], empty="None.")
    assert file.getvalue().splitlines() == ["CALL     WHY", f"c-1      {'x' * 300}", "call-22  -"]


def test_a_table_on_a_terminal_keeps_to_its_width_and_the_id_in_one_piece(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    paper, file = printed(Terminal())
    name = "call_01m83rer3hycd3b8sv4ynby14x"
    paper.table(("call", "why"), [(name, "word " * 9)], empty="None.")
    lines = file.getvalue().splitlines()
    assert max(map(len, lines)) <= 60
    assert lines[1].startswith(f"{name}  word")
    assert file.getvalue().count("word") == 9


def test_what_is_far_too_wide_for_a_table_becomes_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    paper, file = printed(Terminal())
    paper.table(
        ("call", "tool", "why", "run"), [("c-1", "t", "word " * 30, None), ("c-2", "t", "", "r")], empty=""
    )
    lines = [line.rstrip() for line in file.getvalue().splitlines()]
    assert lines[:2] == ["c-1", "  tool  t"]
    assert lines[-4:] == ["", "c-2", "  tool  t", "  run   r"]
    assert max(map(len, lines)) <= 60
    assert file.getvalue().count("word") == 30


def test_no_rows_is_a_sentence() -> None:
    paper, file = printed()
    paper.table(("call",), [], empty="No call is recorded.")
    assert file.getvalue() == "No call is recorded.\n"


def test_facts_leave_out_what_is_empty() -> None:
    paper, file = printed()
    paper.facts({"hold": "hold_1", "incident": None, "calls": 0, "runs": [], "open": False})
    assert file.getvalue().splitlines() == ["hold   hold_1", "calls  0", "open   false"]


@pytest.mark.parametrize("no_color", [True, False])
def test_colour_is_for_terminals_that_want_it(monkeypatch: pytest.MonkeyPatch, *, no_color: bool) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    for file, coloured in ((Terminal(), not no_color), (io.StringIO(), False)):
        paper, _ = printed(file)
        paper.table(("state",), [("deny",)], empty="")
        assert ("\x1b[1;31m" in file.getvalue()) is coloured


@pytest.mark.parametrize("file", [io.StringIO(), Terminal()])
def test_words_from_outside_cannot_steer_the_terminal(
    file: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    paper, _ = printed(file)
    hostile = "\x1b]0;title\x07[bold]markup[/bold]\r\x9b2Jover \u202ewritten :smile:"
    paper.line(hostile)
    paper.facts({"args": hostile})
    paper.table(("args",), [(hostile,)], empty="")
    shown = file.getvalue()
    assert not {"\x1b", "\x07", "\r", "\x9b", "\u202e"} & set(shown)
    assert shown.count("[bold]markup[/bold]") == 3
    assert ":smile:" in shown


@pytest.mark.usefixtures("paris")
@pytest.mark.parametrize(
    ("ago", "expected"),
    [
        (timedelta(0), "2026-03-02 09:14:00 CET (just now)"),
        (timedelta(minutes=3), "2026-03-02 09:11:00 CET (3 minutes ago)"),
        (timedelta(hours=-2), "2026-03-02 11:14:00 CET (in 2 hours)"),
        (timedelta(days=-30), "2026-04-01 10:14:00 CEST (in 30 days)"),
    ],
)
def test_a_time_is_local_with_its_zone_and_its_distance(ago: timedelta, expected: str) -> None:
    paper, _ = printed()
    assert paper.when((NOW - ago).isoformat()) == expected


def test_no_time_is_a_dash() -> None:
    assert printed()[0].when(None) == "-"


def test_json_is_the_value_unchanged_and_safe_to_look_at() -> None:
    value = {"text": "naïve → \x1b[2J \x9b2J \ud800", "list": [1, None]}
    file = io.StringIO()
    write_json(value, file)
    assert json.loads(file.getvalue()) == value
    assert "naïve →" in file.getvalue()
    assert not {"\x1b", "\x9b", "\ud800"} & set(file.getvalue())


def test_values_in_short() -> None:
    assert in_short({"a": [1, "é"]}) == '{"a": [1, "é"]}'
    assert in_short("two\n lines") == "two lines"
    assert in_short("x" * 100, most=10) == "x" * 9 + "…"
    assert content_of({"state": "absent", "content": None}) == "absent"
    assert content_of({"state": "present", "content": {"a": 1}}) == '{"a": 1}'
    assert content_of(None) == "-"
