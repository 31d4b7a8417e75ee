"""What is new in the journal, for whoever follows it: the newest number, a call when there is a newer one, and the newest entries themselves."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import dropwhile, islice
from typing import Final

from stopwork.ledger.events import Entry

log = logging.getLogger(__name__)

#: The newest entries are kept at hand, as long as they take no more than this in the journal.
MAX_RECENT_BYTES: Final = 4 * 1024 * 1024


class News:
    """The number of the newest entry that is known to be committed. It only ever rises."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[int], None]] = []
        self._risen = threading.Condition()
        self._newest = 0
        self._ended = False
        self._recent: deque[tuple[Sequence[Entry], int]] = deque()
        self._recent_bytes = 0

    @property
    def newest(self) -> int:
        return self._newest

    def announce(self, seq: int, entries: Sequence[Entry] = (), size: int = 0) -> None:
        """Tell everybody who follows that ``seq`` is committed; nothing happens when a newer one is known.

        ``entries`` are the newest, of so many bytes, or none where they are not at hand. They are kept if they follow on what was announced
        before: another server's may be missing between.
        """
        with self._risen:
            if seq <= self._newest:
                return
            self._keep(entries if entries and entries[0].seq == self._newest + 1 else (), size)
            self._newest = seq
            self._risen.notify_all()
        for listener in tuple(self._listeners):
            try:
                listener(seq)
            except Exception:
                # What is committed is committed; the journal is there for whoever missed the call.
                log.exception("a listener failed after entry %d", seq)

    def after(self, seq: int, limit: int) -> list[Entry] | None:
        """Answer the entries after ``seq``, at most ``limit``; ``None`` where not all of them are at hand."""
        with self._risen:
            if seq == self._newest:
                return []
            if not self._recent or self._recent[0][0][0].seq > seq + 1:
                return None
            every = (entry for entries, _ in self._recent if entries[-1].seq > seq for entry in entries)
            return list(islice(dropwhile(lambda entry: entry.seq <= seq, every), limit))

    def _keep(self, entries: Sequence[Entry], size: int) -> None:
        if entries:
            self._recent.append((entries, size))
            self._recent_bytes += size
        while self._recent and (self._recent_bytes > MAX_RECENT_BYTES or not entries):
            self._recent_bytes -= self._recent.popleft()[1]

    def wait_beyond(self, seq: int, timeout_s: float) -> bool:
        """Wait until an entry after ``seq`` is known; answer whether there is one."""
        with self._risen:
            self._risen.wait_for(lambda: self._newest > seq or self._ended, timeout_s)
            return self._newest > seq

    @contextlib.contextmanager
    def listening(self, listener: Callable[[int], None]) -> Iterator[None]:
        """Call ``listener`` with the newest number whenever it has risen. It must return at once."""
        self._listeners.append(listener)
        try:
            yield
        finally:
            self._listeners.remove(listener)

    def end(self) -> None:
        """Let nobody wait any longer."""
        with self._risen:
            self._ended = True
            self._risen.notify_all()
