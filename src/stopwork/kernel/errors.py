"""Every error Stopwork raises on purpose, in one small tree.

::

    StopworkError
    ├── Invalid            what was given cannot be used          422
    │   ├── Malformed      it cannot even be read                 400
    │   └── TooLarge       it exceeds a stated bound              413
    ├── NotFound           no such thing                          404
    ├── Conflict           it contradicts what is recorded        409
    ├── Denied             this principal may not do this         403
    │   └── Unauthenticated  no valid credential                  401
    ├── Unavailable        cannot be answered now; try again      503
    ├── Tampered           recorded bytes do not verify           500
    └── Internal           a fault of Stopwork itself             500

The docstring of a class is its title in a problem document (RFC 9457). An error says what was found,
and its ``hint`` says what to do next. A call that the guard refuses is a verdict, not an error; only the
guard's edge turns it into an exception.
"""

from __future__ import annotations

from typing import Any, ClassVar


class StopworkError(Exception):
    """Something went wrong"""

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500

    def __init__(self, detail: str, *, hint: str = "", **fields: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.hint = hint
        self.fields = fields

    def __str__(self) -> str:
        if not self.hint:
            return self.detail
        stop = "" if self.detail.endswith((".", "!", "?", ":")) else "."
        return f"{self.detail}{stop} {self.hint}"

    def problem(self) -> dict[str, Any]:
        """Answer this error as an RFC 9457 problem document, plain JSON values only."""
        document: dict[str, Any] = {
            "type": f"urn:stopwork:error:{self.code}",
            "title": (type(self).__doc__ or "").strip(),
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
        }
        if self.hint:
            document["hint"] = self.hint
        return document | {key: value for key, value in self.fields.items() if key not in document}


class Invalid(StopworkError):
    """The request cannot be used as it stands"""

    code = "invalid"
    status = 422


class Malformed(Invalid):
    """The request cannot be read"""

    code = "malformed"
    status = 400


class TooLarge(Invalid):
    """The request exceeds a limit"""

    code = "too_large"
    status = 413


class NotFound(StopworkError):
    """There is no such thing"""

    code = "not_found"
    status = 404


class Conflict(StopworkError):
    """The request contradicts what is recorded"""

    code = "conflict"
    status = 409


class Denied(StopworkError):
    """This is not permitted"""

    code = "denied"
    status = 403


class Unauthenticated(Denied):
    """A valid credential is needed"""

    code = "unauthenticated"
    status = 401


class Unavailable(StopworkError):
    """This cannot be answered right now"""

    code = "unavailable"
    status = 503


class Tampered(StopworkError):
    """Recorded bytes do not verify"""

    code = "tampered"
    status = 500


class Internal(StopworkError):
    """Stopwork itself is at fault"""

    code = "internal"
    status = 500


def by_code(code: str) -> type[StopworkError]:
    """Answer the class that carries this code; an unknown code is the base class."""
    pending: list[type[StopworkError]] = [StopworkError]
    while pending:
        kind = pending.pop()
        if kind.code == code:
            return kind
        pending.extend(kind.__subclasses__())
    return StopworkError
