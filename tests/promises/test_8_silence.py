"""Promise: silence is not success. A detector, sealer or outlet that fails says so in the journal and in the health of the installation; a
duty that says nothing is not well.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import timedelta
from email.message import EmailMessage
from functools import partial
from pathlib import Path

import pytest

from stopwork.detect.detector import Detector, Finding
from stopwork.detect.registry import DETECTORS
from stopwork.detect.rulebook import Rulebook
from stopwork.kernel.clock import ManualClock, SystemClock
from stopwork.kernel.errors import Conflict, Unavailable
from stopwork.kernel.ids import TimeOrderedIds
from stopwork.ledger.events import DutyFailed, Entry, RunStarted
from stopwork.ledger.records import Incident, Message, Record, Signal
from stopwork.ledger.words import MessageState, SignalState
from stopwork.notify.outlet import Outlet
from stopwork.operations import messages
from stopwork.operations.installation import DATABASE
from stopwork.worker.crew import Crew
from stopwork.worker.duty import SILENT_FLOOR, note_health
from stopwork.worker.watching import Watching, standing_still
from tests.support.office import DANA, Office
from tests.support.trouble import Trouble

WITHIN_S = 10.0

DUTIES = {
    "detectors",
    "sealer",
    "housekeeping",
    "reconciling",
    "recoveries",
    "pause tests",
    "preserving",
    "containment",
    "severities",
    "telling",
    "watch",
}


class Nothing(Record):
    """The state of a detector that keeps none."""


class FaultyDetector(Detector[Nothing]):
    """Raises at every run that begins on the occasion it cannot stand, and at nothing else."""

    name = "faulty"
    watches = (RunStarted,)
    state_type = Nothing

    def step(self, state: Nothing, entry: Entry, rules: Rulebook) -> tuple[Nothing, tuple[Finding, ...]]:
        if isinstance(entry.event, RunStarted) and entry.event.trigger_id.startswith("bad"):
            raise ZeroDivisionError("it divided by its own shadow")
        return state, ()


@pytest.fixture
def busy(tmp_path: Path) -> Iterator[Office]:
    """An office whose background duties run on threads of their own."""
    clock = SystemClock()
    with Office(tmp_path, clock=clock, ids=TimeOrderedIds(clock)) as opened:
        opened.crew.start()
        yield opened
        opened.crew.stop()


def failures(office: Office) -> list[DutyFailed]:
    entries = office.read(lambda view: view.entries(kinds=("duty.failed",)))
    return [entry.event for entry in entries if isinstance(entry.event, DutyFailed)]


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + WITHIN_S
    while not condition():
        assert time.monotonic() < end, "it did not come to be"
        time.sleep(0.01)


def unwell(office: Office) -> dict[str, str]:
    return {duty.name: duty.error for duty in office.crew.health() if not duty.healthy}


# --- detectors -----------------------------------------------------------------------------------------


def test_a_detector_that_raises_is_told_once_and_blinds_nobody_else(office: Office) -> None:
    office.crew = Crew(office.inst, detectors=[FaultyDetector(), *DETECTORS])
    office.begin("bad")
    office.begin("bad again")
    trouble = Trouble(office)
    assert trouble.known.id, "the others have seen the duplicate"
    (failed,) = failures(office)
    assert (failed.duty, failed.error) == (
        "detector faulty",
        "ZeroDivisionError: it divided by its own shadow",
    )


def test_a_detector_that_raises_is_not_well_until_it_follows_again(office: Office) -> None:
    office.crew = Crew(office.inst, detectors=[FaultyDetector()])
    office.begin("bad")
    office.crew.catch_up()
    assert "its own shadow" in unwell(office)["detector faulty"]
    office.crew = Crew(office.inst, detectors=[FaultyDetector()])
    office.crew.catch_up()
    assert "detector faulty" in unwell(office), "a new process does not forget it"
    office.begin("good")
    office.wait(minutes=1)
    assert "detector faulty" in unwell(office), "what it missed it has missed"
    office.wait(minutes=15)
    assert "detector faulty" not in unwell(office)
    office.begin("bad")
    office.crew.catch_up()
    assert len(failures(office)) == 2, "failing anew is news"


# --- the sealer ----------------------------------------------------------------------------------------


def test_a_sealer_that_fails_says_so_once_and_is_well_when_it_goes_on(busy: Office) -> None:
    wait_until(lambda: unwell(busy) == {})
    busy.crew.stop()
    busy.crew = Crew(busy.inst)
    seq = busy.store.last_seq + 1
    busy.begin()
    change(busy, f"UPDATE journal SET leaf = zeroblob(32) WHERE seq = {seq}")
    busy.crew.start()
    wait_until(lambda: "sealer" in unwell(busy))
    assert f"journal entry {seq}" in unwell(busy)["sealer"]
    time.sleep(1.2)  # it has failed again by now
    assert [failed.duty for failed in failures(busy)] == ["sealer"]
    assert set(unwell(busy)) == {"sealer"}, "the other duties go on"


def change(office: Office, statement: str) -> None:
    with closing(sqlite3.connect(office.inst.folder / DATABASE, timeout=10)) as connection, connection:
        assert connection.execute(statement).rowcount > 0


def test_duties_that_run_are_well(busy: Office) -> None:
    wait_until(lambda: unwell(busy) == {})
    assert {duty.name for duty in busy.crew.health()} == DUTIES


# --- silence ---------------------------------------------------------------------------------------------


def test_a_duty_that_never_ran_is_not_well(office: Office) -> None:
    assert set(unwell(office)) == DUTIES
    assert all(duty.silent for duty in office.crew.health())


def test_a_duty_that_has_fallen_silent_is_not_well(office: Office) -> None:
    for name in DUTIES:
        office.write(partial(note_health, name=name, error=""))
    assert unwell(office) == {}
    assert isinstance(office.clock, ManualClock)
    office.clock.advance(SILENT_FLOOR + timedelta(seconds=10))
    assert set(unwell(office)) == {
        "detectors",
        "sealer",
        "housekeeping",
        "recoveries",
        "preserving",
        "severities",
        "telling",
    }
    office.clock.advance(timedelta(minutes=10))
    assert set(unwell(office)) == DUTIES


# --- a signal ----------------------------------------------------------------------------------------------


def signals(office: Office) -> list[str]:
    """Answer the signals about the installation itself, in words."""
    return office.read(
        lambda view: [signal.summary for signal in view.each(Signal) if signal.detector == "watch"]
    )


def all_well(office: Office, *, but: str = "") -> None:
    for name in {duty.name for duty in office.crew.health()} - {but}:
        office.write(partial(note_health, name=name, error=""))


def let_pass(office: Office, seconds: float) -> None:
    assert isinstance(office.clock, ManualClock)
    office.clock.advance(timedelta(seconds=seconds))


def test_detectors_that_hang_are_a_signal_once_until_they_are_well_again(office: Office) -> None:
    watching = Watching(office.store, office.crew.health)
    all_well(office)
    for outage in (1, 2):
        for _ in range(4):
            let_pass(office, 14)
            all_well(office, but="detectors")
            watching.look()
        assert signals(office) == outage * [
            "the background duty detectors does not do its work: nothing was heard of it for 15 seconds"
        ]
        assert failures(office)[-1].duty == "detectors"
        assert [told.facts["duty"] for told in office.read(standing_still)] == ["detectors"]
        office.crew.catch_up()
        let_pass(office, 1)
        all_well(office)
        watching.look()
        assert office.read(standing_still) == []
    assert office.read(lambda view: view.count(Signal, state=SignalState.SERVER)) == 2


def test_what_has_only_just_begun_is_given_a_moment(office: Office) -> None:
    watching = Watching(office.store, office.crew.health)
    watching.look()
    let_pass(office, 14)
    watching.look()
    assert signals(office) == []
    all_well(office)
    watching.look()
    let_pass(office, 1)
    watching.look()
    assert signals(office) == []


def test_a_detector_that_raises_is_a_signal_at_once(office: Office) -> None:
    office.crew = Crew(office.inst, detectors=[FaultyDetector()])
    watching = Watching(office.store, office.crew.health)
    office.begin("bad")
    office.crew.catch_up()
    watching.look()
    watching.look()
    (told,) = signals(office)
    assert told.startswith("the background duty detector faulty does not do its work: ZeroDivisionError")
    assert [failed.duty for failed in failures(office)] == ["detector faulty"], "said once in the journal"


@pytest.mark.parametrize("name", ["detectors", "sealer"])
def test_how_far_who_follows_the_journal_is_behind_is_shown_and_too_far_is_not_well(
    office: Office, name: str
) -> None:
    watching = Watching(office.store, office.crew.health)
    office.begin("one")
    office.crew.catch_up()
    [reader] = [duty for duty in office.crew.health() if duty.name == name]
    assert reader.behind_s == 0.0

    before = office.store.last_seq
    office.begin("two")
    for _ in range(8):
        let_pass(office, 10)
        all_well(office)
        watching.look()
    [reader] = [duty for duty in office.crew.health() if duty.name == name]
    assert reader.behind >= office.store.last_seq - before > 0
    assert (reader.behind_s, reader.silent, reader.healthy) == (80.0, False, False)
    assert [told.partition(", ")[2] for told in signals(office) if f"duty {name} " in told] == [
        "the oldest for 1 minute"
    ]
    office.crew.catch_up()
    assert name not in unwell(office)


# --- the outlet --------------------------------------------------------------------------------------------


class Post:
    """An outlet that can be out of order. It remembers the messages; what people are told besides is another story."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.fault: Exception | None = None
        self.meanwhile: Callable[[], None] = lambda: None

    def hand_over(self, message: EmailMessage) -> dict[str, str]:
        self.meanwhile()
        if self.fault is not None:
            raise self.fault
        if (name := str(message["X-Stopwork-Message"])).startswith("msg_"):
            self.sent.append(name)
        return {"dana@acme.test": "accepted"}


