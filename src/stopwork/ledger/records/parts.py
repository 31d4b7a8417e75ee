"""The parts that records are made of."""

from __future__ import annotations

from datetime import datetime
from typing import Any, dataclass_transform

from msgspec import Struct, field

from stopwork.ledger.words import (
    ImageState,
    Operation,
    PrincipalKind,
    Question,
    ReasonKind,
    ScopeKind,
    Severity,
    SeverityFactor,
    Verdict,
)


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
class Record(Struct, frozen=True, kw_only=True, gc=False):
    """The base of every record: frozen, keyword-only, compared by value.

    No record is part of a circle, so the garbage collector need not look at the thousands that a server remembers.
    """


class Principal(Record):
    """Who acted. ``id`` is an address for a person, the workflow for an agent, the duty for the system."""

    kind: PrincipalKind
    id: str

    def __str__(self) -> str:
        return self.id


class ObjectRef(Record):
    """One object in the outside world."""

    system: str
    type: str
    id: str

    def __str__(self) -> str:
        return f"{self.system}/{self.type}/{self.id}"


class Image(Record):
    """An object's recorded content at one moment."""

    state: ImageState
    content: Any = None
    note: str = ""

    @classmethod
    def present(cls, content: Any) -> Image:
        return cls(state=ImageState.PRESENT, content=content)

    @classmethod
    def absent(cls) -> Image:
        return cls(state=ImageState.ABSENT)

    @classmethod
    def unknown(cls, note: str) -> Image:
        return cls(state=ImageState.UNKNOWN, note=note)


class Captured(Record):
    """An object together with its image."""

    object: ObjectRef
    image: Image


class Observed(Record):
    """One object that a call changed, as the enforcement point saw it.

    ``source`` says how it was found: ``declared`` by the manifest, ``scan`` of its system, or ``capture`` by triggers.
    """

    object: ObjectRef
    operation: Operation
    before: Image
    after: Image
    source: str = "declared"


class Scope(Record):
    """What a hold covers: ``name`` within ``kind``, for one workflow or, when that is ``None``, for all.

    With ``item`` a source is held for that one of its items only: the item is in quarantine, and the rest is read on.
    """

    kind: ScopeKind
    name: str = ""
    workflow: str | None = None
    item: str | None = None

    def __str__(self) -> str:
        words = self.kind.value if self.kind is ScopeKind.EVERYTHING else f"{self.kind.value} {self.name}"
        if self.item is not None:
            words = f"item {self.item} of {words}"
        within = self.workflow and self.kind is not ScopeKind.WORKFLOW
        return f"{words} of {self.workflow}" if within else words


class Reason(Record):
    """One reason for a verdict, in words, with the id of the record that caused it."""

    kind: ReasonKind
    verdict: Verdict
    text: str
    source: str = ""


class Decision(Record):
    """One person's answer to an approval request."""

    person: str
    approve: bool
    note: str
    at: datetime


class Edit(Record):
    """A reviewer's change of the arguments that are asked about, with the answers to the earlier ones that it made void."""

    person: str
    at: datetime
    before: dict[str, Any]
    after: dict[str, Any]
    void: tuple[Decision, ...] = ()


class Factor(Record):
    """One severity factor: its level (``None`` where records cannot tell) and why."""

    factor: SeverityFactor
    level: Severity | None
    why: str
    records: tuple[str, ...] = ()


class Answer(Record):
    """The audit's answer to one question, with the ids of the records it rests on.

    ``missing`` says what the records cannot tell; an empty list of findings with nothing missing means *none*.
    """

    question: Question
    summary: str
    findings: tuple[dict[str, Any], ...] = ()
    records: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
