"""The ten phases as the demo plays them: what the people do, and what they may rely on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from stopwork.demo.phases import proving, repairing, returning, stopping
from stopwork.demo.phases.play import Play
from stopwork.ledger.words import Phase

PLAYED: Final[dict[Phase, Callable[[Play], None]]] = {
    Phase.OPEN: stopping.open_,
    Phase.PAUSE: stopping.pause,
    Phase.PRESERVE: proving.preserve,
    Phase.CONTAIN: stopping.contain,
    Phase.AUDIT: proving.audit,
    Phase.RECOVER: repairing.recover,
    Phase.COMMUNICATE: repairing.communicate,
    Phase.LEARN: returning.learn,
    Phase.REENABLE: returning.reenable,
    Phase.PREPARE: returning.prepare,
}
