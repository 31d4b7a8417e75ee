"""The payload of a bundle: files that anyone can read, written piece by piece so that their size costs no memory.

What is larger than some kilobytes stands in a file of its own, named by its digest; where it was stands
``{"blob": "sha256:…", "size_bytes": …}``.
"""

from __future__ import annotations

import hashlib
import io
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import IO, Any, Final, Self

import msgspec

from stopwork.ledger.packing import Content

#: A text from this length on stands in a file of its own.
LARGE_TEXT_CHARACTERS: Final = 8 * 1024
#: So many at most; what comes after them stays where it is.
MAX_LARGE_TEXTS: Final = 10_000
_CHUNK_BYTES: Final = 1024 * 1024


class Payload:
    """Files of a bundle by name, without the leading ``data/``. Their content lies in ``folder``, nameless, until this is left."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open = ExitStack()
        self.files: dict[str, Content] = {}
        self._texts = self._new_file()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._open.close()

    def _new_file(self) -> IO[bytes]:
        return self._open.enter_context(tempfile.TemporaryFile(dir=self._folder))

    def line_file(self, name: str) -> IO[bytes]:
        """Answer a new file, to be written while the bundle's entries are."""
        self.files[name] = file = self._new_file()
        return file

    def lines(self, name: str, items: Iterable[Any]) -> None:
        """Write one JSON value a line."""
        file = self.line_file(name)
        for item in items:
            file.write(msgspec.json.encode(self._slim(msgspec.to_builtins(item))) + b"\n")

    def json(self, name: str, value: Any) -> None:
        """Write one JSON value, for people to read."""
        self.files[name] = msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"

    def _slim(self, value: Any) -> Any:
        """Answer a plain JSON value without its large texts, which are kept beside it."""
        if isinstance(value, str):
            return self._beside(value) if len(value) >= LARGE_TEXT_CHARACTERS else value
        if isinstance(value, dict):
            return {name: self._slim(each) for name, each in value.items()}
        return [self._slim(each) for each in value] if isinstance(value, list) else value

    def _beside(self, text: str) -> Any:
        content = text.encode("utf-8", "surrogatepass")
        digest = hashlib.sha256(content).hexdigest()
        name = f"blobs/{digest}"
        if name not in self.files:
            if len(self.files) >= MAX_LARGE_TEXTS:
                return text
            start = self._texts.seek(0, io.SEEK_END)
            self._texts.write(content)
            self.files[name] = partial(_slice, self._texts, start, len(content))
        return {"blob": f"sha256:{digest}", "size_bytes": len(content)}


def _slice(file: IO[bytes], start: int, size: int) -> Iterator[bytes]:
    for at in range(start, start + size, _CHUNK_BYTES):
        file.seek(at)
        yield file.read(min(_CHUNK_BYTES, start + size - at))
