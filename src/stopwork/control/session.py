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
    Request,
    portions,
)
from stopwork.kernel.errors import Conflict, StopworkError, Unavailable
from stopwork.ledger.records import Captured, ObjectRef, Observed, Record
from stopwork.ledger.words import EffectKind, Outcome, Verdict


class Patience(Record):
    """How long the machine waits and how often it tries again; every wait and every retry is bounded.

    With ``approval_wait_s`` of zero a call that waits for approval is handed back at once, to be resumed.
    """

    approval_wait_s: float = 0.0
    poll_s: float = 1.0
    ask_tries: int = 3
    record_tries: int = 6
    first_retry_after_s: float = 0.1
    permits: int = 3


# --- events: what a shell reports besides the answers of the control plane --------------------------


class Event(Record):
    """The base of what happened outside the machine."""


class DeskFailed(Event):
    """The control plane could not be reached (``Unavailable``), or refused to answer."""

    error: StopworkError


class ImagesRead(Event):
    """The objects were read before the call."""

    before: tuple[Captured, ...] = ()


class ImagesFailed(Event):
    """An object could not be read before the call."""

    why: str


class Returned(Event):
    """The tool returned; ``result`` is what will be on record."""

    result: Any = None


class Doubt(StrEnum):
    """What is open after a tool raised: ``none``, it did not take effect; ``open``, it may have, and looking tells; ``lasting``, it
    may even now, so that nothing seen yet tells that it did not.
    """

    NONE = "none"
    OPEN = "open"
    LASTING = "lasting"


class Raised(Event):
    """The tool raised."""

    error: str
    doubt: Doubt = Doubt.OPEN


class Seen(Event):
    """The objects were looked at after the call; ``observed`` are those that had changed.

    ``unchanged`` when all that the call is for was seen before and after, and is as it was. ``unseen`` are systems that could not be
    looked at, with why.
    """

    observed: tuple[Observed, ...] = ()
    unchanged: bool = False
    unseen: dict[str, str] = {}


class Woke(Event):
    """The pause is over."""


class Cancelled(Event):
    """The caller, or the process, wants out."""


# --- commands: what a shell is to do, besides sending a request to the control plane ----------------


class Command(Record):
    """The base of what the machine wants done."""


class ReadBefore(Command):
    """Read these objects; answer ``ImagesRead`` or ``ImagesFailed``."""

    objects: tuple[ObjectRef, ...] = ()


class Invoke(Command):
    """Run the tool with exactly these arguments; answer ``Returned``, ``Raised`` or ``Cancelled``."""

    args: dict[str, Any]


class ReadAfter(Command):
    """Look at these objects again; answer ``Seen``. A failure to look is an unknown image, not an error."""

    objects: tuple[ObjectRef, ...] = ()


class ReadNew(Command):
    """Look for the first time at objects that only the result names; answer ``Seen``."""

    objects: tuple[ObjectRef, ...] = ()


class Sleep(Command):
    """Pause; answer ``Woke``."""

    duration_s: float


class Ending(Command):
    """The base of the last command: what the caller gets."""


class Return(Ending):
    """Give the caller what the tool returned."""


class Reraise(Ending):
    """Give the caller what the tool, or the cancellation, raised."""


class Replay(Ending):
    """Give the caller the recorded result of the earlier call."""

    answer: PermitAnswer


class Refuse(Ending):
    """Tell the caller that the call did not run, and why."""

    answer: PermitAnswer


class Fail(Ending):
    """Raise this error; the call did not run."""

    error: StopworkError


class Unrecorded(Ending):
    """Tell the caller that the tool ran and that ``what`` of it (outcome, effects) could not be recorded."""

    call: str
    what: str
    outcome: Outcome
    error: StopworkError


# --- the machine -----------------------------------------------------------------------------------


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


Step = Command | Request[Any]


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
                self._permit = answer
                self._permits += 1
                if answer.effect is not None:
                    # The rules in force count, not those under which the run began.
                    self._changes = answer.effect is not EffectKind.READ
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
        if self._late(at):
            return self._renew(at)
        if not self._changes:
            return self._run()
        attempt = RecordAttempt(call=self.call, before=event.before, session=self._session)
        return self._to(State.ATTEMPTING, attempt)

    def _images_failed(self, event: ImagesFailed, _at: float) -> Step:
        error = Unavailable(
            f"the call was not run: {event.why}",
            hint="What a call would change has to be readable first, or it could not be undone.",
            call=self.call,
        )
        return self._close(event.why, Fail(error=error))

    def _attempt_recorded(self, _event: AttemptRecorded, at: float) -> Step:
        # An attempt on record is never asked about again: too late now means that this call does not run.
        return self._out_of_time() if self._late(at) else self._run()

    def _attempt_failed(self, event: DeskFailed, at: float) -> Step:
        if self._may_retry(event, self._patience.record_tries):
            return self._pause()
        if isinstance(event.error, Conflict):
            return self._renew(at)
        return self._close("its attempt could not be recorded", Fail(error=event.error))

    def _late(self, at: float) -> bool:
        valid_for_s = self._permit.valid_for_s if self._permit else 0.0
        return valid_for_s is not None and at >= self._asked_at + valid_for_s

    def _renew(self, at: float) -> Step:
        return self._ask(at) if self._permits < self._patience.permits else self._out_of_time()

    def _out_of_time(self) -> Step:
        error = Unavailable(
            "the call was not run: its permit ran out before it could begin",
            hint="Something between permit and run takes too long; look at the systems that are read before it.",
            call=self.call,
        )
        return self._close("its permit ran out", Fail(error=error))

    def _run(self) -> Step:
        return self._to(State.RUNNING, Invoke(args=self._permit.args if self._permit else {}))

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
        (State.ATTEMPTING, Woke): _record_again,
        (State.ATTEMPTING, Cancelled): _cancelled_early,
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
