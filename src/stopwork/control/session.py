"""The machine that carries one tool call through: events in, one command out, no sockets, no clock, no threads.

A shell performs the command and hands back what came of it, together with the reading of a clock that keeps counting while
the machine is suspended (:func:`stopwork.kernel.clock.boottime`). The synchronous and the asynchronous SDK and the gateway are
such shells::

    command = session.begin(at)
    while not isinstance(command, Ending):
        command = session.step(perform(command), at)

What it holds to:

- The tool runs at most once, only on a permit that is still valid, and, if it changes something, only after the attempt is
  durable.
- What was said long ago is asked again: a read begins soon after its permit was asked for, a change soon after its attempt was, or the
  control plane is asked once more and refuses what a hold covers by now. The shell looks at that as its very last thing.
- A change that raised is *unknown*, unless it certainly did not take effect or everything is seen to be as it was.
- A permit that did not lead to a run is closed as failed, "not started".
- Once the tool has begun, an outcome is recorded whatever happens: succeeded, failed, or *unknown* where nobody can tell, as
  after a time-out or a cancellation. If it cannot be recorded, that is said; the tool is never run again.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any, ClassVar

from stopwork.control.protocol import (
    AskPermit,
    AttemptRecorded,
    EffectsRecorded,
    OutcomeRecorded,
    PermitAnswer,
    RecordAttempt,
    RecordEffects,
    RecordOutcome,
    portions,
)
from stopwork.control.steps import (
    Cancelled,
    DeskFailed,
    Doubt,
    Ending,
    Fail,
    ImagesFailed,
    ImagesRead,
    Invoke,
    Late,
    Patience,
    Raised,
    ReadAfter,
    ReadBefore,
    ReadNew,
    Refuse,
    Replay,
    Reraise,
    Return,
    Returned,
    Seen,
    Sleep,
    Step,
    Unrecorded,
    Woke,
)
from stopwork.kernel.errors import Conflict, Unavailable
from stopwork.ledger.records import ObjectRef, Observed
from stopwork.ledger.words import EffectKind, Outcome, Verdict


class State(StrEnum):
    """Where a call stands, seen from its guard."""

    NEW = "new"
    ASKING = "asking"
    READING = "reading"
    ATTEMPTING = "attempting"
    RUNNING = "running"
    SEEING = "seeing"
    RECORDING = "recording"
    LOOKING = "looking"
    COMPLETING = "completing"
    CLOSING = "closing"
    DONE = "done"


class CallSession:
    """One tool call. ``effect`` is what the manifest says the tool does, ``None`` where it says nothing."""

    def __init__(self, request: AskPermit, effect: EffectKind | None, patience: Patience) -> None:
        self.state = State.NEW
        self.call = request.call
        self._session = request.session
        self._request = request
        self._changes = effect is not EffectKind.READ
        self._patience = patience
        self._pending: Step = request
        self._ending: Ending = Return()
        self._permit: PermitAnswer | None = None
        self._asked_at = 0.0
        self._attempt: RecordAttempt | None = None
        self._attempted = False
        self._attempts = 0
        self._attempt_asked_at = 0.0
        self._has_looked = False
        self._waiting_since: float | None = None
        self._permits = 0
        self._tries = 0
        self._cancellations = 0
        self._outcome = Outcome.UNKNOWN
        self._looking_tells = False
        self._result: Any = None
        self._error: str | None = None
        self._left: list[tuple[Observed, ...]] = []
        self._unread: tuple[ObjectRef, ...] = ()

    def begin(self, at: float) -> Step:
        """Answer the first command."""
        if self.state is not State.NEW:
            raise Conflict(f"the session of {self.call} has begun already", hint="Make a new session.")
        return self._ask(at)

    def step(self, event: Any, at: float) -> Step:
        """Answer what to do next; ``Conflict`` names the legal events when this one is not among them."""
        transition = self._transitions.get((self.state, type(event)))
        if transition is None:
            legal = sorted(kind.__name__ for state, kind in self._transitions if state is self.state)
            raise Conflict(
                f"{type(event).__name__} cannot happen while the call is {self.state}",
                hint=f"Legal here: {', '.join(legal) or 'nothing, the call is done'}.",
                expected=legal,
                found=type(event).__name__,
            )
        return transition(self, event, at)

    # asking

    def _ask(self, at: float) -> Step:
        self._asked_at = at
        return self._to(State.ASKING, self._request)

    def _answered(self, answer: PermitAnswer, at: float) -> Step:
        self.call = answer.call
        match answer.verdict:
            case Verdict.ALLOW:
                known, self._permit = self._permit, answer
                self._permits += 1
                if answer.effect is not None:
                    # The rules in force count, not those under which the run began.
                    self._changes = answer.effect is not EffectKind.READ
                if (
                    self._has_looked
                    and not self._changes
                    and known is not None
                    and known.capture == answer.capture
                ):
                    return self._run(at)
                return self._to(State.READING, ReadBefore(objects=answer.capture))
            case Verdict.REPLAY:
                return self._end(Replay(answer=answer))
            case Verdict.WAIT:
                return self._wait(answer, at)
            case Verdict.DENY | Verdict.DRAFT:
                return self._end(Refuse(answer=answer))

    def _wait(self, answer: PermitAnswer, at: float) -> Step:
        if self._waiting_since is None:
            self._waiting_since = at
        left_s = self._waiting_since + self._patience.approval_wait_s - at
        if left_s <= 0:
            return self._end(Refuse(answer=answer))
        self._tries = 0
        return Sleep(duration_s=min(self._patience.poll_s, left_s))

    def _ask_failed(self, event: DeskFailed, _at: float) -> Step:
        if self._may_retry(event, self._patience.ask_tries):
            return self._pause()
        if self._permit is not None:
            return self._close("its permit could not be renewed", Fail(error=event.error))
        return self._end(Fail(error=event.error))

    def _ask_again(self, _event: Woke, at: float) -> Step:
        self._asked_at = at
        return self._pending

    # between permit and run

    def _images_read(self, event: ImagesRead, at: float) -> Step:
        self._has_looked = True
        if self._late(at):
            return self._renew(at)
        if not self._changes:
            return self._run(at)
        self._attempt = RecordAttempt(call=self.call, before=event.before, session=self._session)
        return self._say_attempt(self._attempt, at)

    def _say_attempt(self, attempt: RecordAttempt, at: float) -> Step:
        self._attempts += 1
        self._attempt_asked_at = at
        return self._to(State.ATTEMPTING, attempt)

    def _images_failed(self, event: ImagesFailed, _at: float) -> Step:
        error = Unavailable(
            f"the call was not run: {event.why}",
            hint="What a call would change has to be readable first, or it could not be undone.",
            call=self.call,
        )
        return self._close(event.why, Fail(error=error))

    def _attempt_recorded(self, _event: AttemptRecorded, at: float) -> Step:
        self._attempted = True
        # With an attempt on record no other permit is given: too late for this one means that this call does not run.
        return self._out_of_time() if self._late(at) else self._run(at)

    def _attempt_failed(self, event: DeskFailed, at: float) -> Step:
        if self._may_retry(event, self._patience.record_tries):
            return self._pause()
        if isinstance(event.error, Conflict):
            return self._overtaken(event.error) if self._attempted else self._renew(at)
        return self._close("its attempt could not be recorded", Fail(error=event.error))

    def _attempt_again(self, _event: Woke, at: float) -> Step:
        self._attempt_asked_at = at
        return self._pending

    def _overtaken(self, error: Conflict) -> Step:
        refused = Unavailable(
            f"the call was not run: it was late, and {error.detail}",
            hint="Ask again; what holds it now is said then.",
            call=self.call,
        )
        return self._close(f"it was late, and {error.detail}", Fail(error=refused))

    def _late(self, at: float) -> bool:
        valid_for_s = self._permit.valid_for_s if self._permit else 0.0
        return valid_for_s is not None and at >= self._asked_at + valid_for_s

    def _begins_until(self) -> float:
        """Answer when it is too late to begin: it is not known any more what holds the call."""
        valid_for_s = self._permit.valid_for_s if self._permit else 0.0
        asked_at = self._attempt_asked_at if self._changes else self._asked_at
        until = asked_at + self._patience.begin_within_s
        return until if valid_for_s is None else min(until, self._asked_at + valid_for_s)

    def _began_late(self, _event: Late, at: float) -> Step:
        if not self._changes or self._attempt is None:
            return self._renew(at)
        if self._late(at) or self._attempts >= self._patience.permits:
            return self._out_of_time()
        return self._say_attempt(self._attempt, at)

    def _renew(self, at: float) -> Step:
        return self._ask(at) if self._permits < self._patience.permits else self._out_of_time()

    def _out_of_time(self) -> Step:
        error = Unavailable(
            "the call was not run: its permit ran out before it could begin",
            hint="Something between permit and run takes too long; look at the systems that are read before it.",
            call=self.call,
        )
        return self._close("its permit ran out", Fail(error=error))

    def _run(self, at: float) -> Step:
        until = self._begins_until()
        if at >= until:
            return self._began_late(Late(), at)
        return self._to(State.RUNNING, Invoke(args=self._permit.args if self._permit else {}, until=until))

    def _cancelled_early(self, _event: Cancelled, _at: float) -> Step:
        if self._permit is None:
            return self._end(Reraise())
        return self._close("cancelled", Reraise())

    def _close(self, why: str, ending: Ending) -> Step:
        self._ending = ending
        closing = RecordOutcome(
            call=self.call, outcome=Outcome.FAILED, error=f"not started: {why}", session=self._session
        )
        return self._to(State.CLOSING, closing)

    def _closed(self, _event: Any, _at: float) -> Step:
        # Whether or not it could be recorded: nothing ran, and the caller is told so.
        return self._end(self._ending)

    # after the run

    def _returned(self, event: Returned, _at: float) -> Step:
        return self._see(Outcome.SUCCEEDED, Return(), result=event.result)

    def _raised(self, event: Raised, _at: float) -> Step:
        failed = event.doubt is Doubt.NONE or (event.doubt is Doubt.OPEN and not self._changes)
        self._looking_tells = event.doubt is Doubt.OPEN
        return self._see(Outcome.FAILED if failed else Outcome.UNKNOWN, Reraise(), error=event.error)

    def _cancelled_running(self, _event: Cancelled, _at: float) -> Step:
        self._cancellations += 1
        return self._see(Outcome.UNKNOWN, Reraise(), error="cancelled while it ran")

    def _see(self, outcome: Outcome, ending: Ending, *, result: Any = None, error: str | None = None) -> Step:
        self._outcome, self._ending, self._result, self._error = outcome, ending, result, error
        return self._to(State.SEEING, ReadAfter(objects=self._permit.capture if self._permit else ()))

    def _seen(self, event: Seen, _at: float) -> Step:
        if self._looking_tells and event.unchanged:
            self._outcome = Outcome.FAILED
        self._left = [*portions(event.observed)]
        record = RecordOutcome(
            call=self.call,
            outcome=self._outcome,
            result=self._result,
            error=self._error,
            observed=self._left.pop(0) if self._left else (),
            unseen=event.unseen,
            session=self._session,
        )
        return self._to(State.RECORDING, record)

    def _recorded(self, event: OutcomeRecorded, _at: float) -> Step:
        self._unread = event.capture
        return self._complete()

    def _looked(self, event: Seen, _at: float) -> Step:
        self._left = [*portions(event.observed)]
        return self._complete()

    def _completed(self, _event: EffectsRecorded, _at: float) -> Step:
        return self._complete()

    def _complete(self) -> Step:
        if self._left:
            return self._to(State.COMPLETING, RecordEffects(call=self.call, observed=self._left.pop(0)))
        unread, self._unread = self._unread, ()
        return self._to(State.LOOKING, ReadNew(objects=unread)) if unread else self._end(self._ending)

    def _record_failed(self, event: DeskFailed, _at: float) -> Step:
        if self._may_retry(event, self._patience.record_tries):
            return self._pause()
        what = "outcome" if self.state is State.RECORDING else "effects"
        return self._end(Unrecorded(call=self.call, what=what, outcome=self._outcome, error=event.error))

    def _record_again(self, _event: Woke, _at: float) -> Step:
        return self._pending

    def _cancelled_late(self, _event: Cancelled, _at: float) -> Step:
        """Finish the record once more before giving in: the tool has run, and that must not be lost lightly."""
        self._ending = Reraise()
        self._cancellations += 1
        return self._pending if self._cancellations <= 1 else self._end(self._ending)

    # moving

    def _to(self, state: State, command: Step) -> Step:
        self.state, self._pending, self._tries = state, command, 0
        return command

    def _end(self, ending: Ending) -> Step:
        return self._to(State.DONE, ending)

    def _may_retry(self, event: DeskFailed, tries: int) -> bool:
        self._tries += 1
        return isinstance(event.error, Unavailable) and self._tries < tries

    def _pause(self) -> Sleep:
        return Sleep(duration_s=self._patience.first_retry_after_s * 2 ** (self._tries - 1))

    _transitions: ClassVar[dict[tuple[State, type[Any]], Callable[[CallSession, Any, float], Step]]] = {
        (State.ASKING, PermitAnswer): _answered,
        (State.ASKING, DeskFailed): _ask_failed,
        (State.ASKING, Woke): _ask_again,
        (State.ASKING, Cancelled): _cancelled_early,
        (State.READING, ImagesRead): _images_read,
        (State.READING, ImagesFailed): _images_failed,
        (State.READING, Cancelled): _cancelled_early,
        (State.ATTEMPTING, AttemptRecorded): _attempt_recorded,
        (State.ATTEMPTING, DeskFailed): _attempt_failed,
        (State.ATTEMPTING, Woke): _attempt_again,
        (State.ATTEMPTING, Cancelled): _cancelled_early,
        (State.RUNNING, Late): _began_late,
        (State.RUNNING, Returned): _returned,
        (State.RUNNING, Raised): _raised,
        (State.RUNNING, Cancelled): _cancelled_running,
        (State.SEEING, Seen): _seen,
        (State.SEEING, Cancelled): _cancelled_late,
        (State.RECORDING, OutcomeRecorded): _recorded,
        (State.RECORDING, DeskFailed): _record_failed,
        (State.RECORDING, Woke): _record_again,
        (State.RECORDING, Cancelled): _cancelled_late,
        (State.LOOKING, Seen): _looked,
        (State.LOOKING, Cancelled): _cancelled_late,
        (State.COMPLETING, EffectsRecorded): _completed,
        (State.COMPLETING, DeskFailed): _record_failed,
        (State.COMPLETING, Woke): _record_again,
        (State.COMPLETING, Cancelled): _cancelled_late,
        (State.CLOSING, OutcomeRecorded): _closed,
        (State.CLOSING, DeskFailed): _closed,
        (State.CLOSING, Cancelled): _closed,
    }
