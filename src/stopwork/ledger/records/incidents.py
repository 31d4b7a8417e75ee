"""Incidents and everything that is done about them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from stopwork.ledger.records.checklists import Asked
from stopwork.ledger.records.parts import (
    Factor,
    Image,
    ObjectRef,
    Principal,
    Record,
)
from stopwork.ledger.words import (
    Audience,
    CheckState,
    DetectedBy,
    DriftState,
    IncidentStatus,
    IncidentType,
    ItemState,
    MessageState,
    Operation,
    PlanState,
    RecoverySituation,
    ReenableCheck,
    Remedy,
    Reversibility,
    Severity,
    SignalKind,
    SignalState,
)

#: So much of what a signal says is searched.
MAX_WORDS: Final = 4_000
#: So many of its signals an incident names itself: whatever joins it is a change of its record.
MAX_NAMED: Final = 100
#: How the key of a signal begins that is about a duty of the server itself, and so about no workflow.
ABOUT_A_DUTY: Final = "duty "


class Signal(Record):
    """Something that may be an incident. ``key`` is the typed cause: signals with one key share one incident.

    ``workflow`` is empty where nobody could tell yet which one it is about. ``repeats`` counts those of the same cause that came in
    after it and are not kept one by one, the last of them at ``repeated_at``.
    """

    id: str
    kind: SignalKind
    type: IncidentType
    detector: str
    key: str
    workflow: str
    summary: str
    occurred_at: datetime
    raised_at: datetime
    facts: dict[str, Any] = {}
    run: str | None = None
    call: str | None = None
    incident: str | None = None
    repeats: int = 0
    repeated_at: datetime | None = None

    @property
    def state(self) -> SignalState:
        """What became of it: signals are looked up by that."""
        if self.incident:
            return SignalState.INCIDENT
        if self.workflow:
            return SignalState.LOGGED
        return SignalState.SERVER if self.key.startswith(ABOUT_A_DUTY) else SignalState.UNPLACED

    @property
    def words(self) -> str:
        """What is searched where signals are looked up by text: all that it says, in small letters."""
        said = (self.id, self.detector, self.run or "", self.call or "", self.summary, *_texts(self.facts))
        return " ".join(searched(" ".join(said)))[:MAX_WORDS]


def searched(text: str) -> list[str]:
    """Answer the words of a text as they are searched: in small letters, and without what no database keeps in a text."""
    return text.replace("\0", " ").casefold().split()


def _texts(said: Any) -> Iterator[str]:
    """Yield every text that stands in this content, but for the names of its fields."""
    if isinstance(said, str):
        yield said
    elif isinstance(said, dict):
        for value in said.values():
            yield from _texts(value)
    elif isinstance(said, list | tuple):
        for value in said:
            yield from _texts(value)
    elif isinstance(said, int | float) and not isinstance(said, bool):
        yield str(said)


class Incident(Record):
    """The one record of an incident. ``id`` is ``AI-INC-YYYY-MMDD-NNN``, by the UTC day of opening.

    ``commanded_since`` is when its command was handed over last. ``rule`` is the alert rule that opened or proposed it by itself. ``merged`` are the incidents that went into this one, ``split`` those
    that came out of it; ``causes`` are those that the merged ones had, besides its own ``cause``. A ``practice`` one is a drill: it counts nowhere, and nobody outside hears of it.
    ``signals`` are a hundred of its signals at most, and ``more_signals`` says how many there are besides: every signal names its incident.
    A ``private`` one is seen by its ``readers`` and by administrators, and for everybody else there is none.
    """

    id: str
    type: IncidentType
    title: str
    workflow: str
    version: int
    detected_by: DetectedBy
    detected_at: datetime
    opened_at: datetime
    opened_by: Principal
    commander: str
    business_owner: str
    technical_owner: str
    backup_owner: str
    communication_owner: str
    postmortem_owner: str
    severity: Severity
    factors: tuple[Factor, ...]
    status: IncidentStatus
    cause: str
    affected_systems: tuple[str, ...] = ()
    data_classes: tuple[str, ...] = ()
    affected_parties: tuple[str, ...] = ()
    signals: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()
    root_cause: str = ""
    next_update_at: datetime | None = None
    paused_at: datetime | None = None
    held_at: datetime | None = None
    sealed_at: datetime | None = None
    bundle: str | None = None
    contained_at: datetime | None = None
    audited_at: datetime | None = None
    plan: str | None = None
    recovered_at: datetime | None = None
    communicated_at: datetime | None = None
    learned_at: datetime | None = None
    reenabled_at: datetime | None = None
    prepared_at: datetime | None = None
    closed_at: datetime | None = None
    commanded_since: datetime | None = None
    rule: str = ""
    merged_into: str | None = None
    merged: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()
    split_from: str | None = None
    split: tuple[str, ...] = ()
    practice: bool = False
    private: bool = False
    readers: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    checklist: tuple[Asked, ...] = ()
    more_signals: int = 0


class Bundle(Record):
    """One sealed evidence bundle. An ``automatic`` one was sealed by no person; ``reason`` says why it was made."""

    id: str
    incident: str
    digest: str
    size_bytes: int
    entries: int
    tree_size: int
    kinds: dict[str, int]
    missing: tuple[str, ...]
    path: str
    at: datetime
    by: Principal
    reason: str = ""
    automatic: bool = False


class Drifted(Record):
    """What has become of one object since the calls left it: ``fields`` differ, by whom, where that is known; ``now`` is what is there."""

    object: ObjectRef
    state: DriftState
    by: str = ""
    fields: tuple[str, ...] = ()
    now: Image | None = None
    note: str = ""


class Drift(Record):
    """One look at every affected object of an incident, at one moment. ``id`` is the incident's id: the newest look counts."""

    id: str
    incident: str
    objects: tuple[Drifted, ...]
    at: datetime
    by: Principal


