"""A witness (C2SP tlog-witness): it signs a checkpoint only after a proof that the log grew from the one it signed before."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Final

from stopwork.anchors.base import Log, Receipt, gone_back, post
from stopwork.kernel.errors import Invalid, Tampered
from stopwork.ledger.notes import read_key, verify
from stopwork.ledger.words import AnchorKind
from stopwork.notify.web import Answer, host_of, refused, require_address

SIZE: Final = "text/x.tlog.size"
COSIGNED: Final = "text/plain"


class WitnessAnchor:
    """Has each checkpoint cosigned, by a key that is known beforehand."""

    kind = AnchorKind.WITNESS

    def __init__(self, name: str, url: str, key: str, *, every_s: float) -> None:
        """``key`` is the witness's verification key, of the type for cosignatures."""
        self.name, self.every_s = name, every_s
        self._url = f"{require_address(url)}/add-checkpoint"
        self.place = f"witness at {host_of(url)}"
        self._key = read_key(key)
        if not self._key.cosigns:
            raise Invalid(
                f"{self._key.name} is not the key of a witness",
                hint="A witness publishes a key whose base64 begins with type 4.",
                field="key",
            )
        self._seen = 0

    def take(self, log: Log, message_id: str) -> Receipt:  # noqa: ARG002 - the checkpoint itself is what is asked for
        answer = self._ask(log, min(self._seen, log.checkpoint.size))
        if answer.status == 409 and answer.media_type == SIZE and answer.content.strip().isdigit():
            seen = int(answer.content)
            if seen > log.checkpoint.size:
                raise gone_back(log, seen, place=self.place)
            answer = self._ask(log, seen)
        if answer.status == 422:
            raise Tampered(
                f"{self.place} has seen another history of this log and does not accept the proof",
                hint="Stop the server, keep a copy of the database, and compare it with a checkpoint kept elsewhere.",
                size=log.checkpoint.size,
            )
        if answer.status != 200:
            raise refused(self._url, answer)
        cosigned = log.note + answer.content.decode(errors="replace")
        verify(cosigned, [self._key.vkey])
        self._seen = log.checkpoint.size
        return Receipt(said=f"cosigned by {self._key.name}", content=cosigned.encode(), media_type=COSIGNED)

    def _ask(self, log: Log, earlier: int) -> Answer:
        return post(self._url, request(earlier, log.proof(earlier), log.note), {"content-type": "text/plain"})


def request(earlier: int, proof: Sequence[bytes], note: str) -> bytes:
    """Answer what a witness is asked: to sign this checkpoint of a log that it knew with ``earlier`` entries."""
    lines = [f"old {earlier}", *(base64.b64encode(node).decode() for node in proof), "", note]
    return "\n".join(lines).encode()
