"""What is counted here besides what every world is scored by: the package's own hashes, false conflicts, duplicates."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from benchmarks.worlds import score
from benchmarks.worlds.score import Hits, Restored, Share
from benchmarks.worlds.truth import Key


@dataclass(frozen=True, kw_only=True)
class Judged(Restored):
    """What a world is like after a recovery, and whether the package's own hashes say that it is as it should be.

    ``told`` are the objects that people are told of besides those that are ``named``: changed since, followed from what was undone,
    or of a call that is undone in part.
    """

    hashes_agree: bool
    told: tuple[Key, ...] = ()

    @property
    def warned(self) -> set[Key]:
        """Every object of which people are told that it may not be as it should be."""
        return {*self.named, *self.told}


@dataclass(frozen=True, kw_only=True)
class Copy:
    """One write that was made a second time at once, and what became of the second.

    ``took_effect`` is whether the second one changed anything in truth, ``noticed`` whether a signal names it as a copy.
    """

    tool: str
    took_effect: bool
    noticed: bool
    undone: Judged | None = None


@dataclass(frozen=True, kw_only=True)
class Result(score.Result):
    """One play under one manifest.

    ``false_conflicts`` are objects reported as conflicts that nobody but the undone calls had changed; ``alarms`` signals
    of duplicates where nothing was done twice.
    """

    false_conflicts: int = 0
    alarms: int = 0
    copies: tuple[Copy, ...] = ()

    def disagreements(self) -> list[str]:
        """Answer in words where the product is not the truth."""
        found = super().disagreements()
        if self.false_conflicts:
            unseen = "" if self.scanned else " (one of its own changes was not found)"
            found.append(f"a conflict over what nobody else had changed{unseen}")
        if self.alarms:
            found.append("a signal of a duplicate where the task itself asks for the same twice")
        for copy in self.copies:
            if copy.took_effect and not copy.noticed:
                found.append(f"a second {copy.tool} took effect, and no signal says so")
            if copy.noticed and not copy.took_effect:
                found.append(
                    f"a second {copy.tool} changed nothing, and a signal names it (the permit tells, before it is known)"
                )
            if copy.undone is not None and not copy.undone.equal:
                places = ", ".join(dict.fromkeys(place for place, _ in copy.undone.differences))
                why = copy.undone.why(self.missed_objects)
                found.append(f"the second {copy.tool} undone, and {places} differs ({why})")
        return found

    def settled(self) -> tuple[object, ...]:
        """Answer all of it, in order."""
        return (*super().settled(), self.false_conflicts, self.alarms, self.copies)


@dataclass
class Tally(score.Tally):
    """The sums over the plays of one row of the table; ``hashes_agree`` is about every world that was put back."""

    false_conflicts: int = 0
    alarms: int = 0
    failed: int = 0
    twice: int = 0
    noticed: Hits = field(default_factory=Hits)
    copy_undone: Share = field(default_factory=Share)
    hashes_agree: Share = field(default_factory=Share)
    undone_or_told: Share = field(default_factory=Share)
    warned: Hits = field(default_factory=Hits)

    def add(self, result: score.Result) -> None:
        """Count one play."""
        super().add(result)
        self.failed += result.failed_calls
        if not isinstance(result, Result):
            return
        self.false_conflicts += result.false_conflicts
        self.alarms += result.alarms
        self.twice += len(result.copies)
        for copy in result.copies:
            self.noticed.add({copy} if copy.took_effect else (), {copy} if copy.noticed else ())
            if copy.undone is not None:
                self.copy_undone.add(copy.undone.equal)
        if isinstance(result.undone, Judged):
            different = set(result.undone.differences)
            self.undone_or_told.add(result.undone.equal_but_for_ids or different <= result.undone.warned)
            self.warned.add(different, result.undone.warned)
        for restored in (result.undone, result.undone_all, *(copy.undone for copy in result.copies)):
            if isinstance(restored, Judged):
                self.hashes_agree.add(restored.hashes_agree)


def tally(results: Iterable[Result]) -> dict[tuple[str, str, str], Tally]:
    """Answer one tally for each domain, manifest and arm."""
    rows: dict[tuple[str, str, str], Tally] = {}
    for result in results:
        rows.setdefault((result.suite, result.manifest, result.arm), Tally()).add(result)
    return dict(sorted(rows.items()))
