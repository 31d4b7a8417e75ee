"""How far the product's answer is from the truth: counts, shares and the worst disagreements. Knows nothing of Stopwork."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Final

from benchmarks.worlds.truth import Change, Key

UNEXPLAINED: Final = "unexplained"
OPERATIONS: Final = ("created", "modified", "deleted")


@dataclass(frozen=True)
class Audited:
    """What one run changed: in truth, and as the audit has it, by the number of the call. ``listed`` are the objects it names."""

    true: frozenset[tuple[int, Change]]
    found: frozenset[tuple[int, Change]]
    listed: frozenset[Key] = frozenset()

    @property
    def true_changes(self) -> set[Change]:
        """The changes whoever made them: what the run has affected."""
        return {change for _, change in self.true}

    @property
    def found_changes(self) -> set[Change]:
        """The changes that the audit lists."""
        return {change for _, change in self.found}


@dataclass(frozen=True)
class Restored:
    """What the world is like after a recovery, next to what it should be like.

    ``named`` are the objects that the plan reports as conflicts or leaves to people. ``hindered`` says that the other calls
    did something else in the spoilt world than they do alone, since what they needed was gone or in another state.
    """

    differences: tuple[Key, ...] = ()
    equal_but_for_ids: bool = True
    named: tuple[Key, ...] = ()
    hindered: bool = False
    conflicts: int = 0
    by_hand: int = 0

    @property
    def equal(self) -> bool:
        """Whether every object is as it should be."""
        return not self.differences

    @property
    def unnamed(self) -> set[Key]:
        """The differences that nobody was told of."""
        return set(self.differences) - set(self.named)

    def why(self, missed: Collection[Key]) -> str:
        """Answer why there are differences, as far as that is known; ``missed`` are objects that the audit did not find."""
        if self.equal_but_for_ids:
            return "in ids alone: what was wanted came later, and keeps the ids it was given"
        if self.hindered:
            return "what was undone came first, and had kept the other calls from what they do without it"
        if not self.unnamed:
            return "and the plan says so: a conflict, or left to people"
        return "what was not found is not undone" if self.unnamed <= set(missed) else UNEXPLAINED


def _why(operation: str) -> str:
    """Answer why something is listed that is not true, as far as that is known."""
    if operation in OPERATIONS:
        return UNEXPLAINED
    return "its tool is declared to send or to pay: that counts although nothing is seen to change"


@dataclass(frozen=True, kw_only=True)
class Result:
    """One agent through the guard: in which world, with which manifest, and what it was meant to show."""

    suite: str
    manifest: str
    arm: str
    pair: str
    calls: int
    audit: Audited
    scanned: bool = True
    failed_calls: int = 0
    undone: Restored | None = None
    undone_all: Restored | None = None

    @property
    def missed_objects(self) -> set[Key]:
        """The objects of which some call's change was not found."""
        return {key for _, (key, _) in self.audit.true - self.audit.found}

    def disagreements(self) -> list[str]:
        """Answer in words where the product is not the truth, and why; nothing for a perfect run."""
        missed = self.audit.true_changes - self.audit.found_changes
        wrong = self.audit.found_changes - self.audit.true_changes
        unseen = "there was no scan, and the manifest does not name it" if not self.scanned else UNEXPLAINED
        found = [f"not found: {operation} {place} ({unseen})" for (place, _), operation in sorted(missed)]
        found += [
            f"not true: {operation} {place} ({_why(operation)})" for (place, _), operation in sorted(wrong)
        ]
        for what, restored in (("unwanted calls", self.undone), ("all calls", self.undone_all)):
            if restored is not None and not restored.equal:
                places = ", ".join(dict.fromkeys(place for place, _ in restored.differences))
                found.append(f"{what} undone, and {places} differs ({restored.why(self.missed_objects)})")
        return found

    def settled(self) -> tuple[object, ...]:
        """Answer all of it with its sets in order: the order of a set is no part of a result."""
        audit = (sorted(self.audit.true), sorted(self.audit.found), sorted(self.audit.listed))
        names = (self.suite, self.manifest, self.arm, self.pair, self.calls, self.failed_calls)
        return (*names, audit, self.undone, self.undone_all)


