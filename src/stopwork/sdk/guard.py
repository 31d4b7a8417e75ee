"""``Stopwork``: what an agent's developer holds in hand."""

from __future__ import annotations

import asyncio
import functools
import inspect
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar
from weakref import WeakValueDictionary

from stopwork.control.protocol import (
    AskPermit,
    RejoinRun,
    RunRejoined,
    StartRun,
)
from stopwork.control.steps import Patience
from stopwork.kernel.clock import SystemClock, boottime
from stopwork.kernel.errors import Invalid
from stopwork.kernel.ids import IdSource, TimeOrderedIds
from stopwork.sdk.backfills import MakesUp
from stopwork.sdk.binding import Binding, Signature, bind_mapping
from stopwork.sdk.carrying import Carrier, PendingCall, patience_s
from stopwork.sdk.desk import AsyncDesk, Desk, InThread
from stopwork.sdk.digests import runtime_of, tool_digest
from stopwork.sdk.doubt import AuthorSays
from stopwork.sdk.heartbeat import HELD_S, Health, Heartbeat
from stopwork.sdk.observer import Observer, captures
from stopwork.sdk.reads import LeasedTool, Read, Reads
from stopwork.sdk.recovering import Recovers
from stopwork.sdk.released import CarriesOutDrafts
from stopwork.sdk.resume import ResumeToken, run_of
from stopwork.sdk.runs import GuardedRun, current_run
from stopwork.sdk.tools import GuardedTool, Tools

if TYPE_CHECKING:
    import httpx

    from stopwork.systems.base import System

F = TypeVar("F", bound=Callable[..., Any])


