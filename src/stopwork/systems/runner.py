"""A runner: carries out what a control plane orders, on the systems that this process has the credentials of.

It looks, asks, changes and looks again, and decides nothing; see :mod:`stopwork.control.running`. The server uses it for its own
systems, and the agent's process for those that only the agent can reach.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from typing import Any, Final, Protocol, TypeVar, cast

from stopwork.control import running as p
from stopwork.control.protocol import Request
from stopwork.kernel.clock import boottime
from stopwork.kernel.errors import Conflict, StopworkError, Unavailable
from stopwork.ledger.records import Image, ObjectRef
from stopwork.systems.base import Invoker, Swap, Swapping, System, in_words

A = TypeVar("A")
B = TypeVar("B")

#: How many items are begun together, for each change that the system takes at a time: a pause waits for so many.
_ROUNDS: Final = 8
#: How long a lane is kept while nothing comes back from its system: after that another runner may look for itself.
_PATIENCE_S: Final = 300.0
#: What may pass by itself: the system was out of reach.
_PASSING: Final = (Unavailable, ConnectionError, TimeoutError)
#: How often an outcome is told again that did not arrive, and how long is waited in between at first.
_TELLS: Final = 5
_TELL_AGAIN_S: Final = 0.2


class Asked(Protocol):
    """Whoever answers a runner: the control plane, near or far. ``Unavailable`` means that the same may be asked again."""

    def send(self, request: Request[A]) -> A: ...


class Runner:
    """Carries out the items of ``systems``, one system at a time, until there is nothing left for it.

    Nothing is changed once its lease may have run out, counted by ``clock`` from before it asked.
    """

    def __init__(
        self,
        desk: Asked,
        systems: Mapping[str, System],
        *,
        runner: str,
        clock: Callable[[], float] = boottime,
        patience_s: float = _PATIENCE_S,
    ) -> None:
        self._patience_s = patience_s
        self._desk = desk
        self._systems = systems
        self._runner = runner
        self._clock = clock

    def run(self, workflow: str, *, plan: str | None = None, until: float | None = None) -> int:
        """Carry out what there is to do, and answer how many items were looked at; no batch begins after ``until``.

        Ends early when the plan is paused, or another runner has taken the lane.
        """
        done = 0
        for name, system in self._systems.items():
            with contextlib.suppress(_Over):
                done += self._lane(workflow, plan, name, system, until)
        return done

    def _lane(self, workflow: str, plan: str | None, name: str, system: System, until: float | None) -> int:
        done: set[str] = set()
        at_once = max(1, getattr(system, "at_once", 1))
        limit = p.MAX_BATCH if _swaps(system) else min(p.MAX_BATCH, _ROUNDS * at_once)
        claim = p.ClaimLane(
            workflow=workflow, runner=self._runner, systems=(name,), plan=plan, limit=limit, at_once=at_once
        )
        tenure: _Tenure | None = None
        try:
            while until is None or self._clock() < until:
                asked_at = self._clock()
                lane = self._desk.send(claim).lane
                if lane is None:
                    break
                if tenure is None or (tenure.plan, tenure.fence) != (lane.plan, lane.fence):
                    if tenure is not None:
                        tenure.end()
                    tenure = _Tenure(self._desk, lane, self._runner, self._clock, self._patience_s)
                tenure.renewed(asked_at, lane.lease_s)
                self._batch(system, lane, tenure, at_once)
                done.update(each.item for each in lane.items)
        finally:
            if tenure is not None:
                tenure.end()
        return len(done)

    def _batch(self, system: System, lane: p.Lane, tenure: _Tenure, at_once: int) -> None:
        objects = {each.item: each.object for each in lane.items}
        stages = {each.item: each.stage for each in lane.items}
        with _threads(at_once) as work:
            looked = tuple(
                p.Looked(item=item, image=image, error=_words(error), again=isinstance(error, _PASSING))
                for item, (image, error) in _looked(system, objects, work, tenure.heard).items()
            )
            orders = tenure.send(
                p.BeginItems(
                    plan=lane.plan, system=lane.system, runner=self._runner, fence=lane.fence, looked=looked
                )
            ).orders
            if not orders:
                return
            raised = _changed(system, orders, objects, stages, work, tenure)
            begun = {order.item: objects[order.item] for order in orders}
            seen = _looked(system, begun, work, tenure.heard)
        ended = tuple(
            p.Ended(
                item=item,
                image=image,
                error=_words(raised[item]),
                unseen=_words(error),
                conflict=isinstance(raised[item], Conflict),
                again=isinstance(error or raised[item], _PASSING),
            )
            for item, (image, error) in seen.items()
        )
        tenure.tell(
            p.EndItems(plan=lane.plan, system=lane.system, runner=self._runner, fence=lane.fence, ended=ended)
        )


class _Over(Exception):
    """The lane is not this runner's any more, or nothing of the plan may begin now."""


