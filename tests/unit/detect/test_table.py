"""Contract of a detector's table: it is a bounded dictionary in the order of age, and every version of it stays as it was."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from stopwork.detect.table import MOST_YOUNG, Table, from_builtin, to_builtin

NAMES = st.integers(0, 3 * MOST_YOUNG).map(str)
CHANGES = st.lists(st.tuples(st.sampled_from(["put", "put", "put", "take"]), NAMES), max_size=6 * MOST_YOUNG)
MOST = 2 * MOST_YOUNG


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
    for version, then in versions[:: MOST_YOUNG // 4]:
        assert list(version.items()) == list(then.items())
        assert list(version) == list(then)
        assert list(reversed(version)) == list(reversed(then))
        assert len(version) == len(then)
        assert all(name in version and version[name] == line for name, line in then.items())


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
