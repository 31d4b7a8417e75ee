"""Signed webhooks, as Standard Webhooks has them (standardwebhooks.com): an HMAC over the message's id, its time and its exact bytes."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from stopwork.kernel.errors import Unauthenticated

#: A message of another time than this around now is refused, so that nobody plays an old one again.
TOLERANCE: Final = timedelta(minutes=5)
MAX_SIGNATURES: Final = 10
MAX_ID: Final = 300


def verified(key: bytes, headers: Mapping[str, str], body: bytes, *, now: datetime) -> str:
    """Answer the message's id; ``Unauthenticated`` unless it is signed with ``key``, lately. Compared in constant time."""
    name, at = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    given = headers.get("webhook-signature", "").split()[:MAX_SIGNATURES]
    if not (0 < len(name) <= MAX_ID and at.isascii() and at.isdecimal() and len(at) < 12 and given):
        raise _refused("it is not signed", "It needs webhook-id, webhook-timestamp and webhook-signature.")
    if abs(now - datetime.fromtimestamp(int(at), UTC)) > TOLERANCE:
        raise _refused("its signature is of another time", "Send it again, signed anew; compare both clocks.")
    expected = signature(key, name, at, body).encode()
    if not any(hmac.compare_digest(each.encode("utf-8", "replace"), expected) for each in given):
        raise _refused("its signature is not ours", "Sign it with the secret of this webhook.")
    return name


def signature(key: bytes, name: str, at: str, body: bytes) -> str:
    """Answer the signature of a message, with its version."""
    digest = hmac.digest(key, f"{name}.{at}.".encode() + body, "sha256")
    return "v1," + base64.b64encode(digest).decode()


def _refused(what: str, hint: str) -> Unauthenticated:
    return Unauthenticated(f"this message is refused: {what}", hint=hint)
