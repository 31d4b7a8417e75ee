"""Signing what is sent to another system's webhook, as Standard Webhooks has it (symmetric, v1)."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Final

from stopwork.kernel.errors import Invalid

_PREFIX: Final = "whsec_"


def secret_of(text: str) -> bytes:
    """Answer the bytes of a secret; ``Invalid`` when it is not written as one, without repeating it."""
    try:
        secret = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except ValueError:
        secret = b""
    if not text.startswith(_PREFIX) or not 24 <= len(secret) <= 64:
        raise Invalid(
            "this is no webhook secret",
            hint=f"It is {_PREFIX} and the base64 of 24 to 64 random bytes; the receiving side shows it.",
            field="secret",
        )
    return secret


def signed_headers(secret: bytes, message_id: str, unix_s: int, body: bytes) -> dict[str, str]:
    """Answer the headers by which the receiver knows who sent a message, and that it is no old one."""
    mac = hmac.new(secret, f"{message_id}.{unix_s}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(unix_s),
        "webhook-signature": f"v1,{base64.b64encode(mac).decode()}",
    }
