"""``Stopwork``: what an agent's developer holds in hand."""

from __future__ import annotations

import functools
import inspect
import os
import socket
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from msgspec.structs import replace

from stopwork.control.protocol import AskPermit, StartRun
from stopwork.control.session import CallSession, Patience
from stopwork.kernel.clock import SystemClock
from stopwork.kernel.errors import Invalid, NotFound
from stopwork.kernel.ids import IdSource, TimeOrderedIds
from stopwork.sdk.binding import Binding, Signature, bind_mapping
from stopwork.sdk.desk import AsyncDesk, Desk, InThread
from stopwork.sdk.doubt import AuthorSays
from stopwork.sdk.errors import CallWaiting
from stopwork.sdk.heartbeat import Health, Heartbeat
from stopwork.sdk.observer import Observer
from stopwork.sdk.runs import GuardedRun, current_run
from stopwork.sdk.shells import GuardedCall, acarry, carry

if TYPE_CHECKING:
    import httpx

    from stopwork.systems.base import System

F = TypeVar("F", bound=Callable[..., Any])

MAX_WAITING: Final = 1_000


class _Waiting:
    """What it takes to ask again about a call that waits for approval."""

    def __init__(self, request: AskPermit, run: GuardedRun, binding: Binding, author: AuthorSays) -> None:
        self.request = request
        self.run = run
        self.binding = binding
        self.author = author


