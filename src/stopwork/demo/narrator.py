"""What the demo says while it is played, and the summary at its end."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TextIO

from stopwork.demo.promises import PhaseResult, PhaseStatus, Promise


class Narrator:
    """Writes one line at a time, at once, so that a pipe sees it when it happens."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def say(self, text: str = "") -> None:
        """Write a line as it stands."""
        print(text, file=self._out, flush=True)

    def tell(self, text: str, *, at: datetime | None = None) -> None:
        """Write what happened, with the time of day at which it did: now, unless it is said."""
        self.say(f"{(at or datetime.now(UTC)).astimezone():%H:%M:%S}  {text}")

    def promise(self, promise: Promise) -> None:
        """Write whether a promise was kept, and what was found where it was not."""
        mark, found = ("kept", "") if promise.kept else ("BROKEN", f" ({promise.found or 'nothing found'})")
        self.say(f"          {mark}: {promise.text}{found}")

    def summary(self, results: Sequence[PhaseResult], promises: Sequence[Promise]) -> None:
        """Write the table of the phases with their times, and the tally of the promises."""
        width = max(len(result.name) for result in results)
        self.say()
        self.say(f"{'phase':<{width}}  result  seconds")
        for result in results:
            self.say(
                f"{result.name:<{width}}  {result.status}  {result.seconds:7.1f}  {result.detail}".rstrip()
            )
        kept = sum(promise.kept for promise in promises)
        passed = sum(result.status is PhaseStatus.PASSED for result in results)
        total_s = sum(result.seconds for result in results)
        self.say(
            f"{passed} of {len(results)} phases passed in {total_s:.1f} s; {kept} of {len(promises)} promises kept."
        )
