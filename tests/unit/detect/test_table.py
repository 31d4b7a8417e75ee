"""Contract of a detector's table: it is a bounded dictionary in the order of age, and every version of it stays as it was."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from stopwork.detect.table import Table, from_builtin, to_builtin

SOME = 16
NAMES = st.integers(0, 3 * SOME).map(str)
CHANGES = st.lists(st.tuples(st.sampled_from(["put", "put", "put", "take"]), NAMES), max_size=6 * SOME)
MOST = 2 * SOME


class State(msgspec.Struct, frozen=True):
    """What a detector keeps."""

    lines: Table[tuple[int, ...]] = Table()


@given(CHANGES)
def test_a_table_holds_what_a_dictionary_would_and_in_the_same_order(changes: list[tuple[str, str]]) -> None:
    table: Table[int] = Table()
    expected: dict[str, int] = {}
    versions: list[tuple[Table[int], dict[str, int]]] = []
    for number, (change, name) in enumerate(changes):
        known = expected.pop(name, None)
        if change == "put":
            table = table.put(name, number, at_most=MOST)
            expected[name] = number
            if len(expected) > MOST:
                del expected[next(iter(expected))]
        else:
            table = table.without(name)
            assert table.get(name) is None
        assert table.get(name, known) == expected.get(name, known)
        versions.append((table, dict(expected)))
    for version, then in versions[:: SOME // 4]:
        assert list(version.items()) == list(then.items())
        assert list(version) == list(then)
        assert list(reversed(version)) == list(reversed(then))
        assert len(version) == len(then)
        assert all(name in version and version[name] == line for name, line in then.items())


@given(CHANGES, CHANGES)
def test_two_ways_on_from_one_table_do_not_meet(
    one_way: list[tuple[str, str]], other_way: list[tuple[str, str]]
) -> None:
    """What could not be stored is gone through again from the table before."""
    start = Table({str(number): -1 for number in range(SOME)})

    def gone(way: list[tuple[str, str]]) -> Table[int]:
        table = start
        for number, (change, name) in enumerate(way):
            table = table.put(name, number, at_most=MOST) if change == "put" else table.without(name)
        return table

    first = gone(one_way)
    lines = list(first.items())
    assert list(gone(other_way).items()) == list(gone(other_way).items())
    assert list(first.items()) == lines
    assert list(start.values()) == [-1] * SOME


def test_a_table_may_be_changed_by_whoever_looks_through_it() -> None:
    table = Table({"a": 1, "b": 2})
    changed = table
    for name, line in table.items():
        changed = changed.put(name, line + 1, at_most=9).put(f"{name}{name}", 0, at_most=9)
    assert dict(changed) == {"a": 2, "aa": 0, "b": 3, "bb": 0}
    assert dict(table) == {"a": 1, "b": 2}


def test_the_empty_table_that_many_begin_with_stays_empty() -> None:
    empty: Table[int] = Table()
    one, other = empty.put("a", 1, at_most=9), empty.put("b", 2, at_most=9)
    assert (dict(empty), dict(one), dict(other)) == ({}, {"a": 1}, {"b": 2})


def test_an_old_table_can_be_let_go_however_many_came_of_it() -> None:
    old = newest = Table({"a": 0})
    for number in range(200_000):
        newest = newest.put("a", number, at_most=9)
    del old
    assert dict(newest) == {"a": 199_999}


def test_lines_that_are_not_there_are_not_missed() -> None:
    table = Table({"a": 1, "b": 2, "c": 3})
    assert table.without("z") is table
    assert dict(table.without_any(["a", "z", "c"])) == {"b": 2}


def test_a_table_is_written_and_read_as_an_object() -> None:
    state = State(lines=Table[tuple[int, ...]]().put("a", (1, 2), at_most=9).put("b", (3,), at_most=9))
    written = msgspec.json.encode(state, enc_hook=to_builtin)
    assert written == b'{"lines":{"a":[1,2],"b":[3]}}'
    read: Any = msgspec.json.decode(written, type=State, dec_hook=from_builtin)
    assert dict(read.lines) == dict(state.lines)
    assert read.lines["a"] == (1, 2)
