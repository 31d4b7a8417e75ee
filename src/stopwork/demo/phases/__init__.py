"""The ten phases as the demo plays them: what the people do, and what they may rely on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from stopwork.demo.phases.play import Play
from stopwork.demo.phases.proving import audit, preserve
from stopwork.demo.phases.repairing import communicate, recover
from stopwork.demo.phases.returning import learn, prepare, reenable
from stopwork.demo.phases.stopping import contain, open_, pause
from stopwork.ledger.words import Phase

PLAYED: Final[dict[Phase, Callable[[Play], None]]] = {
    Phase.OPEN: open_,
    Phase.PAUSE: pause,
    Phase.PRESERVE: preserve,
    Phase.CONTAIN: contain,
    Phase.AUDIT: audit,
    Phase.RECOVER: recover,
    Phase.COMMUNICATE: communicate,
    Phase.LEARN: learn,
    Phase.REENABLE: reenable,
    Phase.PREPARE: prepare,
}
