"""Carrying calls through: what the guard does with a call once it is known what it is about.

A call is *pending* from when it is made until its result is there: it can be asked about again while it waits for approval, and once
more after a probe has settled the earlier call that stood in its way.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import OrderedDict
from contextvars import ContextVar
from typing import Any, Final

from msgspec.structs import replace

from stopwork.control.protocol import AskPermit, Offered, RecordEffects, portions
from stopwork.control.session import CallSession
from stopwork.control.steps import Patience
from stopwork.kernel.canonical import digest_of
from stopwork.kernel.errors import NotFound, StopworkError
from stopwork.kernel.ids import IdSource
from stopwork.sdk import probing
from stopwork.sdk.binding import Binding
from stopwork.sdk.desk import AsyncDesk, Desk
from stopwork.sdk.doubt import AuthorSays
from stopwork.sdk.errors import CallDenied, CallWaiting
from stopwork.sdk.heartbeat import Heartbeat
from stopwork.sdk.observer import Observer
from stopwork.sdk.reads import Reads
from stopwork.sdk.resume import ResumeToken, is_token
from stopwork.sdk.runs import GuardedRun
from stopwork.sdk.shells import GuardedCall, acarry, carry
from stopwork.sdk.tools import Tools

log = logging.getLogger("stopwork.sdk")

MAX_WAITING: Final = 1_000

#: How long calls of this thread or task wait for approval, where it was said for them.
patience_s: ContextVar[float | None] = ContextVar("stopwork_patience_s", default=None)


class PendingCall:
    """What it takes to ask about a call, and to ask again. A request that names a session keeps it."""

    def __init__(self, request: AskPermit, run: GuardedRun, binding: Binding, author: AuthorSays) -> None:
        self.request = request
        self.run = run
        self.binding = binding
        self.author = author


class Carrier:
    """Carries pending calls through, and keeps those that wait; ``reads`` counts every call that is asked about, where some are not."""

    def __init__(
        self,
        desk: Desk,
        adesk: AsyncDesk,
        *,
        patience: Patience,
        ids: IdSource,
        observer: Observer,
        heartbeat: Heartbeat,
        tools: Tools,
        reads: Reads | None,
    ) -> None:
        self._desk = desk
        self._adesk = adesk
        self._patience = patience
        self._ids = ids
        self._observer = observer
        self._heartbeat = heartbeat
        self._tools = tools
        self._reads = reads
        self._waiting: OrderedDict[str, PendingCall] = OrderedDict()
        self._lock = threading.Lock()

    def carry(self, pending: PendingCall, approval_wait_s: float | None = None) -> Any:
        """Answer what the tool returned, or raise what kept it from that; a call that waits is kept, and leaves its token."""
        try:
            result = self._tried(pending, approval_wait_s)
        except CallWaiting as error:
            self._keep(error, pending)
            raise
        pending.run.note_done(pending.request.tool, pending.binding.args)
        return result

    async def acarry(self, pending: PendingCall, approval_wait_s: float | None = None) -> Any:
        """Carry a call through without blocking the event loop; otherwise as :meth:`carry`."""
        try:
            result = await self._atried(pending, approval_wait_s)
        except CallWaiting as error:
            self._keep(error, pending)
            raise
        pending.run.note_done(pending.request.tool, pending.binding.args)
        return result

    def kept(self, call: str) -> PendingCall | None:
        """Answer the waiting call of this id or token if this process has it; ``None`` for a token of another one."""
        known = ResumeToken.read(call).call if is_token(call) else call
        with self._lock:
            kept = self._waiting.pop(known, None)
        if kept is None and not is_token(call):
            raise NotFound(
                f"no call {call!r} waits in this process",
                hint="Give the token of CallWaiting: with it any process of the workflow can go on.",
                call=call,
            )
        return kept

    def _tell_late(self, run: str) -> None:
        """Put on record what calls of the run committed only after they had returned; what cannot be told stays where it was captured."""
        for call, observed in self._observer.late(run).items():
            try:
                for portion in portions(observed):
                    self._desk.send(RecordEffects(call=call, observed=portion))
            except StopworkError as error:
                log.warning("what %s changed after it had returned is not on record: %s", call, error)
            else:
                self._observer.forget(call)

    def _keep(self, error: CallWaiting, pending: PendingCall) -> None:
        request = pending.request
        token = ResumeToken(
            run=request.run,
            call=error.call,
            tool=request.tool,
            digest=digest_of(request.args),
            nth=request.nth,
        )
        error.fields["token"] = token.spelled()
        with self._lock:
            self._waiting[error.call] = pending
            while len(self._waiting) > MAX_WAITING:
                self._waiting.popitem(last=False)

    def _guarded(self, pending: PendingCall, approval_wait_s: float | None = None) -> GuardedCall:
        tool = pending.request.tool
        effect = pending.run.effect_of(tool)
        patience = self._patience
        approval_wait_s = patience_s.get() if approval_wait_s is None else approval_wait_s
        if approval_wait_s is not None:
            patience = replace(patience, approval_wait_s=approval_wait_s)
        request = replace(
            pending.request,
            session=pending.request.session or self._ids.new("session"),
            point=self._heartbeat.point_of(pending.run.workflow),
        )
        session = CallSession(request, effect, patience)
        if any(self._observer.capturing()):
            pending.run.look_again = self._tell_late
        window = self._observer.window(effect, pending.run.system_of(tool), request.call, pending.run.id)
        return GuardedCall(tool, pending.binding, session, window, pending.author)

    def _tried(self, pending: PendingCall, approval_wait_s: float | None) -> Any:
        try:
            return self._asked(pending, approval_wait_s)
        except CallDenied as refused:
            if not self._found_out(refused, pending):
                raise
        return self._asked(pending)

    async def _atried(self, pending: PendingCall, approval_wait_s: float | None) -> Any:
        try:
            return await self._aasked(pending, approval_wait_s)
        except CallDenied as refused:
            if not await self._afound_out(refused, pending):
                raise
        return await self._aasked(pending)

    def _asked(self, pending: PendingCall, approval_wait_s: float | None = None) -> Any:
        guarded = self._guarded(pending, approval_wait_s)
        if self._reads is not None and self._reads.count(pending.run):
            self._reads.settle()
        return carry(guarded, self._desk)

    async def _aasked(self, pending: PendingCall, approval_wait_s: float | None = None) -> Any:
        guarded = self._guarded(pending, approval_wait_s)
        if self._reads is not None and self._reads.count(pending.run):
            await asyncio.to_thread(self._reads.settle)
        return await acarry(guarded, self._adesk)

    def _found_out(self, refused: CallDenied, pending: PendingCall) -> bool:
        """Run the probe that the refusal offers, if it can be run here; answer whether the call may be asked for again."""
        looking = self._probing(refused.probe, pending, blocking=True)
        if looking is None or refused.probe is None:
            return False
        try:
            self._asked(looking)
            return probing.settled(self._desk.send(probing.told(refused.probe, looking.request.call)).outcome)
        except Exception as error:  # noqa: BLE001 - whatever it was, nothing is known, and the refusal stands
            return probing.failed(refused.probe, error)

    async def _afound_out(self, refused: CallDenied, pending: PendingCall) -> bool:
        looking = self._probing(refused.probe, pending, blocking=False)
        if looking is None or refused.probe is None:
            return False
        try:
            await self._aasked(looking)
            found = await self._adesk.send(probing.told(refused.probe, looking.request.call))
            return probing.settled(found.outcome)
        except Exception as error:  # noqa: BLE001 - whatever it was, nothing is known, and the refusal stands
            return probing.failed(refused.probe, error)

    def _probing(self, probe: Offered | None, pending: PendingCall, *, blocking: bool) -> PendingCall | None:
        tool = self._tools.get(probe.tool) if probe else None
        if probe is None or tool is None or not probing.runs_here(tool, blocking=blocking):
            return None
        request = probing.question(probe, pending.run.id, self._ids.new("call"))
        return PendingCall(request, pending.run, tool.restore(probe.args, {}), tool.author)
