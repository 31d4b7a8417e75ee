"""A command: a program with its arguments, without a shell, with hardly any environment, and not for longer than it may.

The facts of the item are on its standard input as JSON as well, so that a script needs no arguments.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Final

import msgspec

from stopwork.hooks.base import MAX_ANSWER_BYTES, Answer, Ended, Facts, json_in
from stopwork.hooks.filling import argument
from stopwork.hooks.redacting import Redactor
from stopwork.kernel.errors import Invalid

#: What a command sees of this server's environment.
_ENVIRONMENT: Final = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}
_READ_BYTES: Final = 64 * 1024
#: How long the rest of an output is waited for once its program has ended: somebody else may keep the pipe open.
_DRAINED_WITHIN_S: Final = 1.0


class Command:
    """Runs a program in a session of its own; whatever it started ends with it."""

    def __init__(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        folder: Path,
        within_s: float,
        redactor: Redactor,
    ) -> None:
        self.within_s = within_s
        self._argv, self._folder, self._redactor = tuple(argv), folder, redactor
        self._env = _ENVIRONMENT | dict(env)
        self._name = Path(argv[0]).name

    def do(self, facts: Facts) -> Answer:
        """Run it once and wait for its end."""
        with (
            tempfile.TemporaryFile() as given
        ):  # not a pipe: a program that does not read it is not waited for
            given.write(msgspec.json.encode(facts))
            given.seek(0)
            return self._run(facts, given)

    def _run(self, facts: Facts, given: IO[bytes]) -> Answer:
        try:
            argv = [argument(each, facts) for each in self._argv]
            process = subprocess.Popen(
                argv,
                stdin=given,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=self._env,
                cwd=self._folder,
                start_new_session=True,
            )
        except Invalid as error:
            return Answer(ended=Ended.NO, said=f"the command {self._name} was not run: {error.detail}")
        except OSError as error:
            return Answer(ended=Ended.NO, said=f"the command {self._name} cannot be run: {error.strerror}")
        with process:
            return self._ended(process)

    def _ended(self, process: subprocess.Popen[bytes]) -> Answer:
        output, errors = _Tail(process.stdout), _Tail(process.stderr)
        try:
            code = process.wait(self.within_s)
        except subprocess.TimeoutExpired:
            return Answer(
                ended=Ended.UNKNOWN, said=f"the command {self._name} was cut off after {self.within_s:g} s"
            )
        finally:
            _end(process)
            output.close()
            errors.close()
        if code == 0:
            return Answer(
                ended=Ended.YES, said=f"the command {self._name} ended with 0", code=0, content=output.content
            )
        last = self._redactor.last_line((output.text, errors.text))
        said = f"the command {self._name} ended with {code}" + (f": {last}" if last else "")
        if code < 0:
            return Answer(ended=Ended.UNKNOWN, said=said)
        return Answer(ended=Ended.NO, said=said, code=code, content=output.content)


class _Tail:
    """Reads a pipe to its end, so that its writer never waits, and keeps the last of it, as much as may be kept.

    It has a handle of its own: a program that has left its session may keep the pipe open for longer than it is waited for.
    """

    def __init__(self, pipe: IO[bytes] | None) -> None:
        self._found = b""
        self._is_whole = True
        self._handle = os.dup(pipe.fileno()) if pipe is not None else -1
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    @property
    def text(self) -> str:
        # A line that is not there from its beginning may begin within a secret.
        known = self._found if self._is_whole else self._found.partition(b"\n")[2]
        return known.decode(errors="replace")

    @property
    def content(self) -> object:
        """What was printed, as JSON, or nothing where it is none."""
        return json_in(self._found) if self._is_whole else None

    def close(self) -> None:
        self._thread.join(_DRAINED_WITHIN_S)

    def _read(self) -> None:
        if self._handle < 0:
            return
        try:
            while chunk := os.read(self._handle, _READ_BYTES):
                self._found += chunk
                if len(self._found) > MAX_ANSWER_BYTES:
                    self._found, self._is_whole = self._found[-MAX_ANSWER_BYTES:], False
        finally:
            os.close(self._handle)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the program and everything that it started in its session."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