class Stopwork:
    """The guard: every tool that is called through it asks first, and leaves a record.

    ``systems`` are the systems whose objects this process can read, by the name that the manifest uses. With
    ``approval_wait_s`` a call that needs approval waits that long for it; without, it raises
    :class:`~stopwork.sdk.errors.CallWaiting` at once and :meth:`resume` goes on with it later.

    One instance serves a whole process, threads and event loops alike. When the control plane cannot be reached nothing that is
    guarded runs.
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
        transport: httpx.BaseTransport | None = None,
        async_transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        # Imported here: an HTTP client costs half of what importing the guard would, and an embedded guard needs none.
        from stopwork.sdk.http import AsyncHttpDesk, HttpDesk

        desk = HttpDesk(url, token, timeout_s=timeout_s, transport=transport)
        adesk = AsyncHttpDesk(url, token, timeout_s=timeout_s, transport=async_transport)
        self._set_up(desk, adesk, systems, Patience(approval_wait_s=approval_wait_s), name)

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
    ) -> Stopwork:
        """Answer a guard that asks at this desk: for other transports, and for tests."""
        guard = cls.__new__(cls)
        guard._set_up(desk, adesk or InThread(desk), systems, patience or Patience(), name, ids)  # noqa: SLF001
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
    ) -> None:
        self.desk = desk
        self._adesk = adesk
        self._patience = patience
        self._ids = ids or TimeOrderedIds(SystemClock())
        self._observer = Observer(systems or {})
        self._heartbeat = Heartbeat(desk, name or f"{socket.gethostname()}:{os.getpid()}", ids=self._ids)
        self._waiting: OrderedDict[str, _Waiting] = OrderedDict()
        self._lock = threading.Lock()

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
    ) -> GuardedRun:
        """Answer a run, to be entered with ``with`` or ``async with``.

        ``trigger_id`` names the occasion, for example ``2026-W10``: give the same one to every attempt at the same occasion, and
        what an earlier attempt has done is not done again. Left out, the run is an occasion of its own.
        """
        run = self._ids.new("run")
        start = StartRun(
            run=run,
            workflow=workflow,
            trigger=trigger,
            trigger_id=trigger_id or run,
            attempt=attempt,
            retry_of=retry_of,
            runtime=dict(runtime or {}),
        )
        return GuardedRun(self.desk, self._adesk, start, self._heartbeat.watch)

    arun = run

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

            @functools.wraps(function)
            def guarded(*args: Any, **kwargs: Any) -> Any:
                call, waiting = self._call(
                    name, signature.bind(args, kwargs), None, source, author, approval_wait_s
                )
                return self._carried(call, waiting)

            @functools.wraps(function)
            async def aguarded(*args: Any, **kwargs: Any) -> Any:
                call, waiting = self._call(
                    name, signature.bind(args, kwargs), None, source, author, approval_wait_s
                )
                return await self._acarried(call, waiting)

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
        guarded, waiting = self._call(
            tool,
            bind_mapping(function, args),
            run,
            source,
            AuthorSays(unknown=unknown, failed=failed),
            None,
            call=call,
            nth=nth,
        )
        return self._carried(guarded, waiting)

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
        guarded, waiting = self._call(
            tool,
            bind_mapping(function, args),
            run,
            source,
            AuthorSays(unknown=unknown, failed=failed),
            None,
            call=call,
            nth=nth,
        )
        return await self._acarried(guarded, waiting)

    def resume(self, call: str) -> Any:
        """Ask again about a call that raised ``CallWaiting`` in this process, and run it if people have approved it."""
        return self._carried(*self._resumed(call))

    async def aresume(self, call: str) -> Any:
        """Ask again about an async call; otherwise as :meth:`resume`."""
        return await self._acarried(*self._resumed(call))

    # the guard itself

    def health(self) -> Health:
        """Answer whether this process is confirmed as an enforcement point, and if not, why."""
        return self._heartbeat.health()

    def close(self) -> None:
        """Stop the heartbeat and close the connections."""
        self._heartbeat.close()
        self.desk.close()

    async def aclose(self) -> None:
        """Close the connections of this event loop as well; otherwise as :meth:`close`."""
        await self._adesk.aclose()
        self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _call(
        self,
        tool: str,
        binding: Binding,
        run: GuardedRun | None,
        source: str | None,
        author: AuthorSays,
        approval_wait_s: float | None,
        *,
        call: str | None = None,
        nth: int | None = None,
    ) -> tuple[GuardedCall, _Waiting]:
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
        waiting = _Waiting(request, run, binding, author)
        return self._guarded(waiting, approval_wait_s), waiting

    def _guarded(self, waiting: _Waiting, approval_wait_s: float | None = None) -> GuardedCall:
        tool = waiting.request.tool
        effect = waiting.run.effect_of(tool)
        patience = self._patience
        if approval_wait_s is not None:
            patience = replace(patience, approval_wait_s=approval_wait_s)
        request = replace(
            waiting.request,
            session=self._ids.new("session"),
            point=self._heartbeat.point_of(waiting.run.workflow),
        )
        session = CallSession(request, effect, patience)
        window = self._observer.window(effect, waiting.run.system_of(tool))
        return GuardedCall(tool, waiting.binding, session, window, waiting.author)

    def _carried(self, call: GuardedCall, waiting: _Waiting) -> Any:
        try:
            result = carry(call, self.desk)
        except CallWaiting as error:
            self._keep(error.call, waiting)
            raise
        waiting.run.note_done(waiting.request.tool, waiting.binding.args)
        return result

    async def _acarried(self, call: GuardedCall, waiting: _Waiting) -> Any:
        try:
            result = await acarry(call, self._adesk)
        except CallWaiting as error:
            self._keep(error.call, waiting)
            raise
        waiting.run.note_done(waiting.request.tool, waiting.binding.args)
        return result

    def _keep(self, call: str, waiting: _Waiting) -> None:
        with self._lock:
            self._waiting[call] = waiting
            while len(self._waiting) > MAX_WAITING:
                self._waiting.popitem(last=False)

    def _resumed(self, call: str) -> tuple[GuardedCall, _Waiting]:
        with self._lock:
            waiting = self._waiting.pop(call, None)
        if waiting is None:
            raise NotFound(
                f"no call {call!r} waits in this process",
                hint="A call that another process left waiting is asked about with sw.call(tool, function, args, call=...).",
                call=call,
            )
        return self._guarded(waiting), waiting