@pytest.fixture
def post() -> Post:
    return Post()


@pytest.fixture
def letter(tmp_path: Path, post: Post) -> Iterator[tuple[Office, Message]]:
    """A message whose text a person has approved, not sent yet."""
    outlet = Outlet("a test", "stopwork@acme.test", post.hand_over)
    with Office(tmp_path, outlet=outlet) as office:
        draft = Trouble(office).draft()[0]
        approve = partial(messages.approve, message=draft.id, digest=draft.digest)
        yield office, office.write(approve, actor=DANA)


@pytest.mark.parametrize(
    "fault",
    [Unavailable("the mail server is down", hint="Wait."), RuntimeError("a bug in the mailer")],
    ids=str,
)
def test_a_message_that_did_not_leave_is_failed_with_the_reason_and_may_be_sent_again(
    letter: tuple[Office, Message], post: Post, fault: Exception
) -> None:
    office, message = letter
    post.fault = fault
    failed = messages.send(office.inst, DANA, message=message.id)
    assert failed.state is MessageState.FAILED
    assert str(fault.args[0]) in failed.error
    assert kinds(office) == ["message.failed"]
    assert office.read(lambda view: view.need(Incident, message.incident)).communicated_at is None

    post.fault = None
    assert messages.send(office.inst, DANA, message=message.id).state is MessageState.SENT
    assert post.sent == [message.id]


