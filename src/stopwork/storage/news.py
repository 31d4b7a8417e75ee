"""What is new in the journal, for whoever follows it: the newest number, and a call when there is a newer one."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator

log = logging.getLogger(__name__)


class News:
    """The number of the newest entry that is known to be committed. It only ever rises."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[int], None]] = []
        self._risen = threading.Condition()
        self._newest = 0
        self._ended = False

    @property
    def newest(self) -> int:
        return self._newest

    def announce(self, seq: int) -> None:
        """Tell everybody who follows that ``seq`` is committed; nothing happens when a newer one is known."""
        with self._risen:
            if seq <= self._newest:
                return
            self._newest = seq
            self._risen.notify_all()
        for listener in tuple(self._listeners):
            try:
                listener(seq)
            except Exception:
                # What is committed is committed; the journal is there for whoever missed the call.
                log.exception("a listener failed after entry %d", seq)

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
