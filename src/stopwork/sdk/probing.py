"""Looking, before trying again: the probe that a refusal offers, run as a guarded read where the tools live.

Whatever goes wrong leaves the refusal as it is: a call whose end nobody saw is never tried again because looking failed.
"""

from __future__ import annotations

import inspect
import logging
from typing import Final

from stopwork.control.protocol import AskPermit, Offered, SettleByProbe
from stopwork.ledger.words import Outcome
from stopwork.sdk.tools import GuardedTool

log = logging.getLogger("stopwork.sdk")

_SETTLED: Final = (Outcome.SUCCEEDED, Outcome.FAILED)


def question(probe: Offered, run: str, call: str) -> AskPermit:
    """Answer the question for a permit of the probe."""
    return AskPermit(call=call, run=run, tool=probe.tool, args=probe.args)


def runs_here(tool: GuardedTool, *, blocking: bool) -> bool:
    """Answer whether the probe's tool can be called the way that the refused call was."""
    return not (blocking and inspect.iscoroutinefunction(tool.function))


def told(probe: Offered, by: str) -> SettleByProbe:
    """Answer what tells the control plane that the probe has been run, and as which call."""
    return SettleByProbe(call=probe.call, by=by)


def settled(outcome: Outcome) -> bool:
    """Answer whether the call may be asked for again: its end is known."""
    return outcome in _SETTLED


def failed(probe: Offered, error: Exception) -> bool:
    """Say that looking failed, and answer that nothing is settled by it."""
    log.warning("whether %s took effect could not be found out by %s: %s", probe.call, probe.tool, error)
    return False
