"""What the product promises in each phase, and whether it kept it: the demo's own verdict on what it shows."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any

from msgspec import Struct

from stopwork.kernel.errors import StopworkError
from stopwork.ledger.words import Phase


class PhaseStatus(StrEnum):
    """A phase passed when it came to its end and kept every promise."""

    PASSED = "passed"
    FAILED = "failed"


class Promise(Struct, frozen=True, kw_only=True):
    """One promise; ``found`` is what was seen, which matters most where it was not kept."""

    phase: Phase
    text: str
    kept: bool
    found: str = ""


class PhaseResult(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How one phase went; ``detail`` says what was broken."""

    name: Phase
    status: PhaseStatus
    seconds: float
    detail: str = ""


class Promises:
    """Collects the promises of the phase that is being played; each is told as soon as it is known."""

    def __init__(self, tell: Callable[[Promise], None]) -> None:
        self._tell = tell
        self._phase = Phase.OPEN
        self.made: list[Promise] = []

    def begin(self, phase: Phase) -> None:
        """Let what follows belong to this phase."""
        self._phase = phase

    def check(self, text: str, kept: bool, found: Any = "") -> bool:
        """Note whether a promise was kept, and answer it."""
        self.made.append(promise := Promise(phase=self._phase, text=text, kept=bool(kept), found=str(found)))
        self._tell(promise)
        return promise.kept

    def refused(self, text: str, kind: type[StopworkError], attempt: Callable[[], Any]) -> bool:
        """Note whether an attempt is refused as it must be, with an error of this kind."""
        try:
            answer = attempt()
        except StopworkError as error:
            return self.check(text, isinstance(error, kind), f"{error.code}: {error.detail}")
        return self.check(text, False, f"it was done: {str(answer)[:200]}")

    def broken(self, phase: Phase) -> list[Promise]:
        """Answer the promises of a phase that were not kept."""
        return [promise for promise in self.made if promise.phase is phase and not promise.kept]