class _Tenure:
    """The time for which a lane is this runner's. A thread keeps it while a change takes long, but not for ever: a system may hang."""

    def __init__(
        self, desk: Asked, lane: p.Lane, runner: str, clock: Callable[[], float], patience_s: float
    ) -> None:
        self.plan = lane.plan
        self.fence = lane.fence
        self._desk = desk
        self._keep = p.KeepLane(plan=lane.plan, system=lane.system, runner=runner, fence=lane.fence)
        self._clock = clock
        self._lease_s = lane.lease_s
        self._until = self._heard_at = clock()
        self._patience_s = patience_s
        self._lost = False
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keeping, name=f"keeps {lane.system}", daemon=True)
        self._thread.start()

    def renewed(self, asked_at: float, lease_s: float) -> None:
        self._until = max(self._until, asked_at + lease_s)

    def heard(self) -> None:
        """Note that the system has answered."""
        self._heard_at = self._clock()

    def require(self) -> None:
        """Raise unless the lane is certainly this runner's now: somebody else may be at the same object."""
        if self._lost or self._clock() >= self._until:
            raise _Over

    def send(self, request: Request[A]) -> A:
        asked_at = self._heard_at = self._clock()
        try:
            answer = self._desk.send(request)
        except Conflict as error:
            raise _Over from error
        self.renewed(asked_at, self._lease_s)
        return answer

    def tell(self, request: Request[A]) -> A:
        """Send what has happened already: it is worth some patience."""
        for again in range(_TELLS):
            try:
                return self.send(request)
            except Unavailable:
                if again == _TELLS - 1:
                    raise
                time.sleep(_TELL_AGAIN_S * 2**again)
        raise _Over

    def end(self) -> None:
        """Keep it no longer, and let others have it at once."""
        self._over.set()
        self._thread.join()
        with contextlib.suppress(StopworkError):
            self._desk.send(_given_back(self._keep))

    def _keeping(self) -> None:
        while not self._over.wait(self._lease_s / 3):
            asked_at = self._clock()
            if asked_at > self._heard_at + self._patience_s:
                return
            try:
                kept = self._desk.send(self._keep)
            except Conflict:
                self._lost = True
                return
            except StopworkError:
                continue  # it runs out by itself, and until then it is ours
            self.renewed(asked_at, kept.lease_s)


Work = Callable[[Callable[[Any], Any], Sequence[Any]], list[Any]]


@contextlib.contextmanager
def _threads(at_once: int) -> Iterator[Work]:
    """Give a way to do one thing with each of many, as many at a time as the system takes."""
    if at_once == 1:
        yield lambda function, each: [function(one) for one in each]
        return
    with ThreadPoolExecutor(at_once, thread_name_prefix="recovery") as pool:
        yield lambda function, each: list(pool.map(function, each))


def _swaps(system: System) -> bool:
    return callable(getattr(system, "replace_many", None))


def _looked(
    system: System, objects: Mapping[str, ObjectRef], work: Work, heard: Callable[[], None]
) -> dict[str, tuple[Image | None, Exception | None]]:
    if _swaps(system):
        try:
            images = cast(Swapping, system).read_many(tuple(objects.values()))
            return {item: (image, None) for item, image in zip(objects, images, strict=True)}
        except Exception:  # noqa: BLE001, S110 - which of them cannot be read is found out one by one
            pass

    def look(ref: ObjectRef) -> tuple[Image | None, Exception | None]:
        try:
            return system.read(ref), None
        except Exception as error:  # noqa: BLE001 - one adapter's fault keeps no other object from being put right
            return None, error
        finally:
            heard()

    return dict(zip(objects, work(look, tuple(objects.values())), strict=True))


def _words(error: Exception | None) -> str:
    return in_words(error)[: p.MAX_ERROR]


def _changed(
    system: System,
    orders: Sequence[p.Order],
    objects: Mapping[str, ObjectRef],
    stages: Mapping[str, int],
    work: Work,
    tenure: _Tenure,
) -> dict[str, Exception | None]:
    """Make the ordered changes, and answer what each of them raised."""

    def one(order: p.Order) -> Exception | None:
        tenure.require()
        try:
            if order.tool is not None:
                cast(Invoker, system).invoke(order.tool, order.args)
            elif order.expected is not None and order.target is not None:
                system.replace(objects[order.item], order.expected, order.target)
        except Exception as error:  # noqa: BLE001 - whatever it raised, what is there now is what counts
            return error
        finally:
            tenure.heard()
        return None

    if _swaps(system) and all(order.tool is None for order in orders):
        tenure.require()
        swaps = [
            Swap(object=objects[order.item], expected=order.expected, target=order.target)
            for order in orders
            if order.expected is not None and order.target is not None
        ]
        try:
            raised = cast(Swapping, system).replace_many(swaps)
            return dict(zip((order.item for order in orders), raised, strict=True))
        except Unavailable as error:
            return dict.fromkeys((order.item for order in orders), error)
        except Exception:  # noqa: BLE001, S110 - which of them it was is found out one by one
            pass
    found: dict[str, Exception | None] = {}
    in_stages = sorted(orders, key=lambda order: stages[order.item])
    for _, group in groupby(in_stages, key=lambda order: stages[order.item]):
        tied = list(group)
        found |= zip((order.item for order in tied), work(one, tied), strict=True)
    return found


def _given_back(keep: p.KeepLane) -> p.KeepLane:
    return p.KeepLane(
        plan=keep.plan, system=keep.system, runner=keep.runner, fence=keep.fence, give_back=True
    )
