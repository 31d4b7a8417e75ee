"""The truth of the AgentDojo bench: every object once, as it is now, and what differs between two looks; seeds and views are no objects."""

from __future__ import annotations

import pytest

from benchmarks.agentdojo.truth import projection, without_ids
from benchmarks.worlds.truth import OWN, changes
from tests.bench.environment import Line, Note, desk


def test_every_object_is_seen_once() -> None:
    assert projection(desk()) == {
        ("book", OWN): {"owner": "dana@acme.test"},
        ("book.notes", "1"): {"id_": "1", "text": "one", "tags": []},
        ("book.notes", "2"): {"id_": "2", "text": "two", "tags": ["a"]},
        ("book.lines", "7"): {"id": 7, "amount": 1.5},
    }


def test_a_projection_shares_nothing_with_the_environment() -> None:
    environment = desk()
    before = projection(environment)
    environment.book.notes["2"].tags.append("b")
    assert before["book.notes", "2"]["tags"] == ["a"]


def test_what_a_call_did_is_named_by_object_and_operation() -> None:
    environment = desk()
    before = projection(environment)
    environment.book.notes["3"] = Note(id_="3", text="three")
    environment.book.notes["1"].text = "uno"
    environment.book.lines.clear()
    assert changes(before, projection(environment)) == {
        (("book.notes", "3"), "created"),
        (("book.notes", "1"), "modified"),
        (("book.lines", "7"), "deleted"),
    }


def test_two_objects_under_one_name_are_an_error_and_not_one_object() -> None:
    environment = desk()
    environment.book.lines.append(Line(id=7, amount=2))
    with pytest.raises(ValueError, match="two objects"):
        projection(environment)


def test_worlds_that_differ_in_generated_ids_alone_are_equal_without_them() -> None:
    one, other = desk(), desk()
    one.book.notes["3"] = Note(id_="3", text="new")
    other.book.notes["4"] = Note(id_="4", text="new")
    assert projection(one) != projection(other)
    assert without_ids(projection(one)) == without_ids(projection(other))
    other.book.notes["4"].text = "newer"
    assert without_ids(projection(one)) != without_ids(projection(other))
