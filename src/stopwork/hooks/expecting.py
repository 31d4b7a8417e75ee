"""Expecting: what the answer to a probe has to be, for a thing to count as safe."""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct

from stopwork.hooks.base import Answer, Ended
from stopwork.kernel.errors import Invalid

_SERVER_FAILS: Final = 500
_MISSING: Final = object()


class Expect(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that is given has to hold. ``json`` says by JSON pointers (RFC 6901) which values have to stand where."""

    status: int | tuple[int, ...] | None = None
    exit: int | None = None
    rows: int | None = None
    json: dict[str, Any] = {}

    def judged(self, answer: Answer) -> tuple[bool | None, str]:
        """Answer whether it is safe, or nothing where the answer does not tell, and how one knows."""
        if answer.ended is Ended.UNKNOWN or answer.code is None:
            return None, f"The probe could not be asked: {answer.said}."
        expected = self._codes(answer)
        if expected is None:
            # A place that fails, or a command that breaks, has not said no.
            return None, f"The probe could not be asked: {answer.said}."
        if not expected:
            return False, f"The probe says no: {answer.said}."
        if self.rows is not None and answer.rows != self.rows:
            return False, f"The probe says no: {answer.rows} rows where {self.rows} were expected."
        for pointer, wanted in self.json.items():
            found = value_at(answer.content, pointer)
            if type(found) is not type(wanted) or found != wanted:
                what = "nothing" if found is _MISSING else "another value"
                return False, f"The probe says no: {what} at {pointer}."
        return True, f"The probe says so: {answer.said}."

    def _codes(self, answer: Answer) -> bool | None:
        if self.status is not None:
            wanted = (self.status,) if isinstance(self.status, int) else self.status
            if answer.code in wanted:
                return True
            return None if answer.code is not None and answer.code >= _SERVER_FAILS else False
        if self.exit is not None:
            if answer.code == self.exit:
                return True
            return False if answer.code in (0, 1) else None
        if answer.ended is Ended.YES:
            return True
        # As grep and test have it: 1 is a no, anything else a failure; and so it is with 4xx and 5xx.
        return False if answer.code == 1 or 400 <= (answer.code or 0) < _SERVER_FAILS else None


def require_pointer(pointer: str) -> None:
    """Raise ``Invalid`` for what is no JSON pointer."""
    if pointer and not pointer.startswith("/"):
        raise Invalid(f"{pointer!r} is no JSON pointer", hint="It looks like /token/active.", field="json")


def value_at(content: Any, pointer: str) -> Any:
    """Answer the value to which a JSON pointer leads, or a mark that there is none."""
    for step in pointer.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(content, dict) and name in content:
            content = content[name]
        elif isinstance(content, list) and name.isdecimal() and int(name) < len(content):
            content = content[int(name)]
        else:
            return _MISSING
    return content
