"""The two shells around the machine of a call: one for threads, one for event loops.

They do what :class:`~stopwork.control.session.CallSession` says and report what came of it; they decide nothing. Step for step they
are the same, and a test holds them to it.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from stopwork.control.protocol import Request
from stopwork.control.session import CallSession
from stopwork.control.steps import (
    Cancelled,
    DeskFailed,
    Doubt,
    Ending,
    Event,
    Fail,
    ImagesFailed,
    ImagesRead,
    Invoke,
    Late,
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
from stopwork.kernel.calling import calling
from stopwork.kernel.clock import boottime
from stopwork.kernel.errors import Internal, StopworkError, Unavailable
from stopwork.sdk.binding import Binding
from stopwork.sdk.desk import AsyncDesk, Desk
from stopwork.sdk.doubt import AuthorSays, doubt_of
from stopwork.sdk.errors import CallRefused, OutcomeNotRecorded
from stopwork.sdk.observer import Window
from stopwork.sdk.recording import in_words, result_of

T = TypeVar("T")

log = logging.getLogger("stopwork.sdk")


class GuardedCall:
    """One tool call on its way: the machine, the arguments, the view on what it changes, and what the tool gave back."""

    def __init__(
        self,
        tool: str,
        binding: Binding,
        session: CallSession,
        window: Window,
        author: AuthorSays,
    ) -> None:
        self.tool = tool
        self.binding = binding
        self.session = session
        self._window = window
        self._author = author
        self._value: Any = None
        self._caught: BaseException | None = None

    @property
    def looks(self) -> bool:
        """Whether looking may take time."""
        return self._window.looks

    def look(self, command: ReadBefore | ReadAfter | ReadNew) -> Event:
        """Read objects as the machine asks."""
        if isinstance(command, ReadBefore):
            try:
                return ImagesRead(before=self._window.before(command.objects))
            except Unavailable as error:
                return ImagesFailed(why=error.detail)
        if isinstance(command, ReadNew):
            return Seen(observed=self._window.new(command.objects))
        observed = self._window.after(command.objects)
        return Seen(observed=observed, unchanged=self._window.unchanged, unseen=self._window.unseen)

    def returned(self, value: Any) -> Returned:
        """Keep what the tool returned for the caller, and answer what will be on record."""
        self._value = value
        return Returned(result=result_of(self.tool, value))

    def raised(self, error: Exception) -> Raised:
        """Keep the tool's exception for the caller, and answer what will be on record."""
        self._caught = error
        return Raised(error=in_words(error), doubt=doubt_of(error, self._author))

    def not_begun(self, error: Exception) -> Raised:
        """Keep for the caller why the tool could not even be started."""
        self._caught = error
        return Raised(error=in_words(error), doubt=Doubt.NONE)

    def cancelled(self, error: BaseException) -> Cancelled:
        """Keep the interruption for the caller."""
        self._caught = error
        return Cancelled()

    def close(self) -> None:
        """Let go of what was watched."""
        self._window.close()

    def outcome(self, ending: Ending) -> Any:
        """Answer what the tool returned, or raise what the caller has to know."""
        if not isinstance(ending, Unrecorded):
            self._window.recorded()
        match ending:
            case Return():
                return self._value
            case Replay(answer=answer):
                return answer.result
            case Refuse(answer=answer):
                raise CallRefused.by(self.tool, answer)
            case Fail(error=error):
                raise error
            case Unrecorded():
                log.error("%s has run, but its %s is not on record: %s", self.tool, ending.what, ending.error)
                raise OutcomeNotRecorded.of(self.tool, ending, self._value) from self._caught
            case Reraise() if self._caught is not None:
                raise self._caught
        raise Internal(f"the guard came to no end: {ending!r}", hint="Please report this.")


def carry(call: GuardedCall, desk: Desk, *, clock: Callable[[], float] = boottime) -> Any:
    """Carry a call through, blocking: answer what the tool returned or raise what kept it from that."""
    command = call.session.begin(clock())
    try:
        while not isinstance(command, Ending):
            try:
                event = _perform(call, command, desk, clock)
            except (KeyboardInterrupt, SystemExit, GeneratorExit) as error:
                event = call.cancelled(error)
            command = call.session.step(event, clock())
        return call.outcome(command)
    finally:
        call.close()


