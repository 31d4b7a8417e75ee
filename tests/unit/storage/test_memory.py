"""Contract of a writer's memory: bounded, what is used stays, what is large is not kept, and a search is forgotten when its kind changes."""

from __future__ import annotations

from msgspec import UNSET

from stopwork.ledger.records import Control, Hold
from stopwork.storage.memory import MAX_BYTES, MAX_BYTES_EACH, MAX_SEARCHES, Memory
from stopwork.storage.pending import Pending


def control(epoch: int) -> Control:
    return Control(epoch=epoch)


def test_it_tells_what_is_there_from_what_is_not_and_from_what_it_does_not_know() -> None:
    memory = Memory()
    memory.learn((Control, "there"), control(1), 20)
    memory.learn((Control, "not there"), None, 0)
    assert memory.get((Control, "there")) == control(1)
    assert memory.get((Control, "not there")) is None
    assert memory.get((Control, "never asked")) is UNSET
    assert memory.get((Hold, "there")) is UNSET


def test_it_is_bounded_and_keeps_what_is_used() -> None:
    memory = Memory()
    memory.learn((Control, "used"), control(0), MAX_BYTES_EACH)
    most = MAX_BYTES // MAX_BYTES_EACH
    for n in range(4 * most):
        memory.learn((Control, str(n)), control(n), MAX_BYTES_EACH)
        assert memory.get((Control, "used")) == control(0)
    kept = [n for n in range(4 * most) if memory.get((Control, str(n))) is not UNSET]
    assert 0 < len(kept) <= most
    assert kept[-1] == 4 * most - 1


def test_the_same_record_again_takes_no_more_room() -> None:
    memory = Memory()
    memory.learn((Control, "other"), control(0), 10)
    for n in range(4 * MAX_BYTES // MAX_BYTES_EACH):
        memory.learn((Control, "changing"), control(n), MAX_BYTES_EACH)
    assert memory.get((Control, "other")) == control(0)


def test_what_is_large_is_not_kept_nor_what_was_known_before() -> None:
    memory = Memory()
    memory.learn((Control, "grown"), control(1), 10)
    memory.learn((Control, "grown"), control(2), MAX_BYTES_EACH + 1)
    assert memory.get((Control, "grown")) is UNSET


def test_a_search_is_remembered_for_some_kinds_until_one_of_them_changes() -> None:
    memory = Memory()
    memory.learn_search(Hold, ("active",), [])
    memory.learn_search(Control, ("active",), [])
    assert (memory.searched(Hold, ("active",)), memory.searched(Control, ("active",))) == ([], None)

    changes = Pending()
    changes.kinds.add(Control)
    memory.learn_committed(changes)
    assert memory.searched(Hold, ("active",)) == []
    changes.kinds.add(Hold)
    memory.learn_committed(changes)
    assert memory.searched(Hold, ("active",)) is None

    for n in range(2 * MAX_SEARCHES):
        memory.learn_search(Hold, n, [])
    assert sum(memory.searched(Hold, n) is not None for n in range(2 * MAX_SEARCHES)) <= MAX_SEARCHES
