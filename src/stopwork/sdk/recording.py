"""What is put on record of a value or an exception that a tool gave: never nothing, and never what cannot be sent.

A tool may return and raise whatever it likes. What it has done is not undone by that, so what cannot be written down is named instead.
"""

from __future__ import annotations

import logging
from typing import Any, Final

from stopwork.kernel.canonical import plain

log = logging.getLogger("stopwork.sdk")

MAX_ERROR_CHARS: Final = 500


def result_of(tool: str, value: Any) -> Any:
    """Answer what a tool returned as plain content, and where it has none, what stands for it."""
    try:
        return plain(value)
    except Exception as error:  # noqa: BLE001 - a value of the tool's own may fail in its own way when it is looked at
        log.warning("the result of %s cannot be recorded: %s", tool, in_words(error))
        return unrecorded(type(value).__name__)


def unrecorded(why: str) -> dict[str, str]:
    """Answer what stands for content that is not on record."""
    return {"unrecorded": why}


def in_words(error: BaseException) -> str:
    """Answer an exception's name and what it says, as text that can be written down."""
    name = type(error).__name__
    try:
        words = f"{name}: {error}"
    except Exception:  # noqa: BLE001 - an exception that cannot say what it is has a name
        words = name
    return words[:MAX_ERROR_CHARS].encode(errors="replace").decode()
