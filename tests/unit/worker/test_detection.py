"""Contract of the detection duty: it reads the journal once, and whatever it finds is recorded once, however often it is interrupted,
started anew or run beside another.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from stopwork.detect.detector import Detector, Finding
from stopwork.detect.missed_run import MissedRun
from stopwork.detect.registry import DETECTORS
from stopwork.detect.rulebook import Rulebook
from stopwork.kernel.clock import ManualClock
from stopwork.kernel.errors import StopworkError
from stopwork.ledger.events import Entry
from stopwork.ledger.records import Record, Signal
from stopwork.ledger.words import RunStatus
from stopwork.operations import runs
from stopwork.worker.detection import (
    BATCH,
    DUTY,
    MOST_UNSAVED,
    SAVED_EVERY,
    STATES,
    STATES_SAVED_EVERY,
    Detection,
)
from stopwork.worker.duty import advance, failure_of, position
from tests.support.office import MANIFEST, Office
from tests.support.told import recording, stepped

#: So many entries are recorded by one transaction.
PORTION = 5_000


@pytest.fixture
def detection(office: Office) -> Detection:
    return Detection(office.inst, DETECTORS)


def create(office: Office, run: str, *titles: str) -> None:
    for title in titles:
        office.ask(run, "crm.create_task", account_id="acme", title=title, n=office.store.last_seq)


def signals(office: Office) -> list[str]:
    return office.read(lambda view: [signal.summary for signal in view.each(Signal)])


def statement(office: Office, sql: str) -> None:
    office.store.write(lambda tx: tx.execute(sa.text(sql)))


def stored(office: Office) -> tuple[int, bytes]:
    return office.read(lambda view: position(view, DUTY))


def stored_at(office: Office) -> int:
    return stored(office)[0]


def states_at(office: Office) -> int:
    return office.read(lambda view: position(view, STATES)[0])


def test_what_shows_nothing_is_followed_without_writing(office: Office, detection: Detection) -> None:
    detection.follow()
    run = office.begin()
    create(office, run, "call them")
    before = office.store.last_seq
    detection.follow()
    assert stored_at(office) < before == office.store.last_seq


def test_a_duplicate_is_found_though_its_original_was_seen_before_a_crash(
    office: Office, detection: Detection
) -> None:
    detection.follow()
    run = office.begin()
    create(office, run, "call them")
    detection.follow()

    afresh = Detection(office.inst, DETECTORS)
    create(office, run, "call them")
    afresh.follow()
    assert len(signals(office)) == 1
    assert stored_at(office) > 0


def test_what_was_found_is_not_found_again_after_a_crash(office: Office, detection: Detection) -> None:
    run = office.begin()
    create(office, run, "call them", "call them", "write to them")
    detection.follow()
    assert len(signals(office)) == 1
    for _ in range(2):
        Detection(office.inst, DETECTORS).follow()
    assert len(signals(office)) == 1


def test_two_that_follow_at_once_find_everything_once(tmp_path: Path) -> None:
    with Office(tmp_path, manifest=MANIFEST.replace("hold: tool", "hold: none")) as office:
        one, other = Detection(office.inst, DETECTORS), Detection(office.inst, DETECTORS)
        run = office.begin()
        for follower, title in ((one, "call"), (other, "write"), (one, "visit"), (other, "wait")):
            one.follow()
            other.follow()
            create(office, run, title, title)
            follower.follow()
        one.follow()
        other.follow()
        assert len(signals(office)) == 4


def test_what_could_not_be_recorded_is_found_again(office: Office, detection: Detection) -> None:
    detection.follow()
    run = office.begin()
    create(office, run, "call them", "call them")
    statement(
        office, "CREATE TRIGGER no_signals BEFORE INSERT ON signal BEGIN SELECT RAISE(ABORT, 'none'); END"
    )
    with pytest.raises(StopworkError):
        detection.follow()
    assert signals(office) == []
    statement(office, "DROP TRIGGER no_signals")
    detection.follow()
    assert len(signals(office)) == 1


def test_how_far_it_came_is_stored_now_and_then(office: Office, detection: Detection) -> None:
    detection.follow()
    run = office.begin()
    create(office, run, "call them")
    assert isinstance(office.clock, ManualClock)
    office.clock.advance(SAVED_EVERY)
    detection.follow()
    assert stored_at(office) == office.store.last_seq
    assert states_at(office) == 0


def test_what_detectors_remember_is_stored_every_minute_in_which_there_is_something_new(
    office: Office, detection: Detection
) -> None:
    detection.follow()
    create(office, office.begin(), "call them")
    assert isinstance(office.clock, ManualClock)
    office.clock.advance(STATES_SAVED_EVERY)
    detection.follow()
    assert states_at(office) == stored_at(office) == office.store.last_seq

    before = stored(office)
    office.clock.advance(STATES_SAVED_EVERY)
    detection.follow()
    assert stored(office) == before


def test_so_much_is_never_to_be_folded_again(office: Office, detection: Detection) -> None:
    detection.follow()
    run = office.begin()
    for begin in range(0, MOST_UNSAVED, PORTION):
        steps = [stepped(f"step_{n}", run) for n in range(begin, begin + PORTION)]
        office.store.write(recording(*steps))
    detection.follow()
    assert states_at(office) >= MOST_UNSAVED


def test_a_finding_is_stored_without_what_all_detectors_remember(
    office: Office, detection: Detection
) -> None:
    detection.follow()
    create(office, office.begin(), "call them", "call them")
    detection.follow()
    assert len(signals(office)) == 1
    assert (stored_at(office) > 0, states_at(office)) == (True, 0)


def test_what_was_told_before_a_crash_is_told_no_second_time_by_what_comes_after(office: Office) -> None:
    """The states that are stored are older than the finding: that it was told is folded again."""
    run = office.begin()
    create(office, run, "call them", "call them")
    Detection(office.inst, DETECTORS).follow()
    create(office, run, "call them")
    Detection(office.inst, DETECTORS).follow()
    assert len(signals(office)) == 1


def test_what_time_showed_is_not_found_again_after_a_crash(office: Office) -> None:
    assert isinstance(office.clock, ManualClock)
    Detection(office.inst, [MissedRun()]).follow()
    office.clock.advance(timedelta(days=7))
    for _ in range(3):
        Detection(office.inst, [MissedRun()]).follow()
        office.clock.advance(timedelta(seconds=1))
    assert len(signals(office)) == 1
    assert states_at(office) > 0


def test_two_that_stand_at_the_same_entry_do_not_both_tell_what_time_shows(office: Office) -> None:
    assert isinstance(office.clock, ManualClock)
    one, other = Detection(office.inst, [MissedRun()]), Detection(office.inst, [MissedRun()])
    one.follow()
    other.follow()
    office.clock.advance(timedelta(days=7))
    one.follow()
    other.follow()
    assert len(signals(office)) == 1


def test_a_detector_that_cannot_read_its_state_is_told_also_where_entries_are_folded_again(
    office: Office,
) -> None:
    run = office.begin()
    create(office, run, "call them", "call them")
    Detection(office.inst, DETECTORS).follow()
    unreadable = b'{"duplicate_action":{"actions":"of another kind"}}'
    office.store.write(lambda tx: advance(tx, STATES, position=0, state=unreadable))
    Detection(office.inst, DETECTORS).follow()
    known = office.read(lambda view: failure_of(view, "detector duplicate_action"))
    assert known is not None
    assert len(signals(office)) == 1


def test_what_detectors_are_behind_with_was_not_missed(office: Office) -> None:
    """After an outage the run of this Monday stands further on in the journal than they have come when they look at the clock."""
    assert isinstance(office.clock, ManualClock)
    office.clock.advance(timedelta(days=6))
    run = office.begin(trigger="manual")
    office.store.write(recording(*(stepped(f"step_{n}", run) for n in range(BATCH + 1))))
    office.clock.advance(timedelta(hours=23, minutes=1))
    on_time = office.begin("the Monday after")
    office.store.write(lambda tx: runs.finish(tx, run=on_time, status=RunStatus.SUCCEEDED))
    office.clock.advance(timedelta(hours=3))
    Detection(office.inst, [MissedRun()]).follow()
    assert signals(office) == []


class Nothing(Record):
    """No state."""


class Watch(Detector[Nothing]):
    """Notes when it was told that time has passed."""

    name = "watch"
    watches = ()
    state_type = Nothing

    def __init__(self) -> None:
        self.told: list[datetime] = []

    def step(self, state: Nothing, entry: Entry, rules: Rulebook) -> tuple[Nothing, tuple[Finding, ...]]:
        return state, ()

    def tick(self, state: Nothing, now: datetime, rules: Rulebook) -> tuple[Nothing, tuple[Finding, ...]]:
        self.told.append(now)
        return state, ()


def test_detectors_go_on_looking_at_a_clock_that_was_set_back(office: Office) -> None:
    assert isinstance(office.clock, ManualClock)
    watch = Watch()
    detection = Detection(office.inst, [watch])
    began = office.clock.now()
    for hours in (1, -1, 1):
        detection.follow()
        office.clock.advance(timedelta(hours=hours))
    assert watch.told == [began, began + timedelta(hours=1), began]
