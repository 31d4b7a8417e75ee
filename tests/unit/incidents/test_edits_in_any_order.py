"""Whatever is edited, in whatever order: what must be there before an item runs stays the same, nothing overtakes what has to come first, and an item whose edits are all
taken back says what was proposed.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from stopwork.incidents.editing import Change, edited, moved, unedited
from stopwork.incidents.remedies import Offer
from stopwork.kernel.errors import StopworkError
from stopwork.ledger.records import Item
from stopwork.ledger.words import Remedy
from tests.unit.incidents.desk import START, Desk
from tests.unit.incidents.test_remedies import CLOSED, MARKED, TASK, offering

CHANGES = st.builds(
    Change,
    remedy=st.none() | st.sampled_from(Remedy),
    fields=st.dictionaries(
        st.sampled_from(["title", "status", "owner", "other", "title.x", ""]),
        st.none() | st.text(max_size=3) | st.integers(0, 3) | st.booleans(),
        max_size=2,
    ),
    args=st.dictionaries(st.sampled_from(["id", "why"]), st.text(max_size=3), max_size=2),
    turn=st.none() | st.integers(0, 5),
)


def proposed() -> list[Item]:
    """A change, two copies, a child with its parent: items that can be set, closed by a tool, removed, and that wait for each other."""
    desk = Desk({"acme": TASK})
    desk.call("call_1", "acme", {**TASK, "status": "wrong"})
    for number in (2, 3):
        desk.call(f"call_{number}", f"t{number}", {**TASK, "parent": f"t{number - 1}"}, tool="desk.create")
    by_tool = Offer(remedy=Remedy.REASSIGN, tool="desk.assign", args={"id": "x"})
    return desk.plan(offers=offering(CLOSED, MARKED, by_tool), invokes=frozenset({"desk"}))


def tried(items: list[Item], number: int, change: Change) -> list[Item]:
    one = items[number % len(items)]
    try:
        new = edited(one, change, restores=frozenset({"desk"}), person="lee@acme.test", at=START, reason="x")
        changed = [new if each.id == one.id else each for each in items]
        return _moved(changed, one.id, change.turn)
    except StopworkError:
        return items


def taken_back(items: list[Item]) -> list[Item]:
    for one in list(items):
        for _ in one.edits:
            items = [unedited(each) if each.id == one.id else each for each in items]
    return items


def _moved(items: list[Item], item: str, turn: int | None) -> list[Item]:
    if turn is None:
        return items
    other = {each.id: each for each in moved(items, item, turn)}
    return [other.get(each.id, each) for each in items]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), CHANGES), max_size=6))
def test_edits_keep_what_must_be_there_and_are_taken_back(edits: list[tuple[int, Any]]) -> None:
    before = proposed()
    items = before
    for number, change in edits:
        items = tried(items, number, change)
    assert {each.id: each.expected for each in items} == {each.id: each.expected for each in before}
    assert sorted(each.order for each in items) == list(range(1, len(items) + 1))
    place = {each.id: each.order for each in items}
    assert all(place[first] < each.order for each in items for first in each.after)
    back = {each.id: each for each in taken_back(items)}
    for each in before:
        again = back[each.id]
        assert (again.remedy, again.target, again.changes, again.ways, again.must_tell, again.edits) == (
            each.remedy,
            each.target,
            each.changes,
            each.ways,
            each.must_tell,
            (),
        )
