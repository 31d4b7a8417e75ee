"""Images: what changed, by field; and a change is taken back without touching what somebody else wrote later."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stopwork.incidents.images import (
    MISSING,
    NO_FIELD,
    Change,
    changed_fields,
    field_name,
    field_path,
    merge_back,
    operation_of,
    same,
    same_image,
    value_of,
)
from stopwork.ledger.records import Image
from stopwork.ledger.words import EffectKind, Operation

ABSENT, UNKNOWN = Image.absent(), Image.unknown("not read")
present = Image.present

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-1, 1) | st.text("ab.\\", max_size=2),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text("ab.\\e", max_size=2), inner, max_size=3)
    ),
    max_leaves=8,
)
IMAGES = st.one_of(st.just(ABSENT), st.builds(present, JSON))


@pytest.mark.parametrize(
    ("before", "after", "declared", "operation"),
    [
        (ABSENT, present({}), None, Operation.CREATED),
        (present({}), ABSENT, None, Operation.DELETED),
        (present({"a": 1}), present({"a": 2}), None, Operation.MODIFIED),
        (present({"a": 1}), present({"a": 1}), None, None),
        (present({"a": 1}), present({"a": 1}), EffectKind.UPDATE, None),
        (ABSENT, ABSENT, EffectKind.CREATE, None),
        (present({"a": 1}), present({"a": 2}), EffectKind.CREATE, Operation.MODIFIED),
        (ABSENT, present({}), EffectKind.SEND, Operation.SENT),
        (UNKNOWN, UNKNOWN, EffectKind.PAY, Operation.PAID),
        (present({}), UNKNOWN, EffectKind.DELETE, Operation.DELETED),
        (UNKNOWN, present({}), EffectKind.CREATE, Operation.CREATED),
        (UNKNOWN, present({}), None, None),
        (UNKNOWN, UNKNOWN, EffectKind.READ, None),
    ],
)
def test_what_happened_to_an_object(
    before: Image, after: Image, declared: EffectKind | None, operation: Operation | None
) -> None:
    assert operation_of(before, after, declared) is operation


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        (1, 1.0, True),
        (1, True, False),
        (0, False, False),
        (None, False, False),
        ([1, 2], [2, 1], False),
        ([1], [1, 2], False),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ({"a": None}, {}, False),
        ({}, [], False),
        ("1", 1, False),
    ],
)
def test_equality_is_that_of_json(one: Any, other: Any, equal: bool) -> None:
    assert same(one, other) is equal


def test_an_unknown_image_equals_nothing() -> None:
    assert not same_image(UNKNOWN, UNKNOWN)


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        ({"a": 1, "b": 2}, {"a": 1, "b": 3}, {"b": Change(before=2, after=3)}),
        ({"a": {"b": 1, "c": 1}}, {"a": {"b": 2, "c": 1}}, {"a.b": Change(before=1, after=2)}),
        ({"a": None}, {}, {"a": Change(before=None, after=MISSING)}),
        ({}, {"a": {"b": 1}}, {"a": Change(before=MISSING, after={"b": 1})}),
        ({"a": [1]}, {"a": [1, 2]}, {"a": Change(before=[1], after=[1, 2])}),
        ({"a.b": 1}, {"a.b": 2}, {"a\\.b": Change(before=1, after=2)}),
        ("text", "other", {"": Change(before="text", after="other")}),
    ],
)
def test_changed_fields(before: Any, after: Any, changes: dict[str, Change]) -> None:
    assert changed_fields(present(before), present(after)) == changes


def test_an_object_that_came_is_one_change_of_the_whole() -> None:
    assert changed_fields(ABSENT, present({"a": 1})) == {"": Change(before=MISSING, after={"a": 1})}
    assert Change(before=MISSING, after=None).shown() == [NO_FIELD, None]


@pytest.mark.parametrize(
    ("before", "left", "now", "target", "conflicts"),
    [
        ({"a": 1}, {"a": 2}, {"a": 2, "note": "by a person"}, {"a": 1, "note": "by a person"}, ()),
        ({"a": 1}, {"a": 2}, {"a": 3}, {"a": 3}, ("a",)),
        ({"a": 1, "b": 1}, {"a": 2, "b": 2}, {"a": 3, "b": 2}, {"a": 3, "b": 1}, ("a",)),
        ({}, {"a": 1}, {"a": 1, "b": 1}, {"b": 1}, ()),
        ({"a": 1}, {}, {"b": 1}, {"a": 1, "b": 1}, ()),
        ({"a": {"b": 1}}, {"a": {"b": 2}}, {"a": {"b": 2, "c": 3}}, {"a": {"b": 1, "c": 3}}, ()),
        ({"a": {"b": 1}}, {"a": {"b": 2}}, {}, {}, ("a.b",)),
        ({"a": {"b": 1}}, {"a": {}}, {}, {}, ("a.b",)),
        ({"a": {}}, {"a": {"b": 1}}, {}, {}, ()),
        ({"a": {"b": 1}}, {"a": {"b": 2}}, {"a": "flat"}, {"a": "flat"}, ("a.b",)),
        ({"a": [1]}, {"a": [1, 2]}, {"a": [1, 2, 3]}, {"a": [1, 2, 3]}, ("a",)),
    ],
    ids=[
        "another field was written later",
        "the same field was written later",
        "one of two fields",
        "a field that was added goes",
        "a field that was removed returns",
        "a neighbour inside an object stays",
        "the surroundings were removed later",
        "a field is not put back into removed surroundings",
        "nothing to remove from removed surroundings",
        "the surroundings became a value",
        "a list is one value",
    ],
)
def test_taking_a_change_back(
    before: Any, left: Any, now: Any, target: Any, conflicts: tuple[str, ...]
) -> None:
    merged = merge_back(present(before), present(left), present(now))
    assert (merged.target.content, merged.conflicts) == (target, conflicts)


def test_an_object_that_somebody_removed_is_not_made_again() -> None:
    merged = merge_back(present({"a": 1}), present({"a": 2}), ABSENT)
    assert (merged.target, merged.conflicts) == (ABSENT, ("a",))


@given(IMAGES, IMAGES)
def test_without_later_changes_the_earlier_image_returns(before: Image, left: Image) -> None:
    merged = merge_back(before, left, left)
    assert same_image(merged.target, before)
    assert not merged.conflicts


@given(IMAGES, IMAGES)
def test_taking_back_twice_changes_nothing_more(before: Image, left: Image) -> None:
    again = merge_back(before, left, before)
    assert same_image(again.target, before)
    assert not again.restored
    assert not again.conflicts


@given(IMAGES, IMAGES, IMAGES)
def test_every_changed_field_is_accounted_for_once(before: Image, left: Image, now: Image) -> None:
    merged = merge_back(before, left, now)
    assert sorted(merged.restored + merged.already + merged.conflicts) == sorted(changed_fields(before, left))
    for name in merged.conflicts:
        assert same(value_of(merged.target, name), value_of(now, name))


@given(IMAGES, IMAGES, IMAGES)
def test_merging_leaves_its_arguments_alone(before: Image, left: Image, now: Image) -> None:
    copies = [repr(image) for image in (before, left, now)]
    merge_back(before, left, now)
    assert copies == [repr(image) for image in (before, left, now)]


@given(st.lists(st.text("ab.\\e", max_size=3), max_size=3).map(tuple))
def test_a_field_has_one_name(path: tuple[str, ...]) -> None:
    assert field_path(field_name(path)) == path
