"""A webhook (Standard Webhooks, signed): somebody else's system is told each checkpoint and keeps it."""

from __future__ import annotations

from stopwork.anchors.base import Log, Receipt, post
from stopwork.kernel.canonical import canonical_bytes
from stopwork.kernel.clock import Clock
from stopwork.ledger.words import AnchorKind
from stopwork.notify.signing import secret_of, signed_headers
from stopwork.notify.web import host_of, refused, require_address


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
