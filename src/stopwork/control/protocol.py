"""The permit protocol: what an enforcement point says to the control plane, and what it is answered.

Every request is a record that knows its address, so that the HTTP client, the server and an in-process control plane
share one definition. Saying a request twice is saying it once: runs and calls carry ids that the enforcement point made, so
after a lost answer the same request finds what the first one did.

A guard carries each call through in one *session*, which it names in the permit, the attempt and the outcome: the same session
again is a lost answer asked for once more, another one is somebody else, and a call is one guard's.

For a call that changes something the order is: :class:`AskPermit` → (before-images) → :class:`RecordAttempt` → (the tool runs,
after-images) → :class:`RecordOutcome` → and, for objects that only the result names, :class:`RecordEffects`. A call that only
reads leaves the attempt out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated, Any, ClassVar, Final, Generic, TypeVar, dataclass_transform

import msgspec
from msgspec import Meta, Struct

from stopwork.kernel.errors import Invalid
from stopwork.ledger.records import Captured, ObjectRef, Observed, Reason
from stopwork.ledger.words import (
    EffectKind,
    Mode,
    Outcome,
    Risk,
    RunStatus,
    Stage,
    StepKind,
    Verdict,
)

A = TypeVar("A")

#: How long a heartbeat may wait for an answer, and how many reads may be reported at once.
MAX_WAIT_S: Final = 20.0
MAX_READS_REPORTED: Final = 500
#: So many items of a source are asked about at once.
MAX_ITEMS_SIFTED: Final = 10_000

#: So many changed objects, and bytes of their images, are told at once.
OBSERVED_AT_ONCE: Final = 1_000
OBSERVED_BYTES_AT_ONCE: Final = 4 * 1024 * 1024

#: What a run is asked to do is told in so many letters.
MAX_TASK_CHARS: Final = 20_000

#: What an enforcement point calls its runs and calls: it stands in addresses as it is.
Id = Annotated[str, Meta(pattern="^[A-Za-z0-9_-]+$", max_length=200)]
#: Numbers that JSON keeps whole; a larger one could be recorded and never be read again.
Count = Annotated[int, Meta(ge=0, le=2**53 - 1)]
Ordinal = Annotated[int, Meta(ge=1, le=2**53 - 1)]
Dollars = Annotated[float, Meta(ge=0, le=1e9)]


@dataclass_transform(frozen_default=True, kw_only_default=True)
class Answer(Struct, frozen=True, kw_only=True):
    """The base of every answer. Unknown fields are ignored, so that a newer server may say more."""


class ToolFacts(Answer):
    """What the manifest says of one tool. ``system`` is where the object that it changes lives."""

    effect: EffectKind
    risk: Risk
    system: str | None = None


class RunTicket(Answer):
    """Under what rules a run has begun."""

    run: str
    workflow: str
    version: int
    mode: Mode
    stage: Stage
    tools: dict[str, ToolFacts] = {}


class Offered(Answer):
    """A probe that can tell how ``call`` ended, whose unknown outcome stands in the way: a read, to be run and told of."""

    call: str
    tool: str
    args: dict[str, Any]


class PermitAnswer(Answer):
    """The verdict on a call.

    ``args`` are the arguments that may run, ``effect`` is what the rules in force say that the tool does. ``capture`` names the objects to read before and after. The call has to begin
    within ``valid_for_s`` seconds, counted by the asker's own clock from before it asked; ``None`` sets no limit. ``approval`` is
    the question put to people, and ``result`` the recorded result of an earlier call that stands for this one. ``probe`` may find out
    whether an earlier call has done this.
    """

    call: str
    verdict: Verdict
    would: Verdict
    reasons: tuple[Reason, ...] = ()
    args: dict[str, Any] = {}
    effect: EffectKind | None = None
    capture: tuple[ObjectRef, ...] = ()
    epoch: int = 0
    not_after: datetime | None = None
    valid_for_s: float | None = None
    approval: str | None = None
    replay: bool = False
    result: Any = None
    probe: Offered | None = None


class AttemptRecorded(Answer):
    """The before-images are durable; the tool may run."""


class OutcomeRecorded(Answer):
    """The outcome is durable; ``capture`` names objects known only since the result is, to be read now."""

    capture: tuple[ObjectRef, ...] = ()


class Probed(Answer):
    """How the call ended, as its probe shows; ``unknown`` where that is too early to say."""

    outcome: Outcome


class EffectsRecorded(Answer):
    """The further effects are durable."""


class RunFinished(Answer):
    """The end of the run is durable."""


class WaitingCall(Answer):
    """A call that waits for approval, as the control plane has it: with the arguments that the agent gave."""

    call: str
    tool: str
    args: dict[str, Any]
    source: str | None = None


class RunRejoined(Answer):
    """A run that began earlier, perhaps in another process, and what it has had done.

    ``done`` counts the calls whose result the run has, by the digest of tool and arguments. ``call`` is the one that was asked about.
    """

    ticket: RunTicket
    trigger: str
    trigger_id: str
    attempt: int
    done: dict[str, int] = {}
    call: WaitingCall | None = None


class StepTaken(Answer):
    """The step is durable under this id; ``spent`` when the run has no room left, so that each of its calls has to ask.

    ``refused`` says why what was read may not be used: its source, or the item of it, is held.
    """

    step: str = ""
    spent: bool = False
    refused: str = ""


class ItemsSifted(Answer):
    """Which items of a source a run may not read, each with why."""

    withheld: dict[str, str] = {}


class Registration(Answer):
    """An enforcement point is known; ``epoch`` is the newest state of the controls."""

    point: str
    epoch: int


class ReadLease(Answer):
    """What the point may decide by itself: any call of a ``free`` tool, up to ``reads`` of them, by a run with fewer than ``run_calls``.

    It holds for ``for_s`` seconds, counted by the asker's own clock from before it asked, and as long as no newer lease came.
    """

    for_s: float
    version: int
    free: tuple[str, ...] = ()
    reads: int = 0
    run_calls: int | None = None


class Pulse(Answer):
    """The newest state of the controls, with the lease that was asked for."""

    epoch: int
    lease: ReadLease | None = None


class ReadsReported(Answer):
    """The reads are durable; ``unknown`` are those whose run is not known to be the workflow's."""

    unknown: tuple[str, ...] = ()


