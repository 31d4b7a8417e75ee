"""What a runner says to the control plane while it carries out a recovery, and what it is answered.

A *runner* is a process that has the credentials of a system: the server, or the agent's own process. What it does of a plan is a *lane*:
the items of one system, in order. It claims the lane, and until its lease runs out nobody else has it; ``fence`` is the number of
that claim, and whoever comes with an older one is refused. Batch by batch, each answer durable before the next step::

    ClaimLane  → the objects to look at
    BeginItems → says what was found; the control plane decides, and answers what is to be done to which object
    EndItems   → says what was there afterwards; the control plane compares

The runner decides nothing: an item is done when the object, read again, shows it. What the agent's process says that it has read is its
word, for nobody else can look; the items say so. Systems that are connected to the server are never lent, and nobody but the
workflow's own agent is lent a lane. The order is kept within a lane; what has to wait for another system names it.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from msgspec import Meta

from stopwork.control.protocol import Answer, Id, Request
from stopwork.ledger.records import Image, ObjectRef, Record

#: The most items that are begun together: what a crash leaves in doubt, and what a pause waits for.
MAX_BATCH: Final = 250

#: The most that is said of one error.
MAX_ERROR: Final = 2_000

Words = Annotated[str, Meta(max_length=MAX_ERROR)]
Fence = Annotated[int, Meta(ge=1, le=2**53 - 1)]


class ToLookAt(Answer):
    """An item whose object is to be looked at. Those of one ``stage`` do not depend on each other; stages go one after the other."""

    item: str
    object: ObjectRef
    stage: int = 1


class Lane(Answer):
    """The next items of one system in a plan, for whoever claimed it: for ``lease_s`` seconds from before it asked."""

    plan: str
    system: str
    fence: int
    lease_s: float
    items: tuple[ToLookAt, ...]


class LaneClaimed(Answer):
    """The lane that is this runner's; none when there is nothing for it to do now."""

    lane: Lane | None = None


class Looked(Record):
    """What an object held before anything was done, or the error of looking; ``again`` where that may pass: the system was out of reach."""

    item: str
    image: Image | None = None
    error: Words = ""
    again: bool = False


class Order(Answer):
    """What is to be done about one item: ``target`` put in the place of ``expected``, or ``tool`` called once."""

    item: str
    expected: Image | None = None
    target: Image | None = None
    tool: str | None = None
    args: dict[str, Any] = {}


class ItemsBegun(Answer):
    """The intents are durable: these changes, and no others, may be made now."""

    orders: tuple[Order, ...] = ()


class Ended(Record):
    """What an object held afterwards, or ``unseen``, why that is not known; with the ``error`` that the change raised.

    ``conflict`` says that the system refused the change, ``again`` that it was out of reach, at the change or at the look.
    """

    item: str
    image: Image | None = None
    error: Words = ""
    unseen: Words = ""
    conflict: bool = False
    again: bool = False


class ItemsEnded(Answer):
    """The outcomes are durable."""


class LaneKept(Answer):
    """The lane is this runner's for so many seconds more, from before it asked; 0 when it was given back."""

    lease_s: float


class ClaimLane(Request[LaneClaimed]):
    """Take the items of one of these systems, in a plan of the workflow that is being run, or in the one that is named.

    The same runner again keeps what it has. ``at_once`` is how many changes it makes at a time; with one at a time, in the order in
    which they are answered, there are no stages.
    """

    path = "/v1/recovery/claim"
    answer = LaneClaimed

    workflow: str
    runner: Id
    systems: Annotated[tuple[str, ...], Meta(min_length=1, max_length=100)]
    plan: Id | None = None
    limit: Annotated[int, Meta(ge=1, le=MAX_BATCH)] = MAX_BATCH
    at_once: Annotated[int, Meta(ge=1, le=MAX_BATCH)] = 1


class BeginItems(Request[ItemsBegun]):
    """Say what the objects hold, and have made durable what is about to be done to them."""

    path = "/v1/plans/{plan}/begin"
    answer = ItemsBegun

    plan: str
    system: str
    runner: Id
    fence: Fence
    looked: Annotated[tuple[Looked, ...], Meta(max_length=MAX_BATCH)]


class EndItems(Request[ItemsEnded]):
    """Say what became of items that were begun. What has an end already stays as it is, so a lost answer may be asked for again."""

    path = "/v1/plans/{plan}/end"
    answer = ItemsEnded

    plan: str
    system: str
    runner: Id
    fence: Fence
    ended: Annotated[tuple[Ended, ...], Meta(max_length=MAX_BATCH)]


class KeepLane(Request[LaneKept]):
    """Keep a lane while a change takes its time, or give it back so that another runner may take it at once."""

    path = "/v1/plans/{plan}/keep"
    answer = LaneKept

    plan: str
    system: str
    runner: Id
    fence: Fence
    give_back: bool = False
