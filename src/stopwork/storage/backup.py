"""A copy of the database while it is in use (SQLite's online backup), and of the evidence that belongs to it."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from pathlib import Path
from urllib.parse import quote

from stopwork.kernel.errors import Conflict, Unavailable
from stopwork.storage.connections import translated
from stopwork.storage.fsck import bundles_named
from stopwork.storage.sqlite import BUSY_MS


def backup(database: Path, target: Path) -> None:
    """Copy what is committed in ``database`` into the new file ``target``; whoever writes goes on meanwhile.

    The copy is one consistent state, complete on disk when this returns, and is not there at all when it raises: ``Conflict``
    when ``target`` exists, ``Unavailable`` when one of the two cannot be used.
    """
    if not database.is_file():
        raise Unavailable(f"there is no database at {database}", hint="Name the folder of an installation.")
    if target.exists():
        raise Conflict(f"{target} exists already", hint="A backup overwrites nothing; name a new place.")
    unfinished = target.with_name(target.name + ".unfinished")
    try:
        unfinished.unlink(missing_ok=True)
        _copy(database, unfinished)
        _make_durable(unfinished)
        unfinished.rename(target)
        _make_durable(target.parent)
    except sqlite3.Error as error:
        raise translated(error) from error
    except OSError as error:
        raise Unavailable(
            f"the backup cannot be written to {target}: {error.strerror}", hint="Name a place with room."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink(missing_ok=True)


def backup_evidence(evidence: Path, target: Path, *, there: frozenset[str], database: Path) -> None:
    """Copy the sealed bundles into the new folder ``target``: those that were ``there`` before the copy ``database`` was made, and those it names.

    None that was sealed later: by its checkpoint the copy would be found to have been put back to before it. ``OSError`` or
    ``shutil.Error`` when a file cannot be copied.
    """
    wanted = there | bundles_named(database)
    shutil.copytree(evidence, target, ignore=lambda _, names: set(names) - wanted)


def _copy(database: Path, target: Path) -> None:
    source_address = f"file:{quote(str(database.resolve()))}?mode=ro"
    with (
        contextlib.closing(sqlite3.connect(source_address, uri=True, timeout=BUSY_MS / 1000)) as source,
        contextlib.closing(sqlite3.connect(target)) as copy,
    ):
        # All pages in one step: one read transaction, which no writer waits for and no commit can slip into.
        source.backup(copy, pages=-1)
        # One file, without a log beside it.
        copy.execute("PRAGMA journal_mode=DELETE")


def _make_durable(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
