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
from stopwork.worker.detection import BATCH, DUTY, MOST_UNSAVED, SAVED_EVERY, Detection
from stopwork.worker.duty import position
from tests.support.office import MANIFEST, Office
from tests.support.told import recording, stepped


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


def stored_at(office: Office) -> int:
    return office.read(lambda view: position(view, DUTY)[0])


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

    before = stored_at(office)
    office.store.write(recording(*(stepped(f"step_{n}", run) for n in range(MOST_UNSAVED))))
    detection.follow()
    assert stored_at(office) - before >= MOST_UNSAVED


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
