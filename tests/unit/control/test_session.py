"""Contract of the machine: each test is the transcript of one call, read from top to bottom.

``>>`` is what the machine wants done, ``<<`` what the world answers, with the seconds at which it did.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from typing import Any

import pytest
from msgspec.structs import replace

from stopwork.control import steps as s
from stopwork.control.protocol import (
    OBSERVED_AT_ONCE,
    AskPermit,
    AttemptRecorded,
    EffectsRecorded,
    OutcomeRecorded,
    PermitAnswer,
    RecordAttempt,
    RecordEffects,
    RecordOutcome,
)
from stopwork.control.session import CallSession, State
from stopwork.kernel.errors import Conflict, Denied, Unavailable
from stopwork.ledger.records import Captured, Image, ObjectRef, Observed
from stopwork.ledger.words import EffectKind, Operation, Outcome, Verdict

TASK = ObjectRef(system="crm", type="task", id="t1")
ASK = AskPermit(call="call_1", session="session_1", run="run_1", tool="crm.update", args={"id": "t1"})
BEFORE = (Captured(object=TASK, image=Image.present({"due": "May"})),)
CHANGED = (
    Observed(
        object=TASK,
        operation=Operation.MODIFIED,
        before=Image.present({"due": "May"}),
        after=Image.present({"due": "June"}),
    ),
)
DOWN = s.DeskFailed(error=Unavailable("no answer"))
NO = s.DeskFailed(error=Denied("not your run"))
TOO_LATE = s.DeskFailed(error=Conflict("the permit ran out"))

PERMIT = PermitAnswer(
    call="call_1",
    verdict=Verdict.ALLOW,
    would=Verdict.ALLOW,
    args={"id": "t1"},
    capture=(TASK,),
    valid_for_s=60,
)
WAITING = PermitAnswer(call="call_1", verdict=Verdict.WAIT, would=Verdict.WAIT, approval="appr_1")
DENIED = PermitAnswer(call="call_1", verdict=Verdict.DENY, would=Verdict.DENY)
DRAFTED = PermitAnswer(call="call_1", verdict=Verdict.DRAFT, would=Verdict.DRAFT)
REPLAY = PermitAnswer(call="call_1", verdict=Verdict.REPLAY, would=Verdict.REPLAY, replay=True, result=7)

READ_BEFORE = s.ReadBefore(objects=(TASK,))
ATTEMPT = RecordAttempt(call="call_1", session="session_1", before=BEFORE)
INVOKE = s.Invoke(args={"id": "t1"}, until=0.0)
READ_AFTER = s.ReadAfter(objects=(TASK,))
SEEN = s.Seen(observed=CHANGED)
SUCCEEDED = RecordOutcome(
    call="call_1", session="session_1", outcome=Outcome.SUCCEEDED, result=7, observed=CHANGED
)


def not_started(why: str) -> RecordOutcome:
    return RecordOutcome(
        call="call_1", session="session_1", outcome=Outcome.FAILED, error=f"not started: {why}"
    )


class Playbook:
    """Plays a transcript against one machine; the first line that does not fit fails the test."""

    def __init__(self, effect: EffectKind | None = EffectKind.UPDATE, **patience: Any) -> None:
        self.session = CallSession(ASK, effect, s.Patience(**patience))
        self._wanted: Any = self.session.begin(0.0)

    def __rshift__(self, command: Any) -> Playbook:
        wanted = self._wanted
        if command is INVOKE and isinstance(wanted, s.Invoke):
            wanted = replace(wanted, until=INVOKE.until)
        assert wanted == command
        return self

    def __lshift__(self, event: Any) -> Playbook:
        at, event = event if isinstance(event, tuple) else (1.0, event)
        self._wanted = self.session.step(event, at)
        return self

    def ends_with(self, kind: type[s.Ending]) -> Any:
        assert isinstance(self._wanted, kind), self._wanted
        assert self.session.state is State.DONE
        return self._wanted


def up_to_run(**patience: Any) -> Playbook:
    book = Playbook(**patience)
    (
        book
        >> ASK
        << PERMIT
        >> READ_BEFORE
        << s.ImagesRead(before=BEFORE)
        >> ATTEMPT
        << AttemptRecorded()
        >> INVOKE
    )
    return book


def up_to_record(**patience: Any) -> Playbook:
    return up_to_run(**patience) << s.Returned(result=7) >> READ_AFTER << SEEN >> SUCCEEDED


# --- the straight ways ------------------------------------------------------------------------------


def test_a_write_that_succeeds() -> None:
    (up_to_record() << OutcomeRecorded()).ends_with(s.Return)


def test_a_read_records_no_attempt() -> None:
    book = Playbook(EffectKind.READ)
    book >> ASK << PERMIT >> READ_BEFORE << s.ImagesRead() >> INVOKE << s.Returned(result=7)
    (
        book
        >> READ_AFTER
        << s.Seen()
        >> RecordOutcome(call="call_1", session="session_1", outcome=Outcome.SUCCEEDED, result=7)
    )
    (book << OutcomeRecorded()).ends_with(s.Return)


def test_a_tool_that_nobody_declared_is_treated_as_a_write() -> None:
    Playbook(None) >> ASK << PERMIT >> READ_BEFORE << s.ImagesRead(before=BEFORE) >> ATTEMPT


def test_what_the_permit_says_of_the_tool_counts_not_what_the_run_began_with() -> None:
    writes = replace(PERMIT, effect=EffectKind.UPDATE)
    Playbook(EffectKind.READ) >> ASK << writes >> READ_BEFORE << s.ImagesRead(before=BEFORE) >> ATTEMPT
    reads = replace(PERMIT, effect=EffectKind.READ)
    Playbook(EffectKind.UPDATE) >> ASK << reads >> READ_BEFORE << s.ImagesRead(before=BEFORE) >> INVOKE


def test_an_object_that_only_the_result_names_is_read_and_reported() -> None:
    book = up_to_record() << OutcomeRecorded(capture=(TASK,)) >> s.ReadNew(objects=(TASK,)) << SEEN
    book >> RecordEffects(call="call_1", observed=CHANGED)
    (book << EffectsRecorded()).ends_with(s.Return)


def test_too_many_changes_for_one_request_are_told_in_portions_before_the_call_ends() -> None:
    changed = tuple(
        replace(CHANGED[0], object=replace(TASK, id=str(number)))
        for number in range(2 * OBSERVED_AT_ONCE + 1)
    )
    first, second, third = (
        changed[:OBSERVED_AT_ONCE],
        changed[OBSERVED_AT_ONCE : 2 * OBSERVED_AT_ONCE],
        changed[2 * OBSERVED_AT_ONCE :],
    )
    seen = s.Seen(observed=changed, unseen={"mail": "out of reach"})
    book = up_to_run() << s.Returned(result=7) >> READ_AFTER << seen
    book >> replace(SUCCEEDED, observed=first, unseen={"mail": "out of reach"})
    book << OutcomeRecorded(capture=(TASK,)) >> RecordEffects(call="call_1", observed=second)
    book << DOWN >> s.Sleep(duration_s=s.Patience().first_retry_after_s)
    book << s.Woke() >> RecordEffects(call="call_1", observed=second)
    book << EffectsRecorded() >> RecordEffects(call="call_1", observed=third)
    book << EffectsRecorded() >> s.ReadNew(objects=(TASK,))
    (book << s.Seen()).ends_with(s.Return)


@pytest.mark.parametrize(
    ("effect", "doubt", "unchanged", "outcome"),
    [
        (EffectKind.UPDATE, s.Doubt.NONE, False, Outcome.FAILED),
        (EffectKind.UPDATE, s.Doubt.OPEN, False, Outcome.UNKNOWN),
        (EffectKind.UPDATE, s.Doubt.OPEN, True, Outcome.FAILED),
        (EffectKind.UPDATE, s.Doubt.LASTING, True, Outcome.UNKNOWN),
        (None, s.Doubt.OPEN, False, Outcome.UNKNOWN),
        (EffectKind.READ, s.Doubt.OPEN, False, Outcome.FAILED),
        (EffectKind.READ, s.Doubt.LASTING, False, Outcome.UNKNOWN),
    ],
)
def test_a_tool_that_raises_has_failed_or_nobody_knows_and_its_exception_goes_on(
    effect: EffectKind | None, doubt: s.Doubt, unchanged: bool, outcome: Outcome
) -> None:
    book = Playbook(effect) >> ASK << PERMIT >> READ_BEFORE << s.ImagesRead(before=BEFORE)
    if effect is not EffectKind.READ:
        book >> ATTEMPT << AttemptRecorded()
    book >> INVOKE << s.Raised(error="KeyError: 'due'", doubt=doubt)
    book >> READ_AFTER << s.Seen(unchanged=unchanged)
    book >> RecordOutcome(call="call_1", session="session_1", outcome=outcome, error="KeyError: 'due'")
    (book << OutcomeRecorded()).ends_with(s.Reraise)


def test_a_tool_that_timed_out_leaves_unknown_with_what_was_seen() -> None:
    book = up_to_run() << s.Raised(error="ReadTimeout", doubt=s.Doubt.LASTING) >> READ_AFTER << SEEN
    book >> RecordOutcome(
        call="call_1", session="session_1", outcome=Outcome.UNKNOWN, error="ReadTimeout", observed=CHANGED
    )
    (book << OutcomeRecorded()).ends_with(s.Reraise)


@pytest.mark.parametrize("answer", [DENIED, DRAFTED], ids=["denied", "drafted"])
def test_a_refusal_ends_the_call(answer: PermitAnswer) -> None:
    assert (Playbook() >> ASK << answer).ends_with(s.Refuse).answer is answer


def test_a_replay_returns_the_recorded_result_and_runs_nothing() -> None:
    assert (Playbook() >> ASK << REPLAY).ends_with(s.Replay).answer.result == 7


# --- waiting for approval ---------------------------------------------------------------------------


def test_without_patience_a_waiting_call_is_handed_back_at_once() -> None:
    assert (Playbook() >> ASK << WAITING).ends_with(s.Refuse).answer.approval == "appr_1"


def test_with_patience_it_asks_again_until_people_have_answered() -> None:
    book = Playbook(approval_wait_s=10, poll_s=4) >> ASK << (0.0, WAITING) >> s.Sleep(duration_s=4)
    book << (4.0, s.Woke()) >> ASK << (4.0, WAITING) >> s.Sleep(duration_s=4) << (8.0, s.Woke())
    book >> ASK << (8.0, PERMIT) >> READ_BEFORE


def test_patience_ends() -> None:
    book = Playbook(approval_wait_s=5, poll_s=4) >> ASK << (0.0, WAITING) >> s.Sleep(duration_s=4)
    book << (4.0, s.Woke()) >> ASK << (4.0, WAITING) >> s.Sleep(duration_s=1) << (5.0, s.Woke())
    (book >> ASK << (5.0, WAITING)).ends_with(s.Refuse)


def test_the_permit_s_life_counts_from_the_last_question_not_from_the_first() -> None:
    book = Playbook(approval_wait_s=100, poll_s=50) >> ASK << (0.0, WAITING) << (50.0, s.Woke())
    book >> ASK << (51.0, PERMIT) >> READ_BEFORE << (100.0, s.ImagesRead(before=BEFORE)) >> ATTEMPT


# --- the control plane does not answer --------------------------------------------------------------


def test_a_question_that_nobody_answers_is_asked_three_times_and_then_refused() -> None:
    book = Playbook() >> ASK << DOWN >> s.Sleep(duration_s=0.1) << s.Woke() >> ASK << DOWN
    book >> s.Sleep(duration_s=0.2) << s.Woke() >> ASK << DOWN
    assert book.ends_with(s.Fail).error is DOWN.error


def test_a_question_that_is_refused_is_not_asked_again() -> None:
    assert (Playbook() >> ASK << NO).ends_with(s.Fail).error is NO.error


def test_a_call_whose_attempt_cannot_be_recorded_does_not_run() -> None:
    book = Playbook(record_tries=2) >> ASK << PERMIT >> READ_BEFORE << s.ImagesRead(before=BEFORE)
    book >> ATTEMPT << DOWN >> s.Sleep(duration_s=0.1) << s.Woke() >> ATTEMPT << DOWN
    book >> not_started("its attempt could not be recorded") << OutcomeRecorded()
    assert book.ends_with(s.Fail).error is DOWN.error


def test_when_not_even_that_can_be_recorded_the_call_still_does_not_run() -> None:
    book = Playbook(record_tries=1) >> ASK << PERMIT >> READ_BEFORE << s.ImagesRead(before=BEFORE)
    (book >> ATTEMPT << DOWN >> not_started("its attempt could not be recorded") << DOWN).ends_with(s.Fail)


def test_an_outcome_is_tried_again_and_the_tool_is_not() -> None:
    book = up_to_record(record_tries=3) << DOWN >> s.Sleep(duration_s=0.1) << s.Woke() >> SUCCEEDED << DOWN
    book >> s.Sleep(duration_s=0.2) << s.Woke() >> SUCCEEDED << OutcomeRecorded()
    book.ends_with(s.Return)


def test_an_outcome_that_cannot_be_recorded_is_said_to_the_caller() -> None:
    ending = (up_to_record(record_tries=1) << DOWN).ends_with(s.Unrecorded)
    assert (ending.call, ending.what, ending.outcome) == ("call_1", "outcome", Outcome.SUCCEEDED)


def test_effects_that_cannot_be_recorded_are_said_to_the_caller() -> None:
    book = up_to_record(record_tries=1) << OutcomeRecorded(capture=(TASK,)) << SEEN << DOWN
    assert book.ends_with(s.Unrecorded).what == "effects"


# --- too late ---------------------------------------------------------------------------------------


def test_a_permit_that_ran_out_while_objects_were_read_is_asked_for_again() -> None:
    book = Playbook() >> ASK << PERMIT >> READ_BEFORE << (60.0, s.ImagesRead(before=BEFORE))
    book >> ASK << (61.0, PERMIT) >> READ_BEFORE << (62.0, s.ImagesRead(before=BEFORE)) >> ATTEMPT


def test_a_hold_set_meanwhile_stops_the_late_call() -> None:
    book = Playbook() >> ASK << PERMIT >> READ_BEFORE << (60.0, s.ImagesRead(before=BEFORE)) >> ASK
    (book << DENIED).ends_with(s.Refuse)


def test_a_permit_that_the_server_finds_late_is_asked_for_again() -> None:
    book = Playbook() >> ASK << PERMIT >> READ_BEFORE << s.ImagesRead(before=BEFORE) >> ATTEMPT
    book << TOO_LATE >> ASK << PERMIT >> READ_BEFORE


def test_permits_are_not_asked_for_for_ever() -> None:
    book = Playbook(permits=2) >> ASK << PERMIT << (60.0, s.ImagesRead(before=BEFORE)) >> ASK
    book << (60.0, PERMIT) << (120.0, s.ImagesRead(before=BEFORE)) >> not_started("its permit ran out")
    assert isinstance((book << OutcomeRecorded()).ends_with(s.Fail).error, Unavailable)


def test_a_process_that_slept_after_its_attempt_does_not_run_the_tool() -> None:
    book = Playbook() >> ASK << PERMIT << s.ImagesRead(before=BEFORE) >> ATTEMPT << (60.0, AttemptRecorded())
    (book >> not_started("its permit ran out") << OutcomeRecorded()).ends_with(s.Fail)


def test_a_process_that_slept_for_less_has_its_attempt_looked_at_again_before_it_runs_the_tool() -> None:
    book = Playbook() >> ASK << PERMIT << s.ImagesRead(before=BEFORE) >> ATTEMPT << (7.0, AttemptRecorded())
    book >> ATTEMPT << (8.0, AttemptRecorded()) >> s.Invoke(args={"id": "t1"}, until=12.0)
    book << (12.5, s.Late()) >> ATTEMPT << (13.0, AttemptRecorded()) >> INVOKE << s.Returned(result=7)
    (book >> READ_AFTER << SEEN >> SUCCEEDED << OutcomeRecorded()).ends_with(s.Return)


def test_a_hold_set_meanwhile_keeps_a_late_attempt_from_beginning_and_it_ends_as_never_begun() -> None:
    book = up_to_run() << (7.0, s.Late()) >> ATTEMPT << s.DeskFailed(error=Conflict("tool crm is held"))
    book >> not_started("it was late, and tool crm is held") << OutcomeRecorded()
    assert "tool crm is held" in book.ends_with(s.Fail).error.detail


def test_attempts_are_not_looked_at_again_for_ever() -> None:
    book = up_to_run(permits=2) << (7.0, s.Late()) >> ATTEMPT << (13.0, AttemptRecorded())
    (book >> not_started("its permit ran out") << OutcomeRecorded()).ends_with(s.Fail)


def test_an_attempt_that_is_answered_in_the_third_try_counts_from_that_one() -> None:
    book = Playbook() << PERMIT << s.ImagesRead(before=BEFORE) << (2.0, DOWN) >> s.Sleep(duration_s=0.1)
    book << (7.0, s.Woke()) >> ATTEMPT << (8.0, AttemptRecorded()) >> s.Invoke(args={"id": "t1"}, until=12.0)


def test_a_late_read_is_asked_for_again_and_its_objects_are_not() -> None:
    book = Playbook(EffectKind.READ) >> ASK << PERMIT >> READ_BEFORE << s.ImagesRead() >> INVOKE
    book << (7.0, s.Late()) >> ASK << (8.0, PERMIT) >> s.Invoke(args={"id": "t1"}, until=12.0)
    (book << (12.0, s.Late()) >> ASK << DENIED).ends_with(s.Refuse)


def test_a_read_before_which_looking_takes_long_is_looked_at_again_by_the_control_plane_only() -> None:
    book = Playbook(EffectKind.READ) >> ASK << PERMIT >> READ_BEFORE << (9.0, s.ImagesRead()) >> ASK
    book << (9.1, PERMIT) >> s.Invoke(args={"id": "t1"}, until=14.0)


# --- objects that cannot be read --------------------------------------------------------------------


def test_what_cannot_be_read_before_is_not_changed() -> None:
    book = Playbook() >> ASK << PERMIT >> READ_BEFORE << s.ImagesFailed(why="crm is down")
    book >> not_started("crm is down") << OutcomeRecorded()
    assert "crm is down" in book.ends_with(s.Fail).error.detail


# --- cancelled --------------------------------------------------------------------------------------


def test_cancelled_while_asking_nothing_is_owed() -> None:
    (Playbook() >> ASK << s.Cancelled()).ends_with(s.Reraise)


def test_cancelled_between_permit_and_run_the_permit_is_closed() -> None:
    book = Playbook() >> ASK << PERMIT >> READ_BEFORE << s.Cancelled() >> not_started("cancelled")
    (book << OutcomeRecorded()).ends_with(s.Reraise)


def test_cancelled_while_running_the_outcome_is_unknown() -> None:
    book = up_to_run() << s.Cancelled() >> READ_AFTER << SEEN
    error = "cancelled while it ran"
    book >> RecordOutcome(
        call="call_1", session="session_1", outcome=Outcome.UNKNOWN, error=error, observed=CHANGED
    )
    (book << OutcomeRecorded()).ends_with(s.Reraise)


def test_cancelled_while_recording_the_record_is_finished_first() -> None:
    (up_to_record() << s.Cancelled() >> SUCCEEDED << OutcomeRecorded()).ends_with(s.Reraise)


def test_cancelled_twice_it_gives_in() -> None:
    (up_to_record() << s.Cancelled() >> SUCCEEDED << s.Cancelled()).ends_with(s.Reraise)


# --- what can never happen --------------------------------------------------------------------------

EVENTS: tuple[Any, ...] = (
    PERMIT,
    AttemptRecorded(),
    OutcomeRecorded(),
    EffectsRecorded(),
    DOWN,
    s.ImagesRead(before=BEFORE),
    s.ImagesFailed(why="down"),
    s.Late(),
    s.Returned(result=7),
    s.Raised(error="x"),
    SEEN,
    s.Woke(),
    s.Cancelled(),
)


LONGEST = 14


def test_an_event_out_of_place_names_the_legal_ones() -> None:
    book = Playbook() >> ASK
    with pytest.raises(Conflict, match="Legal here: Cancelled, DeskFailed, PermitAnswer, Woke"):
        book << s.Returned(result=7)


def test_whatever_happens_the_tool_runs_at_most_once_and_only_on_a_durable_attempt() -> None:
    """Every sequence of legal events, from the first question until the call is done or very long."""
    machine = CallSession(ASK, EffectKind.UPDATE, s.Patience(ask_tries=2, record_tries=2, permits=2))
    machine.begin(0.0)
    stories = list(_stories(machine, (), LONGEST))
    assert len(stories) > 1000
    for story in stories:
        kinds = [type(happened) for happened in story]
        began = [
            at for at, kind in enumerate(kinds) if kind is s.Invoke and s.Late not in kinds[at + 1 : at + 2]
        ]
        assert len(began) <= 1
        for ran in began:
            assert AttemptRecorded in kinds[:ran]
            # Whoever ran it tried to record an outcome, or was told twice to give in.
            assert RecordOutcome in kinds[ran:] or kinds.count(s.Cancelled) >= 2 or len(story) == 2 * LONGEST


def _stories(machine: CallSession, told: tuple[Any, ...], left: int) -> Iterator[tuple[Any, ...]]:
    if left == 0 or machine.state is State.DONE:
        yield told
        return
    for event in EVENTS:
        branch = copy(machine)
        try:
            command = branch.step(event, 1.0)
        except Conflict:
            continue
        yield from _stories(branch, (*told, event, command), left - 1)
