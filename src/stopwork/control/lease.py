"""Read leases: which reads a guard may decide by itself, for a short while, and from when on it may not any more.

A call that changes something always needs a permit. A read that nothing about the call itself could stop (no condition, no gate, no
schema, no address, no hold, room in the budget) would be permitted whatever its arguments are, so a guard that holds a lease may run it
without asking and report it afterwards. Everything else asks.

The guard counts the lease from *before* it asked for it, the control plane from after it was asked, so the guard's is over first.
The guard counts on a clock that goes on while its machine is suspended and that nobody sets, and so does a control plane on SQLite. One on
PostgreSQL has only the time on the wall of the database's machine; what is done about that is told in :mod:`stopwork.storage.leases`.
"""

from __future__ import annotations

from stopwork.control.protocol import ReadLease


class Lease:
    """A lease in the hands of a guard that asked for it at ``asked_at``. Not safe for threads: its keeper locks."""

    __slots__ = ("_free", "_left", "epoch", "run_calls", "until", "version")

    def __init__(self, granted: ReadLease, *, epoch: int, asked_at: float, unreported: int = 0) -> None:
        self.epoch = epoch
        self.version = granted.version
        self.run_calls = granted.run_calls
        self.until = asked_at + granted.for_s
        self._free = frozenset(granted.free)
        self._left = granted.reads - unreported

    def is_spent(self, calls: int) -> bool:
        """Answer whether a run that has made ``calls`` calls has used up what a budget had left for it, as far as its guard knows."""
        return self._left <= 0 or (self.run_calls is not None and calls > self.run_calls)

    def take(self, tool: str, calls: int, at: float) -> bool:
        """Answer whether a read of this tool may begin at ``at``, by a run that has made ``calls`` calls; if so, it is counted."""
        if at >= self.until or tool not in self._free or self._left <= 0:
            return False
        if self.run_calls is not None and calls >= self.run_calls:
            return False
        self._left -= 1
        return True