class PointRetired(Answer):
    """Nobody waits for the point any more."""


@dataclass_transform(frozen_default=True, kw_only_default=True)
class Request(Struct, Generic[A], frozen=True, kw_only=True, omit_defaults=True):
    """The base of every request: sent to ``path``, whose braces are filled from the fields of that name."""

    method: ClassVar[str] = "POST"
    path: ClassVar[str]
    answer: ClassVar[type[Answer]]

    def address(self) -> str:
        """Answer the path with its braces filled; an id that is no id is refused, not quoted."""
        filled = {}
        for name in _path_fields(self):
            value = str(getattr(self, name))
            if not value or not value.replace("_", "").replace("-", "").isalnum():
                raise Invalid(
                    f"{value!r} is not an id", hint=f"Give the {name} as it was answered.", field=name
                )
            filled[name] = value
        return self.path.format(**filled)

    def body(self) -> bytes:
        """Answer the JSON body: every field that is not in the path and not at its default."""
        content = msgspec.to_builtins(self)
        for name in _path_fields(self):
            content.pop(name, None)
        return msgspec.json.encode(content)


def _path_fields(request: Request[Any]) -> tuple[str, ...]:
    return tuple(name for name in request.__struct_fields__ if f"{{{name}}}" in request.path)


class StartRun(Request[RunTicket]):
    """Begin a run. ``trigger_id`` names the occasion: the same for every attempt at it; ``task`` says what it is asked to do."""

    path = "/v1/runs"
    answer = RunTicket

    run: Id
    workflow: str
    trigger: str
    trigger_id: str
    attempt: Ordinal = 1
    retry_of: str | None = None
    runtime: dict[str, Any] = {}
    task: Annotated[str, Meta(max_length=MAX_TASK_CHARS)] = ""


class FinishRun(Request[RunFinished]):
    """End a run."""

    path = "/v1/runs/{run}/finish"
    answer = RunFinished

    run: str
    status: RunStatus
    error: str | None = None


class RejoinRun(Request[RunRejoined]):
    """Ask what a run that goes on needs to know; ``call`` is one that waits, to be carried through."""

    path = "/v1/runs/{run}/rejoin"
    answer = RunRejoined

    run: str
    call: Id | None = None


class RecordStep(Request[StepTaken]):
    """Record what a run did besides tool calls."""

    path = "/v1/runs/{run}/steps"
    answer = StepTaken

    run: str
    kind: StepKind
    name: str
    facts: dict[str, Any] = {}
    source: str | None = None
    as_of: datetime | None = None
    tokens: Count = 0
    cost_usd: Dollars | None = None
    model: str | None = None


class SiftItems(Request[ItemsSifted]):
    """Ask which of several items of a source a run may not read, before it reads them."""

    path = "/v1/runs/{run}/items"
    answer = ItemsSifted

    run: str
    source: str
    items: Annotated[tuple[str, ...], Meta(max_length=MAX_ITEMS_SIFTED)]


