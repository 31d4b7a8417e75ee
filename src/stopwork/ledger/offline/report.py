"""The report of a verification: what was found, what that proves, and what it does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import IntEnum
from typing import Any

from stopwork.ledger.offline.elsewhere import Elsewhere


class Outcome(IntEnum):
    """What verification found; the value is the exit code."""

    VERIFIED = 0
    TAMPERED = 1
    UNREADABLE = 2


@dataclass(frozen=True)
class Check:
    """One thing that was looked at; ``where`` names the first file or entry that is wrong."""

    name: str
    passed: bool
    detail: str
    where: str = ""


@dataclass(frozen=True)
class Facts:
    """What the bundle's statement says, and the size of what was read. Signed, where the outcome is ``VERIFIED``."""

    id: str
    description: str
    created_at: str
    signer: str
    fingerprint: str
    origin: str
    log_size: int
    root: str
    entries: int
    files: int
    digest: str
    withheld_entries: int = 0
    withheld_files: int = 0

    @property
    def redacted(self) -> bool:
        """Whether something is withheld from it."""
        return bool(self.withheld_entries or self.withheld_files)


@dataclass(frozen=True)
class Report:
    """The answer to: is this what was signed, by whom, until when, and what does that not prove?"""

    outcome: Outcome
    checks: tuple[Check, ...] = ()
    facts: Facts | None = None
    key_compared: bool = False
    proven: tuple[str, ...] = ()
    not_proven: tuple[str, ...] = ()
    elsewhere: tuple[Elsewhere, ...] = ()

    @property
    def failure(self) -> Check | None:
        """The first check that failed."""
        return next((check for check in self.checks if not check.passed), None)

    def as_json(self) -> dict[str, Any]:
        """Answer the report as plain JSON values."""
        return {**asdict(self), "outcome": self.outcome.name.lower()}

    def as_text(self) -> str:
        """Answer the report for a person."""
        redacted = self.facts and self.facts.redacted
        lines = [self.outcome.name + (", parts of it withheld" if redacted else ""), ""]
        lines += [f"  {'ok    ' if c.passed else 'FAILED'}  {c.name:<10}  {c.detail}" for c in self.checks]
        if self.facts:
            lines += [
                "",
                "The bundle says of itself" + (":" if self.failure is None else ", not to be relied on:"),
            ]
            lines += [f"  {name.replace('_', ' '):<12}{value}" for name, value in asdict(self.facts).items()]
        for title, sentences in (("Proven", self.proven), ("Not proven", self.not_proven)):
            lines += ["", title + ":", *(f"  - {sentence}" for sentence in sentences)] if sentences else []
        # A line that a bundle's words could begin would be taken for one of this report.
        return "".join("".join(c if c.isprintable() else "\ufffd" for c in line) + "\n" for line in lines)


def proven_by(
    facts: Facts, elsewhere: Sequence[Elsewhere] = (), *, key_compared: bool = False
) -> tuple[str, ...]:
    """Answer what holds of a bundle that passed every check."""
    holder = f"The holder of the key {facts.fingerprint}{', which is one that you gave,' * key_compared}"
    witnessed = [
        f"The log had its first {_counted(each.size)} when they were {each.seen}, and is grown from them: they are no younger."
        for each in elsewhere
        if each.witness
    ]
    told = _proven_although_redacted if facts.redacted else _proven_of_all
    return (*told(facts, holder), *witnessed)


def _proven_of_all(facts: Facts, holder: str) -> tuple[str, ...]:
    signed = (
        f"{holder} signed exactly these {facts.files} files: nothing was added, removed or changed since."
    )
    sealed = f"Each of the {facts.entries} entries stands, unchanged, at its place among the first {facts.log_size} entries of the log {facts.origin}."
    return (signed, sealed)


def _proven_although_redacted(facts: Facts, holder: str) -> tuple[str, ...]:
    kept = (
        f"{holder} signed what this bundle held when it was sealed. What is here of it was not "
        f"changed since; {facts.withheld_files} files are withheld, and of them the digests are known."
    )
    shown = (
        f"Each of the {facts.entries - facts.withheld_entries} entries that are shown stands, unchanged, at its place among the first "
        f"{facts.log_size} entries of the log {facts.origin}; of the {facts.withheld_entries} that are withheld the places and the "
        "digests are proven."
    )
    return (kept, shown)


def limits_of(
    facts: Facts,
    *,
    key_compared: bool,
    whole_log: bool,
    elsewhere: Sequence[Elsewhere] = (),
    witnesses: Sequence[str] = (),
) -> tuple[str, ...]:
    """Answer what no bundle proves, and what this one does not; ``witnesses`` are those whose keys the reader gave."""
    limits = [_ANYONES_KEY] if not key_compared else []
    limits += [_WITHHELD] * facts.redacted + [_TRUTH, _TIME, _BEFORE, _AFTER.format(_counted(facts.log_size))]
    limits += [
        f"That {each.place} ({each.anchor}) keeps the log's first {_counted(each.size)}, as this server noted {each.at}: {each.seen}. "
        f"Look there whether the root is {each.root}."
        for each in elsewhere
        if not each.witness
    ]
    seen_by = {each.witness for each in elsewhere}
    limits += [
        f"That the witness {name} ever saw this log: no checkpoint here is cosigned with its key."
        for name in witnesses
        if name not in seen_by
    ]
    return tuple(limits if whole_log else [*limits, _SELECTION])


_ANYONES_KEY = (
    "Whose key it is: anyone can sign a bundle with a key of their own. "
    "Get the key from somewhere else than this bundle and give it with --key."
)
_WITHHELD = (
    "What the withheld entries and files say, and that they do not matter: whoever passed this on chose them. "
    "The signer knows the whole bundle; ask for it where it matters."
)
_TRUTH = "That what was recorded is true: entries hold what agents, tools and people reported."
_TIME = "When it happened: the times are those of the recording server's own clock."
_BEFORE = (
    "That nothing was rewritten before this checkpoint: whoever held both the key and the database could have done so "
    "until somebody else knew a checkpoint. Compare with checkpoints that you received earlier."
)
_AFTER = "What came later: this bundle ends with the first {} of the log. When it was made it says of itself, by the server's clock."
_SELECTION = "That the entries left out do not matter: the bundle holds a selection of the log."


def _counted(entries: int) -> str:
    return "entry" if entries == 1 else f"{entries} entries"
