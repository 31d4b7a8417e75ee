"""What a detector is: a fold over the journal that answers findings.

A detector holds nothing. Its state is a frozen record that can be stored, restored after a crash, and is
bounded; the same entries always give the same findings. Entries may come late, out of order or twice. Time
comes in with ``tick``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from stopwork.detect.rulebook import Rulebook
from stopwork.detect.table import Table
from stopwork.ledger.events import Entry, Event
from stopwork.ledger.records import Record
from stopwork.ledger.words import DetectedBy, EffectKind, IncidentType, ScopeKind, Severity, SignalKind

S = TypeVar("S", bound=Record)

QUIET = timedelta(minutes=1)
"""What is found again and again about one thing is reported once in this time."""
MOST_TOLD = 1_024


class Finding(Record):
    """What a detector found: the material of a signal.

    ``key`` names the cause within workflow and type: findings with one key belong to one incident. ``facts``
    answer which rule, which threshold and which value. ``hold`` is the kind of hold that the manifest asks
    for; ``severity`` is the least that should be proposed. A finding that is not ``alarming`` is logged as a signal
    and joins an incident that is open about its cause, but opens none by itself. ``title`` is what an incident that it opens is called,
    where the words for its type do not fit. ``noticed_by`` is given where the kind of the signal does not say it.
    What is not ``verified``, because anybody could have said it, proposes an incident and opens none.
    """

    type: IncidentType
    kind: SignalKind
    detector: str
    key: str
    workflow: str
    summary: str
    occurred_at: datetime
    facts: dict[str, Any]
    run: str | None = None
    call: str | None = None
    hold: ScopeKind | None = None
    severity: Severity | None = None
    alarming: bool = True
    title: str = ""
    noticed_by: DetectedBy | None = None
    verified: bool = True


class Detector(ABC, Generic[S]):
    """One way of noticing that something went wrong. It is handed the entries of the events that it ``watches``, and no others."""

    name: ClassVar[str]
    watches: ClassVar[tuple[type[Event], ...]]
    state_type: type[S]

    def start(self) -> S:
        """Answer the state before the first entry."""
        return self.state_type()

    @abstractmethod
    def step(self, state: S, entry: Entry, rules: Rulebook) -> tuple[S, tuple[Finding, ...]]:
        """Answer the state after one entry, and what it showed."""

    def tick(self, state: S, now: datetime, rules: Rulebook) -> tuple[S, tuple[Finding, ...]]:
        """Answer what the passing of time shows; most detectors need only entries."""
        return state, ()


def once(
    told: Table[datetime], findings: Iterable[Finding], *about: str
) -> tuple[Table[datetime], tuple[Finding, ...]]:
    """Answer the findings that say something new, and when each cause was told last.

    So little time after the same was told, telling it again adds nothing; ``about`` tells causes of one key apart. What weighs less silences nothing that
    weighs more.
    """
    new = []
    for each in findings:
        weight = (str(each.alarming), str(each.severity), str(each.hold))
        cause = "\x1f".join((each.workflow, each.key, *about, *weight))
        last = told.get(cause)
        if last is None or each.occurred_at - last >= QUIET:
            told = told.put(cause, each.occurred_at, at_most=MOST_TOLD)
            new.append(each)
    return told, tuple(new)


class Called(Protocol):
    """A call as far as a finding about it says what was called."""

    @property
    def tool(self) -> str: ...
    @property
    def effect(self) -> EffectKind: ...
    @property
    def permission(self) -> str | None: ...
    @property
    def trigger(self) -> str: ...


def facts_of(call: Called) -> dict[str, Any]:
    """Answer what a finding says of the call that it is about: what may be held, and how bad it may be."""
    return {
        "tool": call.tool,
        "effect": call.effect.value,
        "permission": call.permission,
        "trigger": call.trigger,
    }
