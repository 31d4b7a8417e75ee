"""Identifiers: sortable by the time they were made, and readable by their prefix."""

from __future__ import annotations

import os
import threading
from typing import Protocol

from stopwork.kernel.clock import Clock

_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"


class IdSource(Protocol):
    """Makes identifiers such as ``run_01hv…``; never the same one twice."""

    def new(self, prefix: str) -> str: ...


class TimeOrderedIds:
    """ULID-shaped identifiers: 48 bits of milliseconds and 80 random bits, in lower-case Crockford base 32."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def new(self, prefix: str) -> str:
        milliseconds = int(self._clock.now().timestamp() * 1000)
        number = (milliseconds << 80) | int.from_bytes(os.urandom(10), "big")
        digits = []
        for _ in range(26):
            number, index = divmod(number, 32)
            digits.append(_CROCKFORD[index])
        return f"{prefix}_{''.join(reversed(digits))}"


class CountingIds:
    """Identifiers that count up per prefix: the same story gives the same ids every time."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._lock = threading.Lock()

    def new(self, prefix: str) -> str:
        with self._lock:
            self._counts[prefix] = self._counts.get(prefix, 0) + 1
            return f"{prefix}_{self._counts[prefix]:04d}"
