"""The background duties of one installation, started and stopped together."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final

from msgspec import Struct

from stopwork.detect.detector import Detector
from stopwork.detect.registry import DETECTORS
from stopwork.ledger.events import RunFinished
from stopwork.ledger.records import Approval, Call, Principal, Run
from stopwork.ledger.words import ApprovalState, PrincipalKind, RunStatus
from stopwork.operations import (
    approvals,
    backfills,
    drafts,
    hooking,
    nagging,
    outcomes,
    outgoing,
    pause_tests,
    points,
    preserving,
    recovering,
    reminding,
    retention,
    sealing,
    telling,
)
from stopwork.operations.installation import Installation
from stopwork.operations.manifests import Manifests
from stopwork.operations.reconciling import Reconciling
from stopwork.storage.transaction import Tx
from stopwork.storage.view import View
from stopwork.worker.anchoring import DUTY as ANCHORS
from stopwork.worker.anchoring import Anchoring
from stopwork.worker.detection import DUTY, REST_S, Detection
from stopwork.worker.duty import Duty, DutyLoop, Health, health
from stopwork.worker.grading import DUTY as GRADES
from stopwork.worker.grading import Grading
from stopwork.worker.watching import DUTY as WATCH
from stopwork.worker.watching import Watching

AS_HOUSEKEEPING: Final = Principal(kind=PrincipalKind.SYSTEM, id="housekeeping")
#: A call in flight whose permit ran out this long ago has failed if it was never attempted; else, once its guard is silent, nobody
#: knows how it ended.
GIVE_UP_AFTER: Final = timedelta(minutes=2)
REGISTERS_WITHIN: Final = timedelta(seconds=30)
#: A run without any live guard of its workflow and without a call for this long is abandoned, unless people are asked about it.
ABANDON_AFTER: Final = timedelta(minutes=30)
#: How long one round goes on with recoveries before the duty says that it is well.
RECOVERS_FOR_S: Final = 4.0
#: How long one round goes on with telling people before it looks who else has to be told.
TELLS_FOR_S: Final = 4.0
#: While a call's question is open, or has been answered and not been used, its run may be resumed.
_OPEN: Final = (ApprovalState.PENDING, ApprovalState.APPROVED)


class Crew:
    """Detectors, sealer, anchors and housekeeping. Each says when it last succeeded; one that stops is itself a signal."""

    def __init__(
        self,
        installation: Installation,
        *,
        detectors: Iterable[Detector[Any]] = DETECTORS,
        url: str = "",
    ) -> None:
        """``url`` is where people reach the console, for links in what they are told."""
        self.installation = installation
        self._url = url
        detection = Detection(installation, detectors)
        self.duties = [
            Duty(
                name=DUTY,
                period_s=1.0,
                work=detection.follow,
                follows=True,
                rest_s=REST_S,
                reached=lambda _view: detection.reached,
            ),
            Duty(name=GRADES, period_s=1.0, work=Grading(installation).look),
            Duty(name="sealer", period_s=1.0, work=self._seal, reached=sealing.covered),
            Duty(name="housekeeping", period_s=2.0, work=self._keep_house),
            Duty(name="reconciling", period_s=30.0, work=self._reconcile),
            Duty(name="recoveries", period_s=1.0, work=self._recover),
            Duty(name="preserving", period_s=1.0, work=self._preserve),
            Duty(name="telling", period_s=2.0, work=self._tell),
            Duty(name="containment", period_s=5.0, work=lambda: hooking.keep_watch(installation)),
            Duty(name="pause tests", period_s=60.0, work=self._test_pauses),
        ]
        self.anchoring = Anchoring(installation)
        if installation.anchors:
            self.duties.append(Duty(name=ANCHORS, period_s=15.0, work=self.anchoring.look))
        self._reconciling = Reconciling(installation)
        watching = Watching(installation.store, self.health)
        # Apart from the others: whoever does them by hand, one after the other, leaves nothing to be watched.
        self._watch = Duty(name=WATCH, period_s=5.0, work=watching.look)
        self._loops = [DutyLoop(installation.store, duty) for duty in (*self.duties, self._watch)]

    def start(self) -> None:
        for loop in self._loops:
            loop.start()

    def stop(self) -> None:
        """Let what is being done end, and stop."""
        for loop in self._loops:
            loop.stop()

    def health(self) -> list[Health]:
        """Answer how each duty is doing."""
        store = self.installation.store
        every = [*self.duties, self._watch]
        return store.read(lambda view: health(view, every, now=store.clock.now()))

    def catch_up(self) -> None:
        """Do every duty once, now: for embedded use and for tests that fast-forward."""
        for duty in self.duties:
            duty.work()

    def _seal(self) -> None:
        sealing.seal(self.installation.store, self.installation.signer)

    def _reconcile(self) -> None:
        self._reconciling.look()

    def _recover(self) -> None:
        recovering.carry_on_all(self.installation, for_s=RECOVERS_FOR_S)

    def _preserve(self) -> None:
        preserving.seal_due(self.installation)

    def _tell(self) -> None:
        telling.plan_due(self.installation, url=self._url)
        reminding.remind_due(self.installation, url=self._url)
        outgoing.deliver_due(self.installation, for_s=TELLS_FOR_S)

    def _test_pauses(self) -> None:
        pause_tests.run_due(self.installation)

    def _keep_house(self) -> None:
        store, manifests = self.installation.store, self.installation.manifests
        store.try_again()
        # Thousands of calls may be in flight. They are looked through in a snapshot, so that no permit waits for that.
        found = store.read(lambda view: _forgotten(view, store.clock.now()))
        store.write(lambda tx: _keep_house(tx, manifests, found), actor=AS_HOUSEKEEPING)


class _Forgotten(Struct, frozen=True):
    """Calls whose permit ran out long ago, and runs that nothing was heard of for long, by id."""

    calls: tuple[str, ...]
    runs: tuple[str, ...]


def _forgotten(view: View, now: datetime) -> _Forgotten:
    # A permit is never older than the call, so what was asked for lately need not be read.
    in_flight = view.each(Call, in_flight=True, requested_at_before=now - GIVE_UP_AFTER)
    running = view.each(Run, status=RunStatus.RUNNING, started_at_before=now - ABANDON_AFTER)
    return _Forgotten(
        calls=tuple(call.id for call in in_flight if _ran_out(call, now)),
        runs=tuple(run.id for run in running if not _recent_call(view, run, now)),
    )


def _keep_house(tx: Tx, manifests: Manifests, found: _Forgotten) -> None:
    approvals.expire_due(tx)
    drafts.tidy(tx)
    backfills.expire_due(tx)
    approvals.escalate_due(tx)
    points.retire_silent(tx)
    nagging.nag(tx, manifests)
    retention.expire_keys(tx, manifests)
    live = points.live(tx, now=tx.now)
    for call in (tx.need(Call, each) for each in found.calls):
        if not call.in_flight or not _ran_out(call, tx.now):
            continue
        if call.never_began:
            outcomes.never_started(tx, call)
        elif _guard_is_gone(call, live):
            outcomes.give_up(tx, call, why="its guard has been silent since before the permit ran out")
    watched = {point.workflow for point in live}
    waiting = {each.run for each in tx.each(Approval, state=_OPEN) if each.subject.startswith("call:")}
    for run in (tx.need(Run, each) for each in found.runs):
        heard_of = run.workflow in watched or run.id in waiting or _recent_call(tx, run, tx.now)
        if run.status is RunStatus.RUNNING and not heard_of:
            tx.record(
                RunFinished(
                    run=run.id,
                    workflow=run.workflow,
                    status=RunStatus.ABANDONED,
                    error="no guard of its workflow is alive",
                    backfill=run.backfill,
                )
            )


def _ran_out(call: Call, now: datetime) -> bool:
    return call.not_after is not None and now > call.not_after + GIVE_UP_AFTER


def _guard_is_gone(call: Call, live: list[points.PointView]) -> bool:
    """Answer whether no guard that is alive can be the one that was permitted the call.

    A guard that does not say who it is registers within moments of its first call, so one that registered later is another. Should
    this be wrong, the guard's own outcome still counts when it comes.
    """
    if call.point is not None:
        return all(point.point != call.point for point in live)
    if call.permitted_at is None:
        return False
    latest = call.permitted_at + REGISTERS_WITHIN
    return not any(point.workflow == call.workflow and point.registered_at <= latest for point in live)


def _recent_call(view: View, run: Run, now: datetime) -> bool:
    return bool(view.count(Call, run=run.id, requested_at_from=now - ABANDON_AFTER))
