"""Reads that this process decides by itself, on a lease, and reports afterwards.

While a workflow's point holds a lease, a plain read begins without asking. It is put down before it begins, in the same step in which the
lease is looked at, so that whoever takes a new lease, or confirms a hold, finds every read that began before. What is put down is
reported in order and in bounded batches: at least every second, before a hold is confirmed, and at the end of a run.

Arguments and results are kept as they were at that moment, as bytes where that is possible (``marshal``, within one process): spelling
them out costs more than a read may, and is done when they are reported. What cannot be spelled, and what the control plane refuses,
is left out of the one read that it belongs to: no read keeps another one from the record.
"""

from __future__ import annotations

import logging
import marshal
import os
import threading
from collections import Counter, deque
from collections.abc import Callable
from typing import Any, Final, NamedTuple
from weakref import WeakSet

from stopwork.control.lease import Lease
from stopwork.control.protocol import LeasedRead, Pulse, ReportReads
from stopwork.control.steps import Doubt
from stopwork.kernel.clock import boottime
from stopwork.kernel.errors import Conflict, Invalid, NotFound, StopworkError, TooLarge
from stopwork.kernel.ids import IdSource
from stopwork.ledger.words import Outcome
from stopwork.sdk.binding import Signature
from stopwork.sdk.desk import Desk
from stopwork.sdk.doubt import AuthorSays, doubt_of
from stopwork.sdk.recording import in_words, result_of, unrecorded
from stopwork.sdk.runs import GuardedRun

log = logging.getLogger("stopwork.sdk")

REPORT_EVERY_S: Final = 0.5
#: So many reads, and so many bytes of what they were given and gave back, wait to be reported; then the guard asks before it reads.
MAX_UNREPORTED: Final = 1_000
MAX_UNREPORTED_BYTES: Final = 16 * 1024 * 1024
MAX_REPORTED_AT_ONCE: Final = 200
#: What counts for a value that could not be kept as bytes.
_SPELLED_BYTES: Final = 1_024


class Read:
    """One read that this process decided; running until it has an ``outcome``."""

    __slots__ = (
        "began_at",
        "call",
        "counted",
        "ended_at",
        "epoch",
        "error",
        "given",
        "nth",
        "outcome",
        "point",
        "reads",
        "result",
        "run",
        "size",
        "told",
        "tool",
        "version",
    )

    def __init__(
        self, reads: Reads, run: GuardedRun, point: str, tool: LeasedTool, lease: Lease, at: float
    ) -> None:
        self.reads = reads
        self.run = run
        self.point = point
        self.tool = tool
        self.epoch = lease.epoch
        self.version = lease.version
        self.began_at = at
        self.ended_at = at
        self.call = ""
        self.nth = 0
        self.counted = False
        self.given: Any = b""
        self.outcome: Outcome | None = None
        self.result: Any = None
        self.error: str | None = None
        self.size = 0
        self.told = False

    def say_less(self, why: str) -> bool:
        """Leave the result out of what is told, and then the arguments; answer whether there was something to leave out."""
        less = unrecorded(why)
        if self.outcome is Outcome.SUCCEEDED and self.result != less:
            self.result = less
        elif (
            not self.told and self.given != less
        ):  # what was told of a read while it ran stays as it was told
            self.given = less
        else:
            return False
        return True


class LeasedTool:
    """A guarded function as the direct way sees it: its name, what its arguments are called, and what its exceptions mean."""

    __slots__ = ("author", "name", "signature")

    def __init__(self, name: str, signature: Signature, author: AuthorSays) -> None:
        self.name = name
        self.signature = signature
        self.author = author

    def args_of(self, given: Any) -> dict[str, Any] | None:
        """Answer the arguments as they are recorded; ``None`` for a call that Python refused to begin."""
        if isinstance(given, dict):
            return given
        args, kwargs = marshal.loads(given)  # noqa: S302 - made by this process, a moment ago
        try:
            return self.signature.bind(args, kwargs).args
        except TypeError:
            if self.signature.takes(args, kwargs):
                raise
            return None


class Asked(NamedTuple):
    """When a lease was asked for, and how many reads of the workflow had been reported by then: the answer knows of these."""

    at: float
    reported: int


