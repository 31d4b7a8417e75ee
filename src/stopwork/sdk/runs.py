"""One run of a workflow, as the agent holds it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar, Token
from datetime import datetime
from types import TracebackType
from typing import Any, Self, TypeVar

from stopwork.control.protocol import (
    MAX_ITEMS_SIFTED,
    FinishRun,
    ItemsSifted,
    RecordStep,
    Request,
    RunRejoined,
    RunTicket,
    SiftItems,
    StartRun,
    StepTaken,
)
from stopwork.kernel.canonical import digest_of, plain
from stopwork.kernel.errors import Conflict, Denied, Invalid, StopworkError
from stopwork.ledger.words import EffectKind, Mode, RunStatus, Stage, StepKind
from stopwork.sdk.desk import AsyncDesk, Desk
from stopwork.sdk.errors import CallWaiting
from stopwork.sdk.recording import in_words

A = TypeVar("A")
Item = TypeVar("Item")

_current: ContextVar[GuardedRun | None] = ContextVar("stopwork_run", default=None)


def current_run() -> GuardedRun:
    """Answer the run that this thread or task works in; ``Invalid`` when there is none."""
    run = _current.get()
    if run is None:
        raise Invalid(
            "a guarded tool was called outside a run",
            hint="Call it inside `with sw.run(...)`. A thread that you start yourself enters the run with `with run.here():`.",
        )
    return run


class GuardedRun:
    """A run: ``with run:`` or ``async with run:`` begins it, and ends it as succeeded or failed.

    When a call that waits for approval leaves the block, the run stays open: it is entered again to go on. Calls and steps may
    come from several threads and tasks.
    """

    def __init__(
        self,
        desk: Desk,
        adesk: AsyncDesk,
        start: StartRun,
        on_start: Callable[[str], None],
        before_end: Callable[[], None] | None = None,
    ) -> None:
        #: Whether this process knows all that the run has used, so that it may decide reads by itself; and how many calls that is.
        self.may_lease = before_end is not None
        self.calls = 0
        #: What looks once more, at the end, at what the calls of the run have changed; given by who carries them.
        self.look_again: Callable[[str], None] | None = None
        self._before_end = before_end
        self._desk = desk
        self._adesk = adesk
        self._start = start
        self._on_start = on_start
        self._ticket: RunTicket | None = None
        self._finished = False
        self._tokens: list[Token[GuardedRun | None]] = []
        self._done: dict[str, int] = {}
        self._lock = threading.Lock()

    @classmethod
    def rejoined(
        cls, desk: Desk, adesk: AsyncDesk, found: RunRejoined, on_start: Callable[[str], None]
    ) -> GuardedRun:
        """Answer a run that began earlier, with what it has had done: it goes on as if it had never left this process."""
        start = StartRun(
            run=found.ticket.run,
            workflow=found.ticket.workflow,
            trigger=found.trigger,
            trigger_id=found.trigger_id,
            attempt=found.attempt,
        )
        run = cls(desk, adesk, start, on_start)
        run._done.update(found.done)
        run._began(found.ticket)
        return run

    def __repr__(self) -> str:
        return f"GuardedRun({self.id!r}, workflow={self.workflow!r})"

    @property
    def id(self) -> str:
        """The run's id."""
        return self._start.run

    @property
    def workflow(self) -> str:
        """The workflow's name."""
        return self._start.workflow

    @property
    def trigger_id(self) -> str:
        """The occasion: the same for every attempt at it."""
        return self._start.trigger_id

    @property
    def version(self) -> int:
        """The manifest version under which the run began."""
        return self._begun().version

    @property
    def mode(self) -> Mode:
        """Whether calls are stopped, or only what would have been stopped is recorded."""
        return self._begun().mode

    @property
    def stage(self) -> Stage:
        """The stage the workflow was at when the run began."""
        return self._begun().stage

    def effect_of(self, tool: str) -> EffectKind | None:
        """Answer what the manifest says the tool does; ``None`` when it does not know the tool."""
        facts = self._begun().tools.get(tool)
        return facts.effect if facts else None

    def system_of(self, tool: str) -> str | None:
        """Answer where the manifest says that the object lives which the tool changes."""
        facts = self._begun().tools.get(tool)
        return facts.system if facts else None

    def done(self, tool: str, args: dict[str, Any]) -> int:
        """Answer how many calls of this tool with these arguments the run has had the result of.

        A try that was refused, that failed, or that nobody knows the end of is none: the next one is a try at the same piece of work.
        """
        with self._lock:
            return self._done.get(digest_of([tool, args]), 0)

    def note_done(self, tool: str, args: dict[str, Any]) -> None:
        """Count one more call whose result the run has."""
        key = digest_of([tool, args])
        with self._lock:
            self._done[key] = self._done.get(key, 0) + 1

    def step(self, kind: StepKind | str, name: str, **facts: Any) -> str:
        """Record what the run did besides tool calls, and answer the step's id.

        ``kind`` is ``model_call``, ``retrieval``, ``guardrail`` or ``message``. Known facts are ``facts`` (anything plain), ``source``
        and ``as_of`` of an input, ``tokens``, ``cost_usd`` and ``model`` of a model call.

        Raises ``Denied`` for a retrieval from a source that is held, or of an item of it that is in quarantine: the step is on record,
        and what was read is not to be used.
        """
        return self._took(self._desk.send(self._step(kind, name, **facts)))

    async def astep(self, kind: StepKind | str, name: str, **facts: Any) -> str:
        """Record a step without blocking the event loop; otherwise as :meth:`step`."""
        return self._took(await self._adesk.send(self._step(kind, name, **facts)))

    def _took(self, taken: StepTaken) -> str:
        if taken.spent:
            self.may_lease = False
        if taken.refused:
            raise Denied(
                f"what was read is not to be used: {taken.refused}",
                hint="Leave it out and go on without it; readable() tells before anything is read.",
                step=taken.step,
            )
        return taken.step

    def readable(
        self, source: str, items: Iterable[Item], *, key: Callable[[Item], object] = str
    ) -> list[Item]:
        """Answer those of several items of a source that may be read, in their order; ``key`` gives each its id.

        What is in quarantine is left out, and that is on record.
        """
        every = list(items)
        return [
            item
            for part in _in_parts(every, MAX_ITEMS_SIFTED)
            for item in _sifted(part, key, self._desk.send(self._sift(source, part, key)))
        ]

    async def areadable(
        self, source: str, items: Iterable[Item], *, key: Callable[[Item], object] = str
    ) -> list[Item]:
        """Answer what may be read without blocking the event loop; otherwise as :meth:`readable`."""
        kept: list[Item] = []
        for part in _in_parts(list(items), MAX_ITEMS_SIFTED):
            kept += _sifted(part, key, await self._adesk.send(self._sift(source, part, key)))
        return kept

    def _sift(self, source: str, items: Iterable[Item], key: Callable[[Item], object]) -> SiftItems:
        self._begun()
        return SiftItems(run=self.id, source=source, items=tuple(str(key(item)) for item in items))

    def here(self) -> Here:
        """Answer a block in which this thread or task works for the run, which neither begins nor ends by it."""
        self._begun()
        return Here(self)

    def begin(self) -> GuardedRun:
        """Begin the run, unless it has begun."""
        self._check_open()
        if self._ticket is None:
            self._began(self._desk.send(self._start))
        return self

    def finish(self, status: RunStatus = RunStatus.SUCCEEDED, error: str | None = None) -> None:
        """End the run."""
        self._settle()
        self._desk.send(FinishRun(run=self.id, status=status, error=error))
        self._finished = True

    def __enter__(self) -> Self:
        self.begin()
        self._tokens.append(_current.set(self))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _current.reset(self._tokens.pop())
        ending = self._ending(error)
        if ending is None:
            return
        self._settle()
        try:
            self._desk.send(ending)
        except StopworkError as failure:
            _report(failure, error)
        self._finished = True

    async def __aenter__(self) -> Self:
        self._check_open()
        if self._ticket is None:
            self._began(await self._adesk.send(self._start))
        self._tokens.append(_current.set(self))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _current.reset(self._tokens.pop())
        ending = self._ending(error)
        if ending is None:
            return
        self.may_lease = False
        if self.calls and self._before_end is not None:
            await asyncio.to_thread(self._before_end)
        if self.look_again is not None:
            await asyncio.to_thread(self.look_again, self.id)
        try:
            await self._adesk.send(ending)
        except StopworkError as failure:
            _report(failure, error)
        self._finished = True

    def _settle(self) -> None:
        """Have what is not on record yet put there, before the end is; from here on every call asks."""
        self.may_lease = False
        if self._before_end is not None:
            self._before_end()
        if self.look_again is not None:
            self.look_again(self.id)

    def _ending(self, error: BaseException | None) -> Request[Any] | None:
        if isinstance(error, CallWaiting) or self._tokens or self._finished:
            return None
        if error is None:
            return FinishRun(run=self.id, status=RunStatus.SUCCEEDED)
        return FinishRun(run=self.id, status=RunStatus.FAILED, error=in_words(error))

    def _step(
        self,
        kind: StepKind | str,
        name: str,
        *,
        facts: dict[str, Any] | None = None,
        source: str | None = None,
        as_of: datetime | None = None,
        tokens: int = 0,
        cost_usd: float | None = None,
        model: str | None = None,
    ) -> RecordStep:
        self._begun()
        if as_of is not None and as_of.tzinfo is None:
            raise Invalid(
                "as_of has no time zone", hint="Add one, for example datetime.now(UTC).", field="as_of"
            )
        return RecordStep(
            run=self.id,
            kind=_step_kind(kind),
            name=name,
            facts=plain(facts or {}),
            source=source,
            as_of=as_of,
            tokens=tokens,
            cost_usd=cost_usd,
            model=model,
        )

    def _began(self, ticket: RunTicket) -> None:
        self._ticket = ticket
        self._on_start(self.workflow)

    def _begun(self) -> RunTicket:
        if self._ticket is None:
            raise Invalid(f"run {self.id} has not begun", hint="Enter it first: `with run:`.", run=self.id)
        return self._ticket

    def _check_open(self) -> None:
        if self._finished:
            raise Conflict(f"run {self.id} has ended", hint="Start a new one with sw.run(...).", run=self.id)


class Here:
    """A block in which a thread or task works for a run."""

    def __init__(self, run: GuardedRun) -> None:
        self._run = run
        self._token: Token[GuardedRun | None] | None = None

    def __enter__(self) -> GuardedRun:
        self._token = _current.set(self._run)
        return self._run

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._token is not None:
            _current.reset(self._token)


def _sifted(items: Iterable[Item], key: Callable[[Item], object], sifted: ItemsSifted) -> list[Item]:
    return [item for item in items if str(key(item)) not in sifted.withheld]


def _in_parts(items: list[Item], size: int) -> Iterator[list[Item]]:
    """Answer the items in order, so many at a time."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _step_kind(kind: StepKind | str) -> StepKind:
    try:
        return StepKind(kind)
    except ValueError:
        known = ", ".join(StepKind)
        raise Invalid(
            f"{kind!r} is not a kind of step", hint=f"It is one of: {known}.", field="kind"
        ) from None


def _report(failure: StopworkError, error: BaseException | None) -> None:
    """Raise that the end of the run is not on record, unless that would hide why the run failed."""
    if error is None:
        raise failure
    error.add_note(f"The end of the run could not be recorded either: {failure}")
