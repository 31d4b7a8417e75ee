"""Who is asking: a bearer token for programs, a signed-in session for the console."""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

from starlette.requests import Request

from stopwork.kernel.errors import Denied, Unauthenticated
from stopwork.ledger.records import Principal
from stopwork.ledger.words import PrincipalKind
from stopwork.operations import credentials
from stopwork.operations.installation import Installation

COOKIE: Final = "stopwork_session"
NOBODY: Final = Principal(kind=PrincipalKind.SYSTEM, id="nobody")
#: What a state-changing request that is signed in by cookie must carry, so that no other site can make it.
CSRF_HEADER: Final = "x-stopwork-csrf"


def identify_request(installation: Installation, request: Request) -> Principal:
    """Answer who asks; ``Unauthenticated`` without a valid token. A session cookie alone changes nothing by API."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token:
        return identify(installation, token.strip())
    if cookie := request.cookies.get(COOKIE):
        person = identify(installation, cookie)
        if request.method not in {"GET", "HEAD"}:
            check_csrf(cookie, request.headers.get(CSRF_HEADER, ""))
        return person
    raise Unauthenticated(
        "a bearer token is needed",
        hint="Send it as: Authorization: Bearer sw_… (stopwork token create makes one)",
    )


def identify(installation: Installation, secret: str) -> Principal:
    """Answer the principal behind a secret; ``Unauthenticated`` when it is not valid."""
    now = installation.store.clock.now()
    return installation.store.read(lambda view: credentials.identify(view, secret, now=now)).principal


def csrf_token(session: str) -> str:
    """Answer the token that a form of this session carries; it tells nothing about the session's secret."""
    return hmac.new(session.encode(), b"stopwork-csrf", hashlib.sha256).hexdigest()


def check_csrf(session: str, given: str) -> None:
    """Raise ``Denied`` unless the token belongs to the session (compared in constant time)."""
    if not hmac.compare_digest(csrf_token(session).encode(), given.encode()):
        raise Denied("this form is not from your session", hint="Reload the page and try again.")