def kinds(office: Office) -> Sequence[str]:
    entries = office.read(lambda view: view.entries(kinds=("message.failed", "message.sent")))
    return [str(type(entry.event).__struct_config__.tag) for entry in entries]


def test_a_message_is_sent_once_whoever_presses_the_button_meanwhile(
    letter: tuple[Office, Message], post: Post
) -> None:
    office, message = letter

    def press_again() -> None:
        with pytest.raises(Conflict, match="is being sent"):
            messages.send(office.inst, DANA, message=message.id)

    post.meanwhile = press_again
    messages.send(office.inst, DANA, message=message.id)
    with pytest.raises(Conflict):
        messages.send(office.inst, DANA, message=message.id)
    assert post.sent == [message.id]


def test_a_message_whose_sending_has_no_end_is_settled_by_a_person(
    letter: tuple[Office, Message], post: Post
) -> None:
    office, message = letter

    def die() -> None:
        raise KeyboardInterrupt

    post.meanwhile = die
    with pytest.raises(KeyboardInterrupt):
        messages.send(office.inst, DANA, message=message.id)
    post.meanwhile = lambda: None
    with pytest.raises(Conflict, match="has no end"):
        messages.send(office.inst, DANA, message=message.id)
    with pytest.raises(Conflict):
        office.write(
            partial(
                messages.edit, message=message.id, recipients=("dana@acme.test",), subject="x", body="other"
            ),
            actor=DANA,
        )
    settled = office.write(
        partial(
            messages.settle,
            manifests=office.inst.manifests,
            message=message.id,
            arrived=False,
            note="the server's log has nothing",
        ),
        actor=DANA,
    )
    assert settled.state is MessageState.FAILED
    assert messages.send(office.inst, DANA, message=message.id).state is MessageState.SENT
    assert post.sent == [message.id]


def test_an_outlet_onto_a_full_disk_is_not_available() -> None:
    outlet = Outlet.to_folder(Path("/dev/full"))
    with pytest.raises(Unavailable, match="cannot be written") as caught:
        outlet.send(
            message_id="msg_1",
            recipients=["dana@acme.test"],
            subject="Renewals",
            body="Something happened.\n",
            at=SystemClock().now(),
        )
    assert caught.value.hint