class Way(Record):
    """One way to put an object right.

    ``changes`` maps a field to ``[value the agent left, value to put there]``; ``target`` is the image that must be there afterwards.
    ``undo_tool`` is the tool to call, where one is.
    """

    remedy: Remedy
    reversibility: Reversibility
    preview: str
    target: Image
    changes: dict[str, list[Any]] = {}
    undo_tool: str | None = None
    undo_args: dict[str, Any] = {}


class LastLook(Record):
    """How far a plan has read once more in one system what it put back there: up to the item ``upto``, or all of it."""

    upto: str
    done: bool


class ItemEdit(Record):
    """A person's change of an item before it was approved, with what the item said until then.

    ``turn`` is the one it had, where the edit gave it another.
    """

    person: str
    at: datetime
    reason: str
    before: Way
    ways: tuple[Way, ...] = ()
    turn: int | None = None


class Item(Record):
    """What recovery does to one object.

    It says the same as a :class:`Way`; ``ways`` are the others that are possible. ``expected`` is the image that must still be
    there before anything is done. ``replaced`` is what the first attempt found, ``found`` what was there in the end. ``keep`` says why it is
    proposed that the object stays as it is; empty where it is proposed to be put right. ``earlier`` is the item of an earlier plan that this
    one takes up again. ``operation``, ``at`` (the first change), ``runs``, ``tools`` and ``copy_of`` (the original of a copy) are what rules go by.
    ``changed_again`` says that it was put right, and did not hold any more when the plan read it once more at its end.
    ``after`` are the items that have to be put right first: otherwise this one is not run. ``tries`` is how often nothing was found out about it
    although others in its system could be reached; it is looked at again from ``again_at`` on. ``takes_back`` says that it undoes a repair:
    once it is done the object holds what the agent left.
    """

    id: str
    plan: str
    incident: str
    object: ObjectRef
    situation: RecoverySituation
    remedy: Remedy
    preview: str
    calls: tuple[str, ...]
    effects: tuple[str, ...]
    expected: Image
    target: Image
    order: int
    state: ItemState
    changes: dict[str, list[Any]] = {}
    undo_tool: str | None = None
    undo_args: dict[str, Any] = {}
    must_tell: tuple[Audience, ...] = ()
    approved_by: str | None = None
    attempted_at: datetime | None = None
    finished_at: datetime | None = None
    done_by: Principal | None = None
    replaced: Image | None = None
    found: Image | None = None
    note: str = ""
    keep: str = ""
    earlier: str | None = None
    reversibility: Reversibility = Reversibility.NOT
    operation: Operation | None = None
    at: datetime | None = None
    runs: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    copy_of: ObjectRef | None = None
    after: tuple[str, ...] = ()
    ways: tuple[Way, ...] = ()
    edits: tuple[ItemEdit, ...] = ()
    changed_again: bool = False
    tries: int = 0
    again_at: datetime | None = None
    takes_back: bool = False

    @property
    def reversible(self) -> bool:
        """Whether the software takes back anything of what the agent did."""
        return self.reversibility is not Reversibility.NOT


class Rest(Record):
    """Until when nothing is done in a system that was out of reach, so many times in a row, and what was heard of it last."""

    until: datetime
    tries: int
    error: str


class Plan(Record):
    """A recovery plan: shown before it runs, approved by the owner, run once per item.

    ``started_at`` is when it was last begun or resumed, ``left`` how many items were left then. ``reason`` is why it was last paused,
    resumed or cancelled, by ``steered_by``. ``rests`` are those of systems that were out of reach.
    """

    id: str
    incident: str
    state: PlanState
    digest: str
    items: int
    proposed_at: datetime
    proposed_by: Principal
    approved_at: datetime | None = None
    approved_by: str | None = None
    systems: tuple[str, ...] = ()
    started_at: datetime | None = None
    left: int = 0
    paused_at: datetime | None = None
    cancelled_at: datetime | None = None
    last_looks: dict[str, LastLook] = {}
    steered_by: str | None = None
    reason: str = ""
    finished_at: datetime | None = None
    rests: dict[str, Rest] = {}


class Message(Record):
    """One communication. ``digest`` covers audience, recipients, subject and body: the exact text that is approved."""

    id: str
    incident: str
    audience: Audience
    recipients: tuple[str, ...]
    subject: str
    body: str
    digest: str
    state: MessageState
    drafted_at: datetime
    drafted_by: Principal
    approved_by: str | None = None
    approved_at: datetime | None = None
    sent_at: datetime | None = None
    delivery: dict[str, str] = {}
    error: str = ""


class FollowUp(Record):
    """One remediation with an owner and a date."""

    remediation: tuple[str, ...]
    what: str
    owner: str
    due_date: str


class Postmortem(Record):
    """What was learned. ``id`` is the incident's id."""

    id: str
    incident: str
    fields: dict[str, str]
    follow_ups: tuple[FollowUp, ...]
    at: datetime
    by: Principal
    closed_at: datetime | None = None


class Check(Record):
    """One re-enable check that a person answered. ``id`` is ``incident/check``."""

    id: str
    incident: str
    check: ReenableCheck
    state: CheckState
    note: str
    by: Principal
    at: datetime


class Note(Record):
    """A remark on an incident; ``occurred_at`` is when the thing happened, ``recorded_at`` when it was written."""

    id: str
    incident: str
    text: str
    occurred_at: datetime
    recorded_at: datetime
    by: Principal