@dataclass
class Hits:
    """How many of the true ones were found, and how many of the found ones are true."""

    both: int = 0
    missed: int = 0
    wrong: int = 0

    def add(self, true: Iterable[object], found: Iterable[object]) -> None:
        """Count one run."""
        one, other = set(true), set(found)
        self.both += len(one & other)
        self.missed += len(one - other)
        self.wrong += len(other - one)

    @property
    def recall(self) -> float | None:
        """The share of the true ones that were found; ``None`` when there were none."""
        return self.both / (self.both + self.missed) if self.both + self.missed else None

    @property
    def precision(self) -> float | None:
        """The share of the found ones that are true; ``None`` when nothing was found."""
        return self.both / (self.both + self.wrong) if self.both + self.wrong else None

    def __str__(self) -> str:
        if self.recall is None and self.precision is None:
            return "none"
        return f"{_cut(self.recall)} / {_cut(self.precision)} of {self.both + self.missed}"


@dataclass
class Share:
    """So many of so many."""

    part: int = 0
    whole: int = 0

    def add(self, hit: bool) -> None:
        """Count one."""
        self.part += hit
        self.whole += 1

    def __str__(self) -> str:
        if not self.whole:
            return "none"
        # Never rounded up to 100 %: a single miss shows.
        thousandths = self.part * 1000 // self.whole
        return f"{thousandths / 10:.1f} % ({self.part}/{self.whole})"


@dataclass
class Tally:
    """The sums over the runs of one row of the table."""

    runs: int = 0
    calls: int = 0
    by_operation: dict[str, Hits] = field(default_factory=lambda: {name: Hits() for name in OPERATIONS})
    every: Hits = field(default_factory=Hits)
    objects: Hits = field(default_factory=Hits)
    by_call: Hits = field(default_factory=Hits)
    undone: Share = field(default_factory=Share)
    undone_but_ids: Share = field(default_factory=Share)
    undone_or_named: Share = field(default_factory=Share)
    undone_all: Share = field(default_factory=Share)
    conflicts: int = 0
    by_hand: int = 0

    def add(self, result: Result) -> None:
        """Count one run."""
        self.runs += 1
        self.calls += result.calls
        true, found = result.audit.true_changes, result.audit.found_changes
        self.every.add(true, found)
        self.objects.add({key for key, _ in true}, result.audit.listed)
        self.by_call.add(result.audit.true, result.audit.found)
        for name, hits in self.by_operation.items():
            hits.add((c for c in true if c[1] == name), (c for c in found if c[1] == name))
        if result.undone is not None:
            self.undone.add(result.undone.equal)
            self.undone_but_ids.add(result.undone.equal_but_for_ids)
            self.undone_or_named.add(result.undone.equal_but_for_ids or not result.undone.unnamed)
            self.conflicts += result.undone.conflicts
            self.by_hand += result.undone.by_hand
        if result.undone_all is not None:
            self.undone_all.add(result.undone_all.equal)


def worst(results: Iterable[Result], most: int = 8) -> dict[tuple[str, str], list[tuple[str, int, str]]]:
    """Answer the commonest disagreements of each suite and manifest: in words, how often, and one pair that shows it."""
    times: dict[tuple[str, str], Counter[str]] = {}
    shown: dict[tuple[str, str, str], str] = {}
    for result in sorted(results, key=lambda result: (result.suite, result.manifest, result.pair)):
        for words in dict.fromkeys(result.disagreements()):
            where = result.suite, result.manifest
            times.setdefault(where, Counter())[words] += 1
            shown.setdefault((*where, words), result.pair)
    return {
        where: [(words, number, shown[*where, words]) for words, number in counted.most_common(most)]
        for where, counted in times.items()
    }


def fingerprint(results: Iterable[Result]) -> str:
    """Answer a digest of all results that does not depend on their order."""
    lines = sorted(repr(result.settled()) for result in results)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def _cut(share: float | None) -> str:
    """Write a share with three digits, never rounded up to 1."""
    return "none" if share is None else f"{int(share * 1000) / 1000:.3f}"