def _perform(call: GuardedCall, command: Step, desk: Desk, clock: Callable[[], float]) -> Any:
    match command:
        case Request():
            try:
                return desk.send(command)
            except Exception as error:  # noqa: BLE001 - whatever a desk raises, the call is not permitted by it
                return _failed(error)
        case ReadBefore() | ReadAfter() | ReadNew():
            return call.look(command)
        case Invoke(args=args, until=until):
            try:
                tool = call.binding.ready(args)
            except Exception as error:  # noqa: BLE001 - recorded, then raised again unchanged
                return call.not_begun(error)
            try:
                with calling(call.session.call):
                    if clock() >= until:
                        return Late()
                    value = tool()
            except Exception as error:  # noqa: BLE001 - recorded, then raised again unchanged
                return call.raised(error)
            return call.returned(value)
        case Sleep(duration_s=duration_s):
            time.sleep(duration_s)
            return Woke()
    raise Internal(f"the shell does not know {command!r}", hint="Please report this.")


async def acarry(call: GuardedCall, desk: AsyncDesk, *, clock: Callable[[], float] = boottime) -> Any:
    """Carry a call through without blocking the event loop; otherwise as :func:`carry`.

    A cancellation interrupts the tool and the waits. It never interrupts a request or a look at an object: what is on record
    stays complete, and the cancellation takes effect right after.
    """
    command = call.session.begin(clock())
    try:
        while not isinstance(command, Ending):
            event, interrupted = await _aperform(call, command, desk, clock)
            command = call.session.step(event, clock())
            if interrupted is not None:
                if isinstance(command, Ending):
                    raise interrupted
                command = call.session.step(call.cancelled(interrupted), clock())
        return call.outcome(command)
    finally:
        call.close()


async def _aperform(
    call: GuardedCall, command: Step, desk: AsyncDesk, clock: Callable[[], float]
) -> tuple[Any, asyncio.CancelledError | None]:
    match command:
        case Request():
            return await _uninterrupted(_asent(desk, command))
        case ReadBefore() | ReadAfter() | ReadNew():
            if not call.looks:
                return call.look(command), None
            return await _uninterrupted(asyncio.to_thread(call.look, command))
        case Invoke(args=args, until=until):
            try:
                tool = call.binding.ready(args)
            except Exception as error:  # noqa: BLE001 - recorded, then raised again unchanged
                return call.not_begun(error), None
            try:
                with calling(call.session.call):
                    if clock() >= until:
                        return Late(), None
                    value = tool()
                    if inspect.isawaitable(value):
                        value = await value
            except (asyncio.CancelledError, KeyboardInterrupt, SystemExit, GeneratorExit) as error:
                return call.cancelled(error), None
            except Exception as error:  # noqa: BLE001 - recorded, then raised again unchanged
                return call.raised(error), None
            return call.returned(value), None
        case Sleep(duration_s=duration_s):
            try:
                await asyncio.sleep(duration_s)
            except asyncio.CancelledError as error:
                return call.cancelled(error), None
            return Woke(), None
    raise Internal(f"the shell does not know {command!r}", hint="Please report this.")


async def _asent(desk: AsyncDesk, request: Request[Any]) -> Any:
    try:
        return await desk.send(request)
    except Exception as error:  # noqa: BLE001 - whatever a desk raises, the call is not permitted by it
        return _failed(error)


async def _uninterrupted(work: Awaitable[T]) -> tuple[T, asyncio.CancelledError | None]:
    """Answer what the work answers, and the cancellation that came meanwhile, if one did."""
    task = asyncio.ensure_future(work)
    interrupted = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            interrupted = error
    return task.result(), interrupted


def _failed(error: Exception) -> DeskFailed:
    if isinstance(error, StopworkError):
        return DeskFailed(error=error)
    wrapped = Internal(f"the guard could not ask: {in_words(error)}", hint="Please report this.")
    wrapped.__cause__ = error
    return DeskFailed(error=wrapped)
