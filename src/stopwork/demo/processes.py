"""Processes of the demo: each in its own group, on a leash, with a log, and with bounds on every wait."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from stopwork.demo import leash
from stopwork.kernel.errors import Unavailable

READY_WITHIN_S = 30.0
GRACE_S = 5.0
LEASH_GRACE_S = 3.0
POLL_S = 0.02
LOG_LINES_SHOWN = 15

Answer = TypeVar("Answer")


class Child:
    """One Python process. It ends with :meth:`stop`, by itself, or with the process that started it."""

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        *,
        log: Path,
        environment: Mapping[str, str] | None = None,
        grace_s: float = GRACE_S,
    ) -> None:
        """Start it. ``grace_s`` is how long it may take to stop before it is killed."""
        self.name = name
        self._grace_s = grace_s
        self.log = log
        with log.open("ab") as output:
            # In a session of its own a Ctrl-C at the terminal reaches only the owner, who then stops in order.
            self._process = subprocess.Popen(
                [sys.executable, "-m", leash.__name__, str(grace_s), sys.executable, *arguments],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=os.environ | {"PYTHONUNBUFFERED": "1"} | dict(environment or {}),
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process id of the leash, which is also the id of the process group."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """The exit code; ``None`` while it runs."""
        return self._process.poll()

    def wait(self, within_s: float) -> int:
        """Answer the exit code, once it has ended; ``Unavailable`` when it has not by then."""
        try:
            return self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            raise Unavailable(
                f"{self.name} has not ended within {within_s:g} s.", hint=self._last_words()
            ) from None

    def wait_ready(self, probe: Callable[[], Answer | None], within_s: float = READY_WITHIN_S) -> Answer:
        """Answer what ``probe`` answers as soon as it is not ``None``; ``Unavailable`` when that comes to nothing."""
        deadline = time.monotonic() + within_s
        while (answer := probe()) is None:
            if self.exit_code is not None:
                raise Unavailable(f"{self.name} ended with code {self.exit_code}.", hint=self._last_words())
            if time.monotonic() > deadline:
                raise Unavailable(f"{self.name} is not ready after {within_s:g} s.", hint=self._last_words())
            time.sleep(POLL_S)
        return answer

    def wait_file(self, path: Path, within_s: float = READY_WITHIN_S) -> str:
        """Answer the text of a file that the process writes when it is ready."""
        return self.wait_ready(lambda: path.read_text(encoding="utf-8") if path.exists() else None, within_s)

    def stop(self) -> None:
        """Ask it to stop and see that it has, with everything it started. May be called again."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(self._grace_s + LEASH_GRACE_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it at once and without warning, as a crash would."""
        if self.exit_code is None:
            os.killpg(self.pid, signal.SIGKILL)
            self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _last_words(self) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES_SHOWN:]
        said = "\n".join(f"  {line}" for line in lines) or "  (nothing)"
        return f"The last lines of {self.log}:\n{said}"
