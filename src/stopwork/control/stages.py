"""The ladder by which autonomy is given back, one rung at a time."""

from __future__ import annotations

import hashlib
from typing import Final

from stopwork.kernel.errors import Conflict
from stopwork.ledger.words import EffectKind, Stage, Verdict

LADDER: Final = tuple(Stage)

# What each stage answers for a call that changes something; reading is free in every stage.
_ANSWERS: Final = {
    Stage.READ_ONLY: Verdict.DENY,
    Stage.DRAFT_ONLY: Verdict.DRAFT,
    Stage.APPROVED_WRITES: Verdict.WAIT,
    Stage.LIMITED: Verdict.ALLOW,
    Stage.NORMAL: Verdict.ALLOW,
}

MEANING: Final = {
    Stage.READ_ONLY: "it may only read",
    Stage.DRAFT_ONLY: "its changes are drafted, not made",
    Stage.APPROVED_WRITES: "every change waits for approval",
    Stage.LIMITED: "a sample of its changes waits for approval, and their number is capped",
    Stage.NORMAL: "it acts by itself within its manifest",
}


def named(stage: Stage) -> str:
    """Answer a stage as people call it: *draft only*."""
    return stage.value.replace("_", " ")


def answer(stage: Stage, effect: EffectKind) -> Verdict:
    """Answer the verdict that the stage gives a call with this effect."""
    return Verdict.ALLOW if effect is EffectKind.READ else _ANSWERS[stage]


def above(stage: Stage) -> Stage | None:
    """Answer the next stage with more autonomy; ``None`` at the top."""
    higher = LADDER.index(stage) + 1
    return LADDER[higher] if higher < len(LADDER) else None


def below(stage: Stage) -> Stage | None:
    """Answer the next stage with less autonomy; ``None`` at the bottom."""
    lower = LADDER.index(stage) - 1
    return LADDER[lower] if lower >= 0 else None


def goes_up(before: Stage, after: Stage) -> bool:
    """Answer whether the move gives autonomy back; such a move needs the business owner."""
    return LADDER.index(after) > LADDER.index(before)


def check_move(before: Stage, after: Stage) -> None:
    """Raise ``Conflict`` unless the move is one rung up, or any number of rungs down."""
    if before is after:
        raise Conflict(f"the stage is {before} already", hint="Nothing needs to change.", found=before.value)
    if goes_up(before, after) and after is not above(before):
        allowed = above(before)
        raise Conflict(
            f"the stage cannot go from {before} to {after} at once",
            hint=f"Autonomy comes back one stage at a time; the next is {allowed}.",
            found=before.value,
            expected=allowed.value if allowed else None,
        )


def sampled(key: str, share: float) -> bool:
    """Answer whether the call with this key is among the ``share`` (0 to 1) that people look at first.

    The key alone decides, so that asking again cannot get a luckier answer.
    """
    fraction = int.from_bytes(hashlib.sha256(f"sample:{key}".encode()).digest()[:8]) / 2**64
    return fraction < share