class Stopwork(CarriesOutDrafts, MakesUp, Recovers):
    """The guard: every tool that is called through it asks first, and leaves a record.

    ``systems`` are the systems whose objects this process can read, by the name that the manifest uses. With
    ``approval_wait_s`` a call that needs approval waits that long for it; without, it raises
    :class:`~stopwork.sdk.errors.CallWaiting` at once and :meth:`resume` goes on with it later.

    One instance serves a whole process, threads and event loops alike. Without the control plane nothing that is guarded runs.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        systems: Mapping[str, System] | None = None,
        approval_wait_s: float = 0.0,
        timeout_s: float = 10.0,
        name: str = "",
        read_lease: bool = True,
        transport: httpx.BaseTransport | None = None,
        async_transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        # Imported here: an HTTP client costs half of what importing the guard would, and an embedded guard needs none.
        from stopwork.sdk.http import AsyncHttpDesk, HttpDesk

        desk = HttpDesk(url, token, timeout_s=timeout_s, transport=transport)
        adesk = AsyncHttpDesk(url, token, timeout_s=timeout_s, transport=async_transport)
        held_s = min(HELD_S, timeout_s / 2)
        patience = Patience(approval_wait_s=approval_wait_s)
        self._set_up(desk, adesk, systems, patience, name, read_lease=read_lease, held_s=held_s)

    @classmethod
    def at(
        cls,
        desk: Desk,
        *,
        adesk: AsyncDesk | None = None,
        systems: Mapping[str, System] | None = None,
        patience: Patience | None = None,
        name: str = "",
        ids: IdSource | None = None,
        read_lease: bool = False,
        clock: Callable[[], float] = boottime,
    ) -> Stopwork:
        """Answer a guard that asks at this desk: for other transports, and for tests."""
        guard = cls.__new__(cls)
        adesk = adesk or InThread(desk)
        guard._set_up(  # noqa: SLF001
            desk, adesk, systems, patience or Patience(), name, ids, read_lease=read_lease, clock=clock
        )
        return guard

    @classmethod
    def embedded(
        cls,
        path: str | Path,
        *,
        manifest: str | Path | None = None,
        systems: Mapping[str, System] | None = None,
        approval_wait_s: float = 0.0,
        name: str = "",
    ) -> Stopwork:
        """Answer a guard with its control plane in this process, with its records in the folder ``path``.

        ``manifest`` is the file of a manifest to be in force. Needs ``pip install stopwork[server]``.
        """
        # The only way from the SDK to what a server needs.
        from stopwork.sdk.embedded import LocalDesk

        desk = LocalDesk.open(path, systems=systems)
        if manifest is not None:
            desk.apply(Path(manifest))
        return cls.at(desk, systems=systems, patience=Patience(approval_wait_s=approval_wait_s), name=name)

    def _set_up(
        self,
        desk: Desk,
        adesk: AsyncDesk,
        systems: Mapping[str, System] | None,
        patience: Patience,
        name: str,
        ids: IdSource | None = None,
        *,
        read_lease: bool = False,
        held_s: float = 0.0,
        clock: Callable[[], float] = boottime,
    ) -> None:
        self.desk = desk
        self._systems = dict(systems or {})
        self._adesk = adesk
        self._ids = ids or TimeOrderedIds(SystemClock())
        # Where a system is scanned around every call, or says what a call has changed, a read that writes is found out: no plain one.
        plain_reads = not any(system.scans or captures(system) for system in (systems or {}).values())
        self._reads = Reads(desk, self._ids, clock=clock) if read_lease and plain_reads else None
        self._heartbeat = Heartbeat(
            desk,
            name or f"{socket.gethostname()}:{os.getpid()}",
            held_s=held_s,
            reads=self._reads,
            clock=clock,
            ids=self._ids,
        )
        self._tools = Tools()
        self._runs: WeakValueDictionary[str, GuardedRun] = WeakValueDictionary()
        self._carrier = Carrier(
            desk,
            adesk,
            patience=patience,
            ids=self._ids,
            observer=Observer(self._systems),
            heartbeat=self._heartbeat,
            tools=self._tools,
            reads=self._reads,
        )
        self._digests: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"Stopwork({self.desk!r})"

    # runs

    def run(
        self,
        workflow: str,
        *,
        trigger: str = "manual",
        trigger_id: str | None = None,
        attempt: int = 1,
        retry_of: str | None = None,
        runtime: Mapping[str, Any] | None = None,
        run: str | None = None,
        task: str = "",
    ) -> GuardedRun:
        """Answer a run, to be entered with ``with`` or ``async with``; ``task`` is what it is to do, in the words of whoever asks for it.
        Say it, where the run reads from outside, without anything it has read: by it a call that was asked for is told from one that follows such a text.
        ``trigger_id`` names the occasion, for example ``2026-W10``: give the same one to every attempt at it, and what an earlier one has done is not done
        again. Left out, the run is an occasion of its own. ``runtime`` says what runs: ``agent``, ``framework``, ``model``, ``prompt`` (its digest, see
        :func:`~stopwork.sdk.digests.prompt_digest`), ``connectors`` (a version or digest for each); the digests of the guarded tools are added
        as ``tools``. ``run`` is its id where an order gives it one.
        """
        run = run or self._ids.new("run")
        start = StartRun(
            run=run,
            workflow=workflow,
            trigger=trigger,
            trigger_id=trigger_id or run,
            attempt=attempt,
            retry_of=retry_of,
            runtime=runtime_of(runtime or {}, self._digests, self._systems),
            task=task,
        )
        before_end = None if self._reads is None else self._reads.settle
        made = GuardedRun(self.desk, self._adesk, start, self._heartbeat.watch, before_end)
        return self._runs.setdefault(run, made)

    arun = run

    def rejoin(self, run: str) -> GuardedRun:
        """Answer a run that began earlier, here or in another process, to be entered again; ``run`` is its id, or a resume token.

        It goes on where it was: what it has had done is known, so that the next call is not taken for a repetition, nor a
        repetition for the next call. ``Conflict`` when it has ended or was abandoned.
        """
        run_id = run_of(run)
        return self._runs.get(run_id) or self._known(self.desk.send(RejoinRun(run=run_id)))

    async def arejoin(self, run: str) -> GuardedRun:
        """Answer a run that began earlier without blocking the event loop; otherwise as :meth:`rejoin`."""
        run_id = run_of(run)
        return self._runs.get(run_id) or self._known(await self._adesk.send(RejoinRun(run=run_id)))

    # calls

    def tool(
        self,
        name: str,
        *,
        source: str | None = None,
        leave_out: tuple[str, ...] = (),
        unknown: tuple[type[BaseException], ...] = (),
        failed: tuple[type[BaseException], ...] = (),
        approval_wait_s: float | None = None,
    ) -> Callable[[F], F]:
        """Guard a function, sync or async, as the tool of this name; its arguments are the call's.

        ``source`` says where the input it reads comes from. ``leave_out`` names parameters that are passed through and not recorded.
        An exception of a tool that changes something leaves its outcome unknown, unless the request certainly was not carried out or
        everything is seen to be as it was. ``failed`` are exceptions after which it has certainly not taken effect, ``unknown`` those
        after which nothing that is seen can tell; time-outs and broken connections are that by themselves.
        """
        author = AuthorSays(unknown=unknown, failed=failed)

        def guard(function: F) -> F:
            signature = Signature(function, leave_out)
            self._digests[name] = tool_digest(name, function, leave_out)
            self._tools.add(GuardedTool(name, function, signature, author))

            # A call that says where its input comes from is about more than its tool.
            leased = LeasedTool(name, signature, author) if source is None else None

            @functools.wraps(function)
            def guarded(*args: Any, **kwargs: Any) -> Any:
                if (read := self._begun(leased, args, kwargs)) is not None:
                    try:
                        value = function(*args, **kwargs)
                    except BaseException as error:
                        read.reads.raised(read, error)
                        raise
                    read.reads.returned(read, value)
                    return value
                pending = self._pending(name, signature.bind(args, kwargs), None, source, author)
                return self._carrier.carry(pending, approval_wait_s)

            @functools.wraps(function)
            async def aguarded(*args: Any, **kwargs: Any) -> Any:
                if (read := self._begun(leased, args, kwargs)) is not None:
                    try:
                        value = await function(*args, **kwargs)
                    except BaseException as error:
                        read.reads.raised(read, error)
                        raise
                    read.reads.returned(read, value)
                    return value
                pending = self._pending(name, signature.bind(args, kwargs), None, source, author)
                return await self._carrier.acarry(pending, approval_wait_s)

            return aguarded if inspect.iscoroutinefunction(function) else guarded  # type: ignore[return-value]

        return guard

    def call(
        self,
        tool: str,
        function: Callable[..., Any],
        args: Mapping[str, Any],
        *,
        run: GuardedRun | None = None,
        call: str | None = None,
        nth: int | None = None,
        source: str | None = None,
        unknown: tuple[type[BaseException], ...] = (),
        failed: tuple[type[BaseException], ...] = (),
    ) -> Any:
        """Run ``function(**args)`` as a call of ``tool``, for callers that have no decorated function.

        ``call`` asks again about a call that another process left waiting. ``nth`` tells repetitions of the same call apart where the
        caller counts them better than this process can: one more than those whose result it has.
        """
        pending = self._pending(
            tool,
            bind_mapping(function, args),
            run,
            source,
            AuthorSays(unknown=unknown, failed=failed),
            call=call,
            nth=nth,
        )
        return self._carrier.carry(pending)

    async def acall(
        self,
        tool: str,
        function: Callable[..., Any],
        args: Mapping[str, Any],
        *,
        run: GuardedRun | None = None,
        call: str | None = None,
        nth: int | None = None,
        source: str | None = None,
        unknown: tuple[type[BaseException], ...] = (),
        failed: tuple[type[BaseException], ...] = (),
    ) -> Any:
        """Run an async ``function`` as a call of ``tool``; otherwise as :meth:`call`."""
        pending = self._pending(
            tool,
            bind_mapping(function, args),
            run,
            source,
            AuthorSays(unknown=unknown, failed=failed),
            call=call,
            nth=nth,
        )
        return await self._carrier.acarry(pending)

    def resume(self, call: str, **given: Any) -> Any:
        """Ask again about a call that raised ``CallWaiting``, and run it with exactly what people have approved.

        ``call`` is the exception's ``token``, in whatever process and however much later, or its ``call`` in the process where it was
        raised. Elsewhere the function is the one that is guarded under the tool's name there; ``given`` are the parameters that it
        leaves out. The run stays open: enter it with :meth:`rejoin` to go on and to end it.
        """
        kept = self._carrier.kept(call)
        if kept is not None:
            return self._carrier.carry(kept)
        token = ResumeToken.read(call)
        rejoined = self.desk.send(RejoinRun(run=token.run, call=token.call))
        return self._carrier.carry(self._restored(token, rejoined, given))

    async def aresume(self, call: str, **given: Any) -> Any:
        """Ask again about an async call; otherwise as :meth:`resume`."""
        kept = self._carrier.kept(call)
        if kept is not None:
            return await self._carrier.acarry(kept)
        token = ResumeToken.read(call)
        rejoined = await self._adesk.send(RejoinRun(run=token.run, call=token.call))
        return await self._carrier.acarry(self._restored(token, rejoined, given))

    @contextmanager
    def waiting(self, approval_wait_s: float) -> Iterator[None]:
        """Within the block, calls that need approval wait that long for it, in this thread or task, blocking or not."""
        token = patience_s.set(approval_wait_s)
        try:
            yield
        finally:
            patience_s.reset(token)

    # the guard itself

    def health(self) -> Health:
        """Answer whether this process is confirmed as an enforcement point, and if not, why."""
        return self._heartbeat.health()

    def close(self) -> None:
        """Report what was read, stop the heartbeat and close the connections."""
        if self._reads is not None:
            self._reads.close()
        self._heartbeat.close()
        self.desk.close()

    async def aclose(self) -> None:
        """Close the connections of this event loop as well; otherwise as :meth:`close`."""
        await self._adesk.aclose()
        await asyncio.to_thread(self.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _begun(self, tool: LeasedTool | None, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Read | None:
        """Answer the read that this process lets begin by itself, or ``None`` when the control plane has to be asked."""
        if tool is None or self._reads is None:
            return None
        return self._reads.begin(current_run(), tool, args, kwargs)

    def _pending(
        self,
        tool: str,
        binding: Binding,
        run: GuardedRun | None,
        source: str | None,
        author: AuthorSays,
        *,
        call: str | None = None,
        nth: int | None = None,
    ) -> PendingCall:
        run = run or current_run()
        if not isinstance(run, GuardedRun):
            raise Invalid(f"{run!r} is not a run", hint="Give what sw.run(...) answered.", field="run")
        request = AskPermit(
            call=call or self._ids.new("call"),
            run=run.id,
            tool=tool,
            args=binding.args,
            nth=nth or run.done(tool, binding.args) + 1,
            source=source,
        )
        return PendingCall(request, run, binding, author)

    def _restored(self, token: ResumeToken, rejoined: RunRejoined, given: Mapping[str, Any]) -> PendingCall:
        call = token.call_in(rejoined)
        tool = self._tools.need(call.tool)
        request = AskPermit(
            call=call.call, run=token.run, tool=call.tool, args=call.args, nth=token.nth, source=call.source
        )
        run = self._runs.get(token.run) or self._known(rejoined)
        return PendingCall(request, run, tool.restore(call.args, given), tool.author)

    def _known(self, rejoined: RunRejoined) -> GuardedRun:
        run = GuardedRun.rejoined(self.desk, self._adesk, rejoined, self._heartbeat.watch)
        return self._runs.setdefault(run.id, run)
