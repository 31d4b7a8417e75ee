"""What a call that waits leaves behind, so that any process of its workflow can go on with it, days later.

A resume token names a run, a call and the digest of its arguments. It carries no authority: whoever resumes needs a credential of
the workflow, the arguments come from the record, and the call asks for its permit again. The check at its end finds what was cut
off or mistyped; what was changed on purpose is found by comparing it with the record.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Final

import msgspec
from msgspec import Struct

from stopwork.control.protocol import RunRejoined, WaitingCall
from stopwork.kernel.canonical import canonical_bytes, digest_of
from stopwork.kernel.errors import Invalid, Tampered

PREFIX: Final = "swr1."
CHECK_CHARS: Final = 12
MAX_CHARS: Final = 4_000


class ResumeToken(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One waiting call: ``digest`` is that of the arguments which the agent gave, ``nth`` which of equal calls it is."""

    run: str
    call: str
    tool: str
    digest: str
    nth: int = 1

    def spelled(self) -> str:
        """Answer the token as one word that goes through queues, files and mails."""
        body = base64.urlsafe_b64encode(canonical_bytes(self)).decode().rstrip("=")
        return f"{PREFIX}{body}.{_check(body)}"

    @classmethod
    def read(cls, text: str) -> ResumeToken:
        """Answer what :meth:`spelled` has written; ``Tampered`` when it is not whole, ``Invalid`` when it is no such token."""
        text = text.strip()
        if not is_token(text) or len(text) > MAX_CHARS:
            raise Invalid(
                "this is no resume token",
                hint=f"It begins with {PREFIX}; see CallWaiting.token.",
                field="token",
            )
        body, _, check = text.removeprefix(PREFIX).partition(".")
        if check != _check(body):
            raise _damaged()
        try:
            padded = body + "=" * (-len(body) % 4)
            return msgspec.json.decode(base64.urlsafe_b64decode(padded), type=cls)
        except (binascii.Error, msgspec.MsgspecError, ValueError) as error:
            raise _damaged() from error

    def call_in(self, rejoined: RunRejoined) -> WaitingCall:
        """Answer the waiting call as it is on record; ``Tampered`` when the token speaks of another one."""
        call = rejoined.call
        if call is None or call.tool != self.tool or digest_of(call.args) != self.digest:
            raise Tampered(
                f"the resume token does not fit what is recorded of {self.call}",
                hint="Use the token as CallWaiting gave it.",
                call=self.call,
                expected=call.tool if call else None,
                found=self.tool,
            )
        return call


def is_token(text: str) -> bool:
    """Answer whether the text looks like a resume token, whole or not."""
    return text.startswith(PREFIX)


def run_of(text: str) -> str:
    """Answer the run that the text is the id of, or that the resume token names."""
    return ResumeToken.read(text).run if is_token(text) else text


def _check(body: str) -> str:
    return hashlib.sha256(f"{PREFIX}{body}".encode()).hexdigest()[:CHECK_CHARS]


def _damaged() -> Tampered:
    return Tampered(
        "the resume token is not whole or was changed",
        hint="Keep it as CallWaiting gave it: one word, nothing cut off.",
    )
