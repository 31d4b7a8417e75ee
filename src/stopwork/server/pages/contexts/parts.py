"""What every page has, and what several pages show."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Any, dataclass_transform

from msgspec import Struct

from stopwork.ledger import records as r
from stopwork.ledger import words as w
from stopwork.operations.holds import Pause
from stopwork.operations.points import PointState, Unconfirmed


# Type checkers do not see that a subclass of a frozen struct is frozen.
@dataclass_transform(frozen_default=True, kw_only_default=True)
class Context(Struct, frozen=True, kw_only=True):
    """The base of every context record."""


# --- what every page has ---------------------------------------------------------------------------


class FlashKind(StrEnum):
    """Whether it worked."""

    DONE = "done"
    PROBLEM = "problem"


class Flash(Context):
    """What came of the form that was just sent."""

    kind: FlashKind
    text: str
    hint: str = ""


class Visit(Context):
    """Who asks for a page, and how: all that a builder needs to know of the request.

    ``csrf`` stands in every form. ``roles`` are the parts this person plays outside of a manifest (administrator, …).
    """

    person: str
    csrf: str
    path: str
    roles: tuple[str, ...] = ()
    flash: Flash | None = None


class Counts(Context):
    """The numbers in the page's header."""

    incidents: int = 0
    approvals: int = 0
    drafts: int = 0
    holds: int = 0


class Frame(Context):
    """What surrounds a page. ``watch`` names the subject whose journal entries make the page stale.

    ``watch`` is ``all``, ``none``, or a field and an id such as ``incident:AI-INC-2026-0105-001``. ``seq`` is the
    journal's position when the page was made: the live stream goes on from there.
    """

    title: str
    visit: Visit
    now: datetime
    seq: int = 0
    watch: str = "none"
    counts: Counts = Counts()
    section: str = ""


class Paging(Context):
    """Where a list stands; an address is ``None`` when there is nothing there."""

    shown: int
    newest: str | None = None
    older: str | None = None


class Choice(Context):
    """One value of a filter or of a select box."""

    value: str
    label: str
    chosen: bool = False


class Filter(Context):
    """One filter of a list; it stands in the address."""

    name: str
    label: str
    choices: tuple[Choice, ...]


# --- parts that several pages show -----------------------------------------------------------------


class Unsettled(Context):
    """What holds still wait for: nothing is called paused while one of these is not empty."""

    in_flight: tuple[r.Call, ...] = ()
    unconfirmed: tuple[Unconfirmed, ...] = ()

    @classmethod
    def of(cls, pauses: Iterable[Pause]) -> Unsettled:
        """Gather what any of these pauses waits for, each thing once."""
        every = tuple(pauses)
        calls = {call.id: call for pause in every for call in pause.in_flight}
        points = {point.point: point for pause in every for point in pause.unconfirmed}
        return cls(in_flight=tuple(calls.values()), unconfirmed=tuple(points.values()))

    @property
    def empty(self) -> bool:
        return not self.in_flight and not self.unconfirmed

    @property
    def told(self) -> tuple[Unconfirmed, ...]:
        """Those that may still read by themselves."""
        return tuple(point for point in self.unconfirmed if point.state is PointState.REQUESTED)

    @property
    def silent(self) -> tuple[Unconfirmed, ...]:
        """Those that can do nothing without asking, and do not ask."""
        return tuple(point for point in self.unconfirmed if point.state is not PointState.REQUESTED)


class HoldRow(Context):
    """A hold, what it covers in words, and what it has achieved."""

    pause: Pause
    covers: str
    stopped_calls: int = 0

    @property
    def hold(self) -> r.Hold:
        return self.pause.hold

    @property
    def unsettled(self) -> Unsettled:
        return Unsettled.of((self.pause,))


class ApprovalRow(Context):
    """A question to people. ``why_not`` says why this visitor may not answer it; empty when they may."""

    approval: r.Approval
    why_not: str = ""


class FieldChange(Context):
    """One field of an object: before, as the agent left it and, where somebody looked, as it is now."""

    name: str
    before: Any = None
    after: Any = None
    now: Any = None
    before_known: bool = True
    after_known: bool = True
    now_known: bool = False


class EffectRow(Context):
    """A change to one object, field by field."""

    effect: r.Effect
    fields: tuple[FieldChange, ...]


class CallRow(Context):
    """A call with the objects it changed."""

    call: r.Call
    effects: tuple[EffectRow, ...] = ()
    approval: r.Approval | None = None
    draft: r.Draft | None = None


class StageStep(Context):
    """One rung of the ladder by which autonomy is given back."""

    stage: w.Stage
    current: bool
    passed: bool
    allows: str


class TimelineRow(Context):
    """One line of the story. ``at`` is when it was recorded; ``occurred_at`` when it happened, if that differs."""

    seq: int
    at: datetime
    actor: r.Principal
    kind: str
    text: str
    href: str = ""
    occurred_at: datetime | None = None


class IncidentRow(Context):
    """An incident, what of it is held and whether that is enforced, and the one thing to do next.

    ``others`` are those that it may be merged into, and ``decide_by`` is when a proposal ought to be decided. ``waits_since`` is by when
    somebody ought to have taken it, where nobody has.
    """

    incident: r.Incident
    holds: tuple[r.Hold, ...]
    unsettled: Unsettled
    next_title: str = ""
    next_who: str = ""
    others: tuple[Choice, ...] = ()
    decide_by: datetime | None = None
    waits_since: datetime | None = None
