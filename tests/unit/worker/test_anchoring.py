"""Contract of anchoring: every anchor is used in its own time; what it kept is on record and can be proven later; one that takes nothing
is told once, tried again ever later, shown until it is well, and keeps nobody else from being used; nor does one that is slow.
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from stopwork.anchors.base import WITHIN_S, Anchor, Log, Receipt
from stopwork.kernel.clock import Clock, ManualClock
from stopwork.kernel.errors import Tampered, Unavailable
from stopwork.ledger.events import DutyFailed, LogAnchored
from stopwork.ledger.merkle import verify_consistency
from stopwork.ledger.notes import notes_in, read_checkpoint, verify
from stopwork.ledger.words import AnchorKind
from stopwork.notify.outlet import Outlet
from stopwork.operations import sealing
from stopwork.operations.anchoring import receipts
from stopwork.worker.anchoring import TRIED_AGAIN_AFTER_S, Anchoring
from tests.support.office import Office


class Shelf:
    """An anchor that keeps checkpoints in memory, and can be out of order."""

    kind = AnchorKind.STORE

    def __init__(self, name: str, every_s: float) -> None:
        self.name, self.place, self.every_s = name, f"shelf {name}", every_s
        self.kept: list[str] = []
        self.ids: list[str] = []
        self.fault: Exception | None = None
        self.used = threading.Event()
        self.waits_for: Shelf | None = None

    def take(self, log: Log, message_id: str) -> Receipt:
        self.ids.append(message_id)
        self.used.set()
        if self.waits_for is not None and not self.waits_for.used.wait(WITHIN_S):
            raise Unavailable("nothing else was used meanwhile", hint="Look.")
        if self.fault is not None:
            raise self.fault
        self.kept.append(log.note)
        return Receipt(said="put there", content=b"a stamp", media_type="text/plain")


@pytest.fixture
def often() -> Shelf:
    return Shelf("often", 600.0)


@pytest.fixture
def seldom() -> Shelf:
    return Shelf("seldom", 3600.0)


@pytest.fixture
def office(tmp_path: Path, often: Shelf, seldom: Shelf) -> Iterator[Office]:
    def places(_outlet: Outlet, _clock: Clock) -> tuple[Anchor, ...]:
        return (often, seldom)

    with Office(tmp_path, anchors=places) as opened:
        yield opened


@pytest.fixture
def anchoring(office: Office) -> Anchoring:
    return Anchoring(office.inst)


def pass_time(office: Office, anchoring: Anchoring, seconds: float) -> None:
    assert isinstance(office.clock, ManualClock)
    office.clock.advance(timedelta(seconds=seconds))
    sealing.seal(office.store, office.inst.signer)
    anchoring.look()


def told(office: Office) -> list[DutyFailed]:
    entries = office.read(lambda view: view.entries(kinds=("duty.failed",)))
    return [entry.event for entry in entries if isinstance(entry.event, DutyFailed)]


def test_before_the_first_seal_there_is_nothing_to_keep(anchoring: Anchoring, often: Shelf) -> None:
    anchoring.look()
    assert often.kept == []


def test_every_anchor_is_used_in_its_own_time(
    office: Office, anchoring: Anchoring, often: Shelf, seldom: Shelf
) -> None:
    for _ in range(7):
        pass_time(office, anchoring, 600)
    assert (len(often.kept), len(seldom.kept)) == (7, 2)
    pass_time(office, anchoring, 599)
    assert len(often.kept) == 7


def test_a_new_process_goes_on_where_the_last_one_was(
    office: Office, anchoring: Anchoring, often: Shelf
) -> None:
    pass_time(office, anchoring, 600)
    pass_time(office, Anchoring(office.inst), 300)
    assert len(often.kept) == 1


def test_what_was_kept_is_on_record_and_proves_the_log_it_grew_into(
    office: Office, anchoring: Anchoring, often: Shelf
) -> None:
    pass_time(office, anchoring, 600)
    office.begin("monday")
    pass_time(office, anchoring, 600)
    size = sealing.seal(office.store, office.inst.signer)
    found = {each.anchor: each for each in office.read(lambda view: receipts(view, size))}
    assert found.keys() == {"often", "seldom"}
    kept = found["often"]
    assert (kept.checkpoint, base64.b64decode(kept.receipt), kept.media_type) == (
        often.kept[-1],
        b"a stamp",
        "text/plain",
    )
    earlier = read_checkpoint(verify(kept.checkpoint, [office.inst.signer.vkey]))
    note = office.read(lambda view: view.checkpoint_at(size))
    assert note is not None
    now = read_checkpoint(verify(note, [office.inst.signer.vkey]))
    proof = [bytes.fromhex(node) for node in kept.proof]
    assert 0 < earlier.size < now.size
    assert verify_consistency(earlier.size, now.size, earlier.root, now.root, proof)
    assert office.read(lambda view: receipts(view, earlier.size - 1)) != tuple(found.values())


@pytest.mark.parametrize(
    "fault",
    [Unavailable("the disk is gone", hint="Look."), Tampered("it was put back"), ZeroDivisionError("a bug")],
    ids=str,
)
def test_an_anchor_that_takes_nothing_is_told_once_and_stops_nobody(
    office: Office, anchoring: Anchoring, often: Shelf, seldom: Shelf, fault: Exception
) -> None:
    often.fault = fault
    pass_time(office, anchoring, 600)
    pass_time(office, anchoring, TRIED_AGAIN_AFTER_S)
    assert len(seldom.kept) == 1
    (failed,) = told(office)
    assert (failed.duty, str(fault.args[0]) in failed.error) == ("anchor often", True)
    assert [each.name for each in office.crew.health() if each.error] == ["anchor often"]
    assert {each.name: bool(each.error) for each in office.read(anchoring.standings)} == {
        "often": True,
        "seldom": False,
    }

    often.fault = None
    pass_time(office, anchoring, 600)
    assert [each.name for each in office.crew.health() if each.error] == []
    often.fault = fault
    pass_time(office, anchoring, 600)
    assert len(told(office)) == 2, "failing anew is news"


@pytest.mark.parametrize("slow", ["the first", "the last"])
def test_one_that_is_slow_keeps_no_other_waiting(
    office: Office, anchoring: Anchoring, often: Shelf, seldom: Shelf, slow: str
) -> None:
    (often if slow == "the first" else seldom).waits_for = seldom if slow == "the first" else often
    pass_time(office, anchoring, 600)
    assert (len(often.kept), len(seldom.kept)) == (1, 1)
    assert told(office) == []


def test_a_failing_anchor_is_tried_again_ever_later_and_the_same_thing_has_the_same_name(
    office: Office, anchoring: Anchoring, often: Shelf
) -> None:
    often.fault = Unavailable("the disk is gone", hint="Look.")
    sealing.seal(office.store, office.inst.signer)
    assert isinstance(office.clock, ManualClock)
    tries = []
    for second in range(0, 2000, 10):
        before = len(often.ids)
        anchoring.look()
        if len(often.ids) > before:
            tries.append(second)
        office.clock.advance(timedelta(seconds=10))
    assert tries == [0, 30, 90, 210, 450, 930, 1530]
    assert len(set(often.ids)) == 1


def test_an_anchor_that_has_kept_nothing_for_long_is_late(
    office: Office, anchoring: Anchoring, often: Shelf
) -> None:
    pass_time(office, anchoring, 600)
    assert isinstance(office.clock, ManualClock)
    office.clock.advance(timedelta(seconds=3 * 600 + 1))
    assert [each.late for each in office.read(anchoring.standings)] == [True, False]


def test_an_anchor_that_is_not_configured_any_more_is_not_failing_any_more(
    office: Office, anchoring: Anchoring, often: Shelf, seldom: Shelf
) -> None:
    seldom.fault = Unavailable("the disk is gone", hint="Look.")
    pass_time(office, anchoring, 600)
    office.inst.anchors = (often,)
    Anchoring(office.inst).look()
    assert [each.name for each in office.crew.health() if each.error] == []


def test_checkpoints_are_those_of_the_log(office: Office, anchoring: Anchoring, often: Shelf) -> None:
    for _ in range(3):
        pass_time(office, anchoring, 600)
    assert notes_in("\n".join(often.kept)) == often.kept
    events = [entry.event for entry in office.read(lambda view: view.entries(kinds=("log.anchored",)))]
    assert [
        event.checkpoint for event in events if isinstance(event, LogAnchored) and event.anchor == "often"
    ] == often.kept
