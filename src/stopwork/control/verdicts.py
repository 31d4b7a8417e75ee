"""The order of verdicts: the most restrictive wins."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from stopwork.ledger.words import Verdict

STRICTNESS: Final = {
    Verdict.ALLOW: 0,
    Verdict.WAIT: 1,
    Verdict.DRAFT: 2,
    # A replay runs nothing, so it may stand in for everything but a refusal.
    Verdict.REPLAY: 3,
    Verdict.DENY: 4,
}


def strictest(verdicts: Iterable[Verdict]) -> Verdict:
    """Answer the most restrictive of the verdicts; ``allow`` when there is none."""
    return max(verdicts, key=STRICTNESS.__getitem__, default=Verdict.ALLOW)
