"""A mail: people keep a checkpoint in a mailbox that the server cannot reach into."""

from __future__ import annotations

from collections.abc import Sequence

from stopwork.anchors.base import Log, Receipt
from stopwork.kernel.clock import Clock
from stopwork.kernel.phrases import count_of
from stopwork.ledger.words import AnchorKind
from stopwork.notify.outlet import Outlet

_TEXT = """\
Keep this message. It proves later that the first {entries} of the log {origin}
are what they were when it was sent.

To compare, save the lines below the ruler as checkpoint.txt and run, beside a copy of the data folder:

    stopwork db fsck --data FOLDER --checkpoint checkpoint.txt

----------------------------------------------------------------------
{note}"""


class MailAnchor:
    """Mails each checkpoint, which is no secret, to people who keep it."""

    kind = AnchorKind.MAIL

    def __init__(
        self, name: str, recipients: Sequence[str], *, outlet: Outlet, clock: Clock, every_s: float
    ) -> None:
        self.name, self.every_s = name, every_s
        self.place = f"mail to {', '.join(recipients)}"
        self._recipients, self._outlet, self._clock = tuple(recipients), outlet, clock

    def take(self, log: Log, message_id: str) -> Receipt:
        entries = count_of(log.checkpoint.size, "entry")
        became = self._outlet.send(
            message_id=message_id,
            recipients=self._recipients,
            subject=f"Checkpoint of {log.checkpoint.origin}: {entries}",
            body=_TEXT.format(entries=entries, origin=log.checkpoint.origin, note=log.note),
            at=self._clock.now(),
        )
        return Receipt(said="; ".join(f"{address}: {what}" for address, what in became.items()))
