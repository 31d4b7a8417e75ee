"""The call that this thread or task carries out: what is done meanwhile can be laid to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

_current: Final[ContextVar[str | None]] = ContextVar("stopwork_call", default=None)


def current_call() -> str | None:
    """Answer the id of the call that is being carried out here, ``None`` outside of any."""
    return _current.get()


@contextmanager
def calling(call: str) -> Iterator[None]:
    """Carry out a call within the block; tasks and threads begun with a copy of the context belong to it too."""
    token = _current.set(call)
    try:
        yield
    finally:
        _current.reset(token)