class Reads:
    """The leases of this process, and the reads that it has decided and not reported yet. Safe for threads."""

    def __init__(self, desk: Desk, ids: IdSource, *, clock: Callable[[], float] = boottime) -> None:
        self._desk = desk
        self._ids = ids
        self._clock = clock
        self._closed = False
        self._set_up()
        _all.add(self)

    def _set_up(self) -> None:
        self._leases: dict[str, tuple[str, Lease]] = {}
        self._unreported: deque[Read] = deque()
        self._bytes = 0
        self._begun: Counter[str] = Counter()
        self._reported: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._sending = threading.RLock()
        self._wake = threading.Event()
        self._hurry = threading.Event()
        self._thread: threading.Thread | None = None
        self._failing = False

    # the lease

    def asking(self, workflow: str) -> Asked:
        """Answer what is to be known of the moment at which a lease is asked for."""
        with self._lock:
            return Asked(self._clock(), self._reported[workflow])

    def adopt(self, workflow: str, point: str, pulse: Pulse, asked: Asked) -> None:
        """Go by what the control plane has answered to a heartbeat, and by nothing older; once closed, by nothing."""
        with self._lock:
            if pulse.lease is None or self._closed:
                self._leases.pop(workflow, None)
                return
            unknown = self._begun[workflow] - asked.reported
            lease = Lease(pulse.lease, epoch=pulse.epoch, asked_at=asked.at, unreported=unknown)
            self._leases[workflow] = (point, lease)

    def drop(self, workflow: str) -> None:
        """Decide nothing for this workflow any more, until there is a new lease."""
        with self._lock:
            self._leases.pop(workflow, None)

    def count(self, run: GuardedRun) -> bool:
        """Count a call that asks for a permit; answer whether a budget is used up, so that what was read has to be told first."""
        with self._lock:
            run.calls += 1
            held = self._leases.get(run.workflow)
            unknown = self._begun[run.workflow] > self._reported[run.workflow]
            return held is not None and unknown and held[1].is_spent(run.calls)

    # the direct way

    def begin(
        self, run: GuardedRun, tool: LeasedTool, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Read | None:
        """Let a read begin now and put it down; ``None`` where the control plane has to be asked."""
        if not run.may_lease or run.workflow not in self._leases:
            return None
        try:
            given: Any = marshal.dumps((args, kwargs))
            size = len(given)
        except ValueError:  # a value that is more than data: spelled out now, as it is now
            given, size = tool.signature.bind(args, kwargs).args, _SPELLED_BYTES
        with self._lock:
            held = self._leases.get(run.workflow)
            waiting = len(self._unreported)
            if held is None or waiting >= MAX_UNREPORTED or self._bytes + size > MAX_UNREPORTED_BYTES:
                return None
            point, lease = held
            at = self._clock()
            if not lease.take(tool.name, run.calls, at):
                return None
            run.calls += 1
            read = Read(self, run, point, tool, lease, at)
            read.given, read.size = given, size
            self._unreported.append(read)
            self._begun[run.workflow] += 1
            self._bytes += size
        if not self._wake.is_set():
            self._have_reported()
        elif waiting == MAX_UNREPORTED // 2:
            self._hurry.set()
        # The very last thing before the tool: this process may have been suspended since it looked.
        if self._clock() >= lease.until:
            self._ended(read, Outcome.FAILED, None, "not started: its lease ran out", 0)
            return None
        return read

    def returned(self, read: Read, value: Any) -> None:
        """Put down what a read gave back."""
        try:
            result: Any = marshal.dumps(value)
            size = len(result)
        except ValueError:
            result, size = result_of(read.tool.name, value), _SPELLED_BYTES
        self._ended(read, Outcome.SUCCEEDED, result, None, size)

    def raised(self, read: Read, error: BaseException) -> None:
        """Put down that a read raised: whether it failed, or nobody can say."""
        if isinstance(error, Exception):
            lasting = doubt_of(error, read.tool.author) is Doubt.LASTING
            words = in_words(error)
        else:
            lasting, words = True, "cancelled while it ran"
        self._ended(read, Outcome.UNKNOWN if lasting else Outcome.FAILED, None, words, 0)

    def _ended(self, read: Read, outcome: Outcome, result: Any, error: str | None, size: int) -> None:
        with self._lock:
            read.result, read.error, read.ended_at = result, error, self._clock()
            read.size += size
            self._bytes += size
            read.outcome = outcome

    # reporting

    def report(self, *, workflow: str | None = None, running: bool = False) -> None:
        """Report what began until now and has ended, and with ``running`` also what has not; raises what keeps the desk from taking it.

        One batch at a time and in the order in which the reads began.
        """
        with self._sending:
            with self._lock:
                newest = self._unreported[-1] if self._unreported else None
            while newest is not None and (batch := self._batch(workflow, newest, running=running)):
                self._send(batch)

    def settle(self, *, running: bool = False) -> None:
        """Report what has ended, if the desk can be reached: at the end of a run, and before the guard closes."""
        try:
            self.report(running=running)
        except StopworkError as error:
            self._failed(error)

    def close(self) -> None:
        """Report what is left, and decide nothing any more."""
        with self._lock:
            self._leases.clear()
            self._closed = True
        self._wake.set()
        self._hurry.set()
        self.settle()
        self.settle(running=True)
        if left := sum(not read.told for read in self._unreported):
            log.error("%d reads could not be reported", left)

    def _batch(self, workflow: str | None, newest: Read, *, running: bool) -> list[Read]:
        """Answer the first reads, up to the newest one, that are to be reported; all of one point."""
        batch: list[Read] = []
        with self._lock:
            for read in self._unreported:
                due = read.outcome is not None or (running and not read.told)
                mine = workflow in (None, read.run.workflow) and (not batch or read.point == batch[0].point)
                if due and mine:
                    batch.append(read)
                if read is newest or len(batch) == MAX_REPORTED_AT_ONCE:
                    break
        return batch

    def _send(self, batch: list[Read]) -> None:
        spelled = [(read, each) for read in batch if (each := self._spelled(read)) is not None]
        if not spelled:
            return
        try:
            reads = tuple(each for _, each in spelled)
            answer = self._desk.send(ReportReads(point=batch[0].point, reads=reads))
        except (Invalid, NotFound, Conflict) as error:
            if len(spelled) > 1:
                half = len(spelled) // 2
                self._send([read for read, _ in spelled[:half]])
                self._send([read for read, _ in spelled[half:]])
            else:
                self._refused(*spelled[0], error)
            return
        if answer.unknown:
            log.error("%d reads belong to no run that is known, and are not on record", len(answer.unknown))
        self._forget([read for read, each in spelled if each.outcome is not None])
        for read, each in spelled:
            read.told = each.outcome is None

    def _refused(self, read: Read, told: LeasedRead, error: StopworkError) -> None:
        """Tell less of a read, and give it up when that is refused as well; raises for one that still runs.

        Nobody else would know of that one, and a hold would be confirmed while it reads.
        """
        why = "too large" if isinstance(error, TooLarge) else "refused"
        if isinstance(error, Invalid) and read.say_less(why):
            self._send([read])
            return
        if told.outcome is None:
            raise error
        log.error("a read of %s by %s is not on record: %s", told.tool, told.run, error)
        self._forget([read])

    def _spelled(self, read: Read) -> LeasedRead | None:
        """Answer what is told of a read; ``None`` for one that Python refused to begin, which is forgotten."""
        if not read.call and not self._identify(read):
            self._forget([read])
            return None
        outcome, result = read.outcome, read.result
        if outcome is Outcome.SUCCEEDED and not read.counted:
            read.counted = True
            read.run.note_done(read.tool.name, read.given)
        if isinstance(result, bytes):
            result = result_of(read.tool.name, marshal.loads(result))  # noqa: S302 - made by this process
        return LeasedRead(
            call=read.call,
            run=read.run.id,
            tool=read.tool.name,
            args=read.given,
            version=read.version,
            epoch=read.epoch,
            began_ago_s=max(0.0, self._clock() - read.began_at),
            took_s=max(0.0, read.ended_at - read.began_at),
            nth=read.nth,
            outcome=outcome,
            result=result,
            error=read.error,
        )

    def _identify(self, read: Read) -> bool:
        """Give a read its arguments in words, its number and its id, once: told again it is the same. Answer whether it began."""
        name, done = read.tool.name, read.run.done
        try:
            args = read.tool.args_of(read.given)
            if args is None:
                return False
            read.nth = done(name, args) + 1
        except Exception as error:  # noqa: BLE001 - whatever it is, the read has run, and is told of without them
            log.warning("the arguments of %s cannot be recorded: %s", name, in_words(error))
            args = unrecorded(type(error).__name__)
            read.nth = done(name, args) + 1
        read.given, read.call = args, self._ids.new("call")
        return True

    def _forget(self, reads: list[Read]) -> None:
        done = set(map(id, reads))
        with self._lock:
            self._unreported = deque(read for read in self._unreported if id(read) not in done)
            self._bytes -= sum(read.size for read in reads)
            self._reported.update(read.run.workflow for read in reads)

    def _have_reported(self) -> None:
        with self._lock:
            self._wake.set()
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._report_on, name="stopwork-reads", daemon=True)
                self._thread.start()

    def _report_on(self) -> None:
        while not self._closed:
            self._wake.wait()
            self._hurry.wait(REPORT_EVERY_S)
            self._hurry.clear()
            # Before the look: a read from here on is seen by it, or wakes this thread again.
            self._wake.clear()
            try:
                self.report()
                self._failing = False
            except Exception as error:  # noqa: BLE001 - the thread has to go on, and the failure is told
                self._failed(error)
            if self._unreported:
                self._wake.set()

    def _failed(self, error: Exception) -> None:
        if not self._failing:
            log.warning("reads cannot be reported, and are kept: %s", error)
        self._failing = True

    def forked(self) -> None:
        """Begin anew in a child process: leases, reads and threads are its parent's."""
        self._set_up()


_all: WeakSet[Reads] = WeakSet()


def _forked() -> None:
    for reads in tuple(_all):
        reads.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
