"""What the machine of a call and the shell around it say to each other: events in, commands out (:mod:`stopwork.control.session`)."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from stopwork.control.protocol import PermitAnswer, Request
from stopwork.kernel.errors import StopworkError
from stopwork.ledger.records import Captured, ObjectRef, Observed, Record
from stopwork.ledger.words import Outcome


class Patience(Record):
    """How long the machine waits and how often it tries again; every wait and every retry is bounded.

    With ``approval_wait_s`` of zero a call that waits for approval is handed back at once, to be resumed. What has not begun
    ``begin_within_s`` after it was asked for is asked for again, as often as there may be ``permits``.
    """

    approval_wait_s: float = 0.0
    poll_s: float = 1.0
    ask_tries: int = 3
    record_tries: int = 6
    first_retry_after_s: float = 0.1
    permits: int = 3
    begin_within_s: float = 5.0


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


class Late(Event):
    """The tool was not begun: it was too late for that."""


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
    """Run the tool with exactly these arguments; answer ``Returned``, ``Raised`` or ``Cancelled``.

    Look at the clock as the very last thing before it, and begin nothing from ``until`` on: answer ``Late``.
    """

    args: dict[str, Any]
    until: float


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


Step = Command | Request[Any]
