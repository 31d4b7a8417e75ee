"""Who is asking: a bearer token for programs, a signed-in session for the console."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable
from typing import Final

from starlette.requests import Request

from stopwork.kernel.errors import Denied, Unauthenticated
from stopwork.ledger.records import Credential, Principal
from stopwork.ledger.words import PrincipalKind
from stopwork.operations import credentials
from stopwork.operations.installation import Installation

COOKIE: Final = "stopwork_session"
NOBODY: Final = Principal(kind=PrincipalKind.SYSTEM, id="nobody")
#: What a state-changing request that is signed in by cookie must carry, so that no other site can make it.
CSRF_HEADER: Final = "x-stopwork-csrf"


#: So many credentials are remembered, each for so long.
MAX_REMEMBERED: Final = 4096
REMEMBERED_S: Final = 5.0


class Remembered:
    """The credentials that were shown lately, for who has them confirmed again in the transaction that they are used in.

    Without that confirmation (:func:`stopwork.operations.credentials.confirm`) a revoked one would go on working. Keeps no secrets,
    only their digests.
    """

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._by_digest: dict[str, tuple[float, Credential]] = {}

    def credential(self, secret: str) -> Credential:
        """Answer the credential behind a secret, as it was a moment ago; ``Unauthenticated`` when it was not valid."""
        digest = credentials.secret_digest(secret)
        now_s = time.monotonic()
        seen_s, known = self._by_digest.get(digest, (0.0, None))
        if known is not None and now_s - seen_s < REMEMBERED_S:
            return known
        self._by_digest.pop(digest, None)
        known = _credential(self._installation, secret)
        if len(self._by_digest) >= MAX_REMEMBERED:
            del self._by_digest[next(iter(self._by_digest))]
        self._by_digest[digest] = (now_s, known)
        return known


def identify_request(installation: Installation, request: Request) -> Principal:
    """Answer who asks; ``Unauthenticated`` without a valid token. A session cookie alone changes nothing by API."""
    return shown(request, lambda secret: _credential(installation, secret)).principal


def shown(request: Request, credential: Callable[[str], Credential]) -> Credential:
    """Answer the credential that a request shows, as ``credential`` knows it by its secret."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token:
        return credential(token.strip())
    if cookie := request.cookies.get(COOKIE):
        session = credential(cookie)
        if request.method not in {"GET", "HEAD"}:
            check_csrf(cookie, request.headers.get(CSRF_HEADER, ""))
        return session
    raise Unauthenticated(
        "a bearer token is needed",
        hint="Send it as: Authorization: Bearer sw_… (stopwork token create makes one)",
    )


def identify(installation: Installation, secret: str) -> Principal:
    """Answer the principal behind a secret; ``Unauthenticated`` when it is not valid."""
    return _credential(installation, secret).principal


def _credential(installation: Installation, secret: str) -> Credential:
    now = installation.store.clock.now()
    return installation.store.read(lambda view: credentials.identify(view, secret, now=now))


def csrf_token(session: str) -> str:
    """Answer the token that a form of this session carries; it tells nothing about the session's secret."""
    return hmac.new(session.encode(), b"stopwork-csrf", hashlib.sha256).hexdigest()


def check_csrf(session: str, given: str) -> None:
    """Raise ``Denied`` unless the token belongs to the session (compared in constant time)."""
    if not hmac.compare_digest(csrf_token(session).encode(), given.encode()):
        raise Denied("this form is not from your session", hint="Reload the page and try again.")
