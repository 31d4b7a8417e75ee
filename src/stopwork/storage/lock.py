"""One process owns one database file."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO

from stopwork.kernel.errors import Conflict, Unavailable


class FileLock:
    """An operating-system lock beside the database file: it goes with the process, however that ends."""

    def __init__(self, handle: IO[str]) -> None:
        self._handle = handle

    @classmethod
    def take(cls, database: Path) -> FileLock:
        """Own ``database`` or raise ``Conflict`` that names the process which does."""
        real = database.resolve()  # another name for the same file is the same file
        path = real.with_name(real.name + ".lock")
        try:
            handle = path.open("a+")
        except OSError as error:
            raise Unavailable(
                f"the database cannot be opened at {database}: {error.strerror}",
                hint="Check that the folder exists and can be written.",
            ) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.seek(0)
            owner = handle.read().strip()
            handle.close()
            raise Conflict(
                f"{database} is in use by process {owner or 'unknown'}",
                hint="Talk to that server by its address, stop it first, or give this one a database of its own.",
                owner=owner,
            ) from None
        handle.seek(0)
        handle.truncate()
        handle.write(str(os.getpid()))
        handle.flush()
        return cls(handle)

    def release(self) -> None:
        """Give the file back; the lock file stays, because removing it could race with another process."""
        self._handle.close()
