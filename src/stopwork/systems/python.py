"""A system in two functions that the user writes.

A ``write`` that takes an argument ``expected`` is given the content it must find (or ``None``), and raises ``Conflict``
when it finds another: then the comparison is as atomic as the place allows (``If-Match``, a ``WHERE``). Without it the
content is read, compared and written under a lock of this process, and a change by another process in between is lost.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from threading import RLock
from typing import Any

from stopwork.kernel.canonical import plain, revive
from stopwork.kernel.errors import Invalid, NotFound, StopworkError, Unavailable
from stopwork.ledger.records import Image, ObjectRef
from stopwork.ledger.words import ImageState
from stopwork.systems.base import Unsupported, require_expected, require_known

Read = Callable[[str, str], Any]
Write = Callable[..., None]
Scan = Callable[[], Iterable[tuple[str, str, Any]]]
Run = Callable[[str, Mapping[str, Any]], Any]


class PythonSystem:
    """Shows and restores objects through ``read(type, id)`` and ``write(type, id, content)``.

    ``read`` answers the content, or ``None`` when there is no such object; ``write`` is given ``None`` to delete.
    ``scan`` answers ``(type, id, content)`` of every object, ``invoke(tool, args)`` runs an inverse tool.
    """

    def __init__(
        self,
        name: str,
        read: Read,
        write: Write | None = None,
        scan: Scan | None = None,
        invoke: Run | None = None,
    ) -> None:
        self.name = name
        self.scans = scan is not None
        self.restores = write is not None
        self.invokes = invoke is not None
        self._read, self._write, self._scan, self._invoke = read, write, scan, invoke
        self._write_compares = write is not None and "expected" in inspect.signature(write).parameters
        self._lock = RLock()

    def read(self, ref: ObjectRef) -> Image:
        require_own(self.name, ref)
        try:
            content = self._read(ref.type, ref.id)
        except NotFound:
            return Image.absent()
        except StopworkError:
            raise
        except Exception as error:
            raise failed(self.name, f"reading {ref}", error) from error
        return Image.absent() if content is None else Image.present(plain(content))

    def replace(self, ref: ObjectRef, expected: Image, target: Image) -> None:
        require_known(ref, expected, target)
        if self._write is None:
            raise Unsupported(f"{self.name} has no write function", hint="Give one, or undo by hand.")
        with self._lock:
            require_expected(ref, expected, self.read(ref))
            if expected.state is ImageState.ABSENT and target.state is ImageState.ABSENT:
                return
            more = {"expected": _given(expected)} if self._write_compares else {}
            try:
                self._write(ref.type, ref.id, _given(target), **more)
            except StopworkError:
                raise
            except Exception as error:
                raise failed(self.name, f"writing {ref}", error) from error

    def scan(self) -> dict[ObjectRef, Any]:
        if self._scan is None:
            raise Unsupported(f"{self.name} has no scan function", hint="Give one to have every change seen.")
        try:
            return {
                ObjectRef(system=self.name, type=kind, id=object_id): plain(content)
                for kind, object_id, content in self._scan()
            }
        except StopworkError:
            raise
        except Exception as error:
            raise failed(self.name, "scanning", error) from error

    def invoke(self, tool: str, args: Mapping[str, Any]) -> Any:
        """Run an inverse tool once."""
        if self._invoke is None:
            raise Unsupported(f"{self.name} runs no tools", hint=f"Call {tool} by hand.")
        try:
            return self._invoke(tool, args)
        except StopworkError:
            raise
        except Exception as error:
            raise failed(self.name, f"calling {tool}", error) from error


def require_own(name: str, ref: ObjectRef) -> None:
    """Raise ``Invalid`` for an object of another system."""
    if ref.system != name:
        raise Invalid(f"{ref} is not an object of {name}", hint="See the object's `system` in the manifest.")


def failed(name: str, doing: str, error: Exception) -> Unavailable:
    """Answer the error for a user's function that raised: what is there is not known."""
    return Unavailable(
        f"{name} failed while {doing}: {type(error).__name__}: {error}",
        hint="See the log of the system and try again.",
        system=name,
    )


def _given(image: Image) -> Any:
    return revive(image.content) if image.state is ImageState.PRESENT else None
