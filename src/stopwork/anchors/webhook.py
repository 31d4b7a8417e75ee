"""A webhook (Standard Webhooks, signed): somebody else's system is told each checkpoint and keeps it."""

from __future__ import annotations

import base64
import hashlib
import hmac

from stopwork.anchors.base import Log, Receipt
from stopwork.anchors.web import host_of, post, refused, require_address
from stopwork.kernel.canonical import canonical_bytes
from stopwork.kernel.clock import Clock
from stopwork.kernel.errors import Invalid
from stopwork.ledger.words import AnchorKind

_PREFIX = "whsec_"


class WebhookAnchor:
    """Posts each checkpoint as JSON, signed with a secret that both sides know, so that nobody else can."""

    kind = AnchorKind.WEBHOOK

    def __init__(self, name: str, url: str, *, secret: str, clock: Clock, every_s: float) -> None:
        """``secret`` is as Standard Webhooks writes it: ``whsec_`` and base64."""
        self.name, self.every_s = name, every_s
        self._url = require_address(url)
        self.place = f"webhook at {host_of(url)}"
        self._secret, self._clock = secret_of(secret), clock

    def take(self, log: Log, message_id: str) -> Receipt:
        at = self._clock.now()
        data = {
            "origin": log.checkpoint.origin,
            "size": log.checkpoint.size,
            "root": log.checkpoint.root.hex(),
            "checkpoint": log.note,
        }
        body = canonical_bytes({"type": "log.checkpoint", "timestamp": at, "data": data})
        headers = signed_headers(self._secret, message_id, int(at.timestamp()), body)
        answer = post(self._url, body, headers | {"content-type": "application/json"})
        if not 200 <= answer.status < 300:
            raise refused(self._url, answer)
        return Receipt(said=f"message {message_id} answered with {answer.status}")


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
    """Answer the headers by which the receiver knows who sent a message, and that it is no old one (symmetric, v1)."""
    mac = hmac.new(secret, f"{message_id}.{unix_s}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(unix_s),
        "webhook-signature": f"v1,{base64.b64encode(mac).decode()}",
    }
