"""How a command ends: one number for each kind of answer, so that scripts need not read sentences."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from stopwork.kernel import errors


class Exit(IntEnum):
    """The exit code of a command; its meaning for people is :attr:`meaning`."""

    OK = 0
    REFUSED = 1
    USAGE = 2
    NOT_FOUND = 3
    DENIED = 4
    UNAVAILABLE = 5
    TAMPERED = 6
    INVALID = 7
    FAULT = 8
    INTERRUPTED = 130

    @property
    def meaning(self) -> str:
        """What the number says."""
        return _MEANINGS[self]


_MEANINGS: Final = {
    Exit.OK: "done",
    Exit.REFUSED: "refused: it contradicts what is there (a port or folder taken, too), was not confirmed, or did not reach its goal",
    Exit.USAGE: "the command was not understood; nothing was asked of the server",
    Exit.NOT_FOUND: "there is no such thing",
    Exit.DENIED: "not permitted, or no valid token",
    Exit.UNAVAILABLE: "no answer now: server down, disk full, a package missing",
    Exit.TAMPERED: "recorded bytes do not verify",
    Exit.INVALID: "what was given cannot be used; the message names the place",
    Exit.FAULT: "a fault of Stopwork itself",
    Exit.INTERRUPTED: "interrupted from the keyboard",
}

# The first kind that an error is an instance of, subclasses before their bases.
_OF_KIND: Final = (
    (errors.Invalid, Exit.INVALID),
    (errors.NotFound, Exit.NOT_FOUND),
    (errors.Conflict, Exit.REFUSED),
    (errors.Denied, Exit.DENIED),
    (errors.Unavailable, Exit.UNAVAILABLE),
    (errors.Tampered, Exit.TAMPERED),
)


def exit_of(error: errors.StopworkError) -> Exit:
    """Answer the exit code that tells this error."""
    return next((code for kind, code in _OF_KIND if isinstance(error, kind)), Exit.FAULT)
