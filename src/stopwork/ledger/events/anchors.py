"""Events of the log itself. How it is sealed stands beside the journal, for a seal covers what came before it."""

from __future__ import annotations

from stopwork.ledger.events.base import Event
from stopwork.ledger.words import AnchorKind


class LogAnchored(Event, tag="log.anchored"):
    """A checkpoint of ``size`` entries is kept at a place that this server cannot change.

    ``said`` is the place's answer in words, ``receipt`` what it answered in base64 where that can be checked: a time-stamp, a cosigned
    checkpoint.
    """

    anchor: str
    kind: AnchorKind
    place: str
    size: int
    checkpoint: str
    said: str
    receipt: str = ""
    media_type: str = ""
