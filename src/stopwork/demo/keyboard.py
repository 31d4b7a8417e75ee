"""What the visitor types at the terminal, a line at a time, without making anything else wait."""

from __future__ import annotations

import os
import select
import time
from typing import Protocol, TextIO

MAX_LINE_BYTES = 1024


class Keyboard(Protocol):
    """Answers within ``wait_s`` what was typed: a line without its end, or ``None``."""

    listens: bool

    def line(self, wait_s: float) -> str | None: ...


class Terminal:
    """The keyboard behind a terminal. A file or a pipe is nobody, and so is a terminal whose input has ended."""

    def __init__(self, typed: TextIO) -> None:
        self._typed = typed
        self.listens = typed.isatty()

    def line(self, wait_s: float) -> str | None:
        """Answer a line as soon as there is one."""
        if not self.listens:
            time.sleep(wait_s)
            return None
        handle = self._typed.fileno()
        ready, _, _ = select.select([handle], [], [], wait_s)
        if not ready:
            return None
        # A terminal hands over whole lines.
        text = os.read(handle, MAX_LINE_BYTES)
        self.listens = bool(text)
        return text.decode(errors="replace").strip() if text else None
