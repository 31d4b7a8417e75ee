"""Contract of reading JSON that somebody else has written: what it says, or ``ValueError``, and nothing else, whatever it is."""

from __future__ import annotations

import pytest

from stopwork.kernel.foreign_json import read_json


def test_it_answers_what_is_said() -> None:
    assert read_json(b'{"a": [1, null]}') == read_json('{"a": [1, null]}') == {"a": [1, None]}


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"\xff", b"9" * 5_000, b"[" * 100_000, b"[" * 100_000 + b"]" * 100_000, b'{"a":' * 100_000],
    ids=["nothing", "half", "no text", "a long number", "open lists", "lists in lists", "open mappings"],
)
def test_what_is_none_is_one_kind_of_error(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_json(text)
