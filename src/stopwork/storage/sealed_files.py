"""The folder of the sealed bundles: is each the file that was sealed, and does any other file lie there?"""

from __future__ import annotations

import contextlib
import hashlib
import os
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from stopwork.kernel.errors import StopworkError
from stopwork.ledger.notes import Checkpoint, read_checkpoint, verify
from stopwork.ledger.offline.bag import CHECKPOINT, MAX_TEXT_BYTES
from stopwork.ledger.offline.broken import Broken
from stopwork.ledger.offline.container import read_at, read_members
from stopwork.ledger.records import Bundle
from stopwork.storage.blobs import open_regular


class Unrecorded(msgspec.Struct, frozen=True, kw_only=True):
    """A file that nothing refers to, which is no fault: ``what`` says what it is and the way out."""

    where: str
    what: str


def names_in(folder: Path) -> frozenset[str]:
    """Answer what lies in the folder. Whoever asks before reading the records takes nothing for unrecorded that was sealed meanwhile."""
    try:
        return frozenset(path.name for path in folder.iterdir())
    except OSError:  # what cannot be read of it is found out file by file
        return frozenset()


def differing(folder: Path, bundles: Iterable[Bundle]) -> Iterator[tuple[str, str]]:
    """Yield which file is not the one that was sealed, and how it differs."""
    for bundle in bundles:
        try:
            with open_regular(folder / _name_of(bundle)) as file:
                found = f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
        except FileNotFoundError:
            yield _where(bundle.path), f"is missing; {bundle.incident} was sealed into it"
        except OSError as error:
            yield _where(bundle.path), f"cannot be read: {error.strerror}"
        else:
            if found != bundle.digest:
                yield _where(bundle.path), "is not the one that was sealed"


def unrecorded(folder: Path, names: Iterable[str], bundles: Iterable[Bundle]) -> Iterator[Unrecorded]:
    """Yield what lies in the folder under one of these names and was recorded by nobody, in the order of the names."""
    recorded = {_name_of(bundle) for bundle in bundles}
    for name in sorted(set(names) - recorded):
        if os.path.lexists(folder / name):
            yield Unrecorded(where=_where(name), what=_told_of(folder / name))


def checkpoints_in(
    folder: Path, names: Iterable[str], vkeys: Sequence[str]
) -> Iterator[tuple[Checkpoint, str]]:
    """Yield what the bundles say of the log that they were sealed from, and where: those that one of the keys has signed, recorded or not.

    Whoever writes the database does not write these: they show that it was put back, or written anew.
    """
    for name in sorted(names):
        with contextlib.suppress(OSError, Broken, UnicodeDecodeError, StopworkError):
            yield read_checkpoint(verify(_checkpoint_of(folder / name), vkeys)), f"in {_where(name)}"


def _checkpoint_of(path: Path) -> str:
    with open_regular(path) as file:
        for member in read_members(file):
            if member.name == CHECKPOINT:
                return read_at(file, member.start, min(member.size, MAX_TEXT_BYTES)).decode()
    raise Broken("it holds no checkpoint")


def _told_of(path: Path) -> str:
    if path.suffix != ".zip":
        return "is no bundle, and no record names it: the server does not need it"
    if _is_whole(path):
        return (
            "is whole, and no record names it: the server was ended just then, or the database was put back to before. "
            "Keep it; stopwork evidence verify says what it proves"
        )
    return (
        "is not whole, and no record names it: a server was ended while it sealed. "
        "Remove it, unless a server is sealing just now"
    )


def _is_whole(path: Path) -> bool:
    """Answer whether a file has its end, which is what is written last."""
    try:
        with open_regular(path) as file:
            return zipfile.is_zipfile(file)
    except OSError:
        return False


def _name_of(bundle: Bundle) -> str:
    return Path(bundle.path).name


def _where(name: str) -> str:
    return f"evidence file {name}"