class AskPermit(Request[PermitAnswer]):
    """Ask whether a call may run. The same ``call`` again asks about the same call: after a lost answer, while it waits, or
    when its permit has run out.

    ``nth`` counts what the run has had done: it is one more than the equal calls whose result the run has. ``point`` is the guard
    that asks, ``draft`` the released draft that the call carries out.
    """

    path = "/v1/permits"
    answer = PermitAnswer

    call: Id
    run: str
    tool: str
    args: dict[str, Any]
    nth: Ordinal = 1
    source: str | None = None
    session: Id | None = None
    point: Id | None = None
    draft: Id | None = None


class RecordAttempt(Request[AttemptRecorded]):
    """Make the before-images durable; the tool runs only after the answer. Only a named session can say it twice."""

    path = "/v1/calls/{call}/attempt"
    answer = AttemptRecorded

    call: str
    before: tuple[Captured, ...] = ()
    session: Id | None = None


class RecordOutcome(Request[OutcomeRecorded]):
    """Record how a call ended, with the objects that were seen to have changed.

    ``unseen`` are the systems that could not be looked at afterwards, with why: what the call changed there is not known.
    """

    path = "/v1/calls/{call}/outcome"
    answer = OutcomeRecorded

    call: str
    outcome: Outcome
    result: Any = None
    error: str | None = None
    observed: tuple[Observed, ...] = ()
    unseen: dict[str, str] = {}
    session: Id | None = None


class RecordEffects(Request[EffectsRecorded]):
    """Record changes of objects that only the result named, or of which there were too many to tell at once."""

    path = "/v1/calls/{call}/effects"
    answer = EffectsRecorded

    call: str
    observed: tuple[Observed, ...] = ()


class SettleByProbe(Request[Probed]):
    """Say that the probe of a call whose end nobody saw has been run, as the call ``by``."""

    path = "/v1/calls/{call}/probe"
    answer = Probed

    call: str
    by: Id


class RegisterPoint(Request[Registration]):
    """Make a live enforcement point of a workflow known, under the id that it has chosen where it has."""

    path = "/v1/points"
    answer = Registration

    workflow: str
    name: str
    point: Id | None = None


class Heartbeat(Request[Pulse]):
    """Say that the point is alive and acts on ``epoch``: nothing that it lets run from now on was decided by older controls.

    With ``wait_s`` a server answers as soon as there is another epoch, and at the latest after so long. With ``lease`` the point is
    given a lease for reads.
    """

    path = "/v1/points/{point}/heartbeat"
    answer = Pulse

    point: str
    epoch: Count
    wait_s: Annotated[float, Meta(ge=0, le=MAX_WAIT_S)] = 0.0
    lease: bool = False


class LeasedRead(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A read that the point decided by itself, under the controls of ``epoch``. Without an outcome it is still running.

    Clocks differ, so it tells its age: what is on record is the latest at which it can have begun.
    """

    call: Id
    run: Id
    tool: str
    args: dict[str, Any]
    version: Count
    epoch: Count
    began_ago_s: Annotated[float, Meta(ge=0, le=1e9)]
    took_s: Annotated[float, Meta(ge=0, le=1e9)] = 0.0
    nth: Ordinal = 1
    outcome: Outcome | None = None
    result: Any = None
    error: str | None = None


class ReportReads(Request[ReadsReported]):
    """Report reads that the point decided by itself, in the order in which they began.

    A read that was reported running comes again with its outcome; one that was reported with it changes nothing any more.
    """

    path = "/v1/points/{point}/reads"
    answer = ReadsReported

    point: str
    reads: Annotated[tuple[LeasedRead, ...], Meta(max_length=MAX_READS_REPORTED)]


class RetirePoint(Request[PointRetired]):
    """Say goodbye: the point makes no more calls and is no longer waited for."""

    method = "DELETE"
    path = "/v1/points/{point}"
    answer = PointRetired

    point: str


def portions(observed: Sequence[Observed]) -> Iterator[tuple[Observed, ...]]:
    """Answer what was observed in portions that can be told at once, in order; one that is too large alone stands alone."""
    portion: list[Observed] = []
    size = 0
    for each in observed:
        size += len(msgspec.json.encode(each)) if len(observed) > 1 else 0
        if portion and (len(portion) == OBSERVED_AT_ONCE or size > OBSERVED_BYTES_AT_ONCE):
            yield tuple(portion)
            portion, size = [], len(msgspec.json.encode(each))
        portion.append(each)
    if portion:
        yield tuple(portion)
