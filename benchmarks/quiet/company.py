"""The company in which the month passes: an installation on a clock that only the month moves, its systems of record, its agents and people.

Everything goes through the operations that a server calls: runs, permits, approvals, outcomes, feeds; and what is found becomes signals and incidents
as it does there. Whatever goes on at the same time is told as stories that wait for one another.
"""

from __future__ import annotations

import copy
import heapq
import random
from collections.abc import Generator
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from benchmarks.quiet.manifests import TASKS
from stopwork.detect.registry import DETECTORS
from stopwork.kernel.clock import ManualClock
from stopwork.kernel.errors import Conflict
from stopwork.kernel.ids import CountingIds
from stopwork.ledger.records import (
    Captured,
    Image,
    Incident,
    ObjectRef,
    Observed,
    Principal,
    Signal,
)
from stopwork.ledger.words import Operation, Outcome, PrincipalKind, RunStatus, StepKind, Verdict
from stopwork.operations import approvals, feeds, manifests, outcomes, pause_tests, permits, runs
from stopwork.operations.installation import Installation
from stopwork.worker.detection import Detection

#: A story goes on until it yields for how many seconds it waits.
Story = Generator[float, None, Any]

DANA: Final = Principal(kind=PrincipalKind.PERSON, id="dana@acme.test")
LEE: Final = Principal(kind=PrincipalKind.PERSON, id="lee@acme.test")
#: How often the detectors are told that time has passed while nothing happens.
TICKS_EVERY: Final = timedelta(minutes=10)
#: How often they look while something does: a server's look far more often, and are not simulated.
LOOKS_EVERY: Final = timedelta(seconds=30)
FEEDS_EVERY: Final = timedelta(minutes=10)
SESSION: Final = "guard"


class Company:
    """One installation and everything around it. Calls of agents, edits by people and what the systems tell of both are drawn from ``chance``."""

    def __init__(self, folder: Path, begin: datetime, seed: int) -> None:
        self.clock = ManualClock(begin)
        self.chance = random.Random(seed)
        self.inst = Installation.open(folder, clock=self.clock, ids=CountingIds())
        self.records: dict[ObjectRef, dict[str, Any]] = {}
        self._detection = Detection(self.inst, DETECTORS)
        self._waiting: list[tuple[datetime, int, Story]] = []
        self._begun = 0
        self._changes: dict[str, list[feeds.Told]] = {}
        self._told = 0
        self.calls = 0

    def now(self) -> datetime:
        return self.clock.now()

    def apply(self, manifest: str, reason: str) -> None:
        """Put a manifest, or its next version, in force."""
        self.inst.store.write(lambda tx: manifests.apply(tx, manifest, reason=reason), actor=LEE)

    # time

    def later(self, at: datetime, story: Story) -> None:
        """Let a story begin at a moment."""
        self._begun += 1
        heapq.heappush(self._waiting, (at, self._begun, story))

    def live_until(self, end: datetime) -> None:
        """Let time pass: stories go on when it is their turn, systems tell what changed, detectors look."""
        told_at = looked_at = self.now()
        unseen = False
        while self.now() < end:
            look_at = looked_at + (LOOKS_EVERY if unseen else TICKS_EVERY)
            turn = min(self._waiting[0][0] if self._waiting else end, look_at, end)
            self.clock.advance(max(timedelta(), turn - self.now()))
            while self._waiting and self._waiting[0][0] <= self.now():
                _, _, story = heapq.heappop(self._waiting)
                unseen = True
                try:
                    self.later(self.now() + timedelta(seconds=next(story)), story)
                except StopIteration:
                    continue
            if self.now() - told_at >= FEEDS_EVERY:
                told_at = self.now()
                unseen = self._tell() or unseen
            if self.now() >= look_at or self.now() == end:
                looked_at, unseen = self.now(), False
                self._detection.follow()

    def test_pauses(self) -> None:
        """Do what the server does by itself once a month and workflow."""
        pause_tests.run_due(self.inst)

    # systems

    def changed(self, by: str, ref: ObjectRef, fields: dict[str, Any] | None, *, told: bool = True) -> None:
        """Change an object, or make it; its system remembers who did it."""
        before = self.records.get(ref)
        after = (before or {}) | (fields or {})
        self.records[ref] = after
        if not told:
            return
        self._told += 1
        self._changes.setdefault(ref.system, []).append(
            feeds.Told(
                id=f"{self._told}",
                at=self.now(),
                by=by,
                object=feeds.ChangedObject(type=ref.type, id=ref.id),
                operation=Operation.CREATED if before is None else Operation.MODIFIED,
                fields={name: ((before or {}).get(name), value) for name, value in (fields or {}).items()},
            )
        )

    def image(self, ref: ObjectRef) -> Image:
        content = self.records.get(ref)
        return Image.absent() if content is None else Image.present(copy.deepcopy(content))

    def _tell(self) -> bool:
        """Let each system tell what changed in it; answer whether anything did."""
        anything = any(self._changes.values())
        for system, changes in self._changes.items():
            teller = Principal(kind=PrincipalKind.FEED, id=system)
            while changes:
                batch, changes[: feeds.MAX_CHANGES] = changes[: feeds.MAX_CHANGES], []
                self._feed(teller, batch)
        return anything

    def _feed(self, teller: Principal, told: list[feeds.Told]) -> None:
        self.inst.store.write(
            lambda tx: feeds.feed(tx, self.inst.manifests, system=teller.id, changes=told), actor=teller
        )

    # what came of it

    def signals(self) -> list[Signal]:
        return self.inst.store.read(lambda view: list(view.each(Signal, order="raised_at")))

    def incidents(self) -> list[Incident]:
        return self.inst.store.read(lambda view: list(view.each(Incident, order="opened_at")))

    def close(self) -> None:
        self.inst.close()


class Agent:
    """The process of one workflow's agent, with its guard."""

    def __init__(self, company: Company, workflow: str, model: str = "large-3") -> None:
        self.task = TASKS[workflow]
        self.company = company
        self.workflow = workflow
        self.model = model
        self.identity = f"agent-{workflow}@acme.test"
        self._as = Principal(kind=PrincipalKind.AGENT, id=workflow)

    def begin(
        self, occasion: str, *, trigger: str = "schedule", attempt: int = 1, retry_of: str | None = None
    ) -> str:
        inst = self.company.inst
        return inst.store.write(
            lambda tx: runs.start(
                tx,
                inst.manifests,
                workflow=self.workflow,
                trigger=trigger,
                trigger_id=occasion,
                attempt=attempt,
                retry_of=retry_of,
                task=self.task,
                runtime={"agent": self.workflow, "model": self.model},
            ),
            actor=self._as,
        ).run

    def end(self, run: str, status: RunStatus = RunStatus.SUCCEEDED, error: str | None = None) -> None:
        self.company.inst.store.write(
            lambda tx: runs.finish(tx, run=run, status=status, error=error), actor=self._as
        )

    def think(self, run: str, tokens: int, **facts: Any) -> None:
        """Ask the model."""
        spent = round(tokens * self.company.chance.uniform(0.8, 1.3))
        self._step(run, StepKind.MODEL_CALL, "model", facts, tokens=spent, cost_usd=spent * 4e-6)

    def retrieve(self, run: str, source: str, *, hours_old: float = 0.5, **facts: Any) -> None:
        as_of = self.company.now() - timedelta(hours=hours_old)
        self._step(run, StepKind.RETRIEVAL, f"read {source}", facts, source=source, as_of=as_of)

    def _step(self, run: str, kind: StepKind, name: str, facts: dict[str, Any], **more: Any) -> None:
        self.company.inst.store.write(
            lambda tx: runs.step(tx, run=run, kind=kind, name=name, facts=facts, **more), actor=self._as
        )

    def call(
        self,
        run: str,
        tool: str,
        *,
        result: Any = None,
        fails: bool = False,
        nth: int = 1,
        source: str | None = None,
        sets: dict[str, Any] | None = None,
        **args: Any,
    ) -> Story:
        """Make one call as a guard does: permit, look, attempt, run, look again. A person answers where one is asked."""
        company, inst = self.company, self.company.inst
        company.calls += 1

        def ask(call: str | None = None) -> Any:
            return inst.store.write(
                lambda tx: permits.ask(
                    tx,
                    inst.manifests,
                    run=run,
                    tool=tool,
                    args=args,
                    nth=nth,
                    call=call,
                    source=source,
                    session=SESSION,
                ),
                actor=self._as,
            )

        permit = ask()
        if permit.verdict is Verdict.WAIT:
            yield company.chance.uniform(60, 1_800)
            # Where the workflow was paused meanwhile, a yes counts for nothing.
            with suppress(Conflict):
                inst.store.write(
                    lambda tx: approvals.decide(
                        tx, approval=permit.approval, approve=True, note="looked at it"
                    ),
                    actor=DANA,
                )
            permit = ask(permit.call)
        if permit.verdict is not Verdict.ALLOW:
            return permit.result
        before = tuple(Captured(object=ref, image=company.image(ref)) for ref in permit.capture)
        if permit.effect != "read":
            inst.store.write(
                lambda tx: permits.attempt(tx, call=permit.call, before=before, session=SESSION),
                actor=self._as,
            )
        yield company.chance.lognormvariate(-0.7, 0.6)
        observed = []
        for each in before:
            if not fails:
                company.changed(self.identity, each.object, sets if sets is not None else args)
            observed.append(self._seen(each.object, each.image))
        outcome, error = (Outcome.FAILED, "503 from the server") if fails else (Outcome.SUCCEEDED, None)
        late = inst.store.write(
            lambda tx: outcomes.finish(
                tx,
                inst.manifests,
                call=permit.call,
                outcome=outcome,
                result=None if fails else result,
                error=error,
                observed=tuple(observed),
                session=SESSION,
            ),
            actor=self._as,
        )
        if late:
            for ref in late:
                company.changed(self.identity, ref, sets if sets is not None else args)
            made = tuple(self._seen(ref, Image.absent()) for ref in late)
            inst.store.write(
                lambda tx: outcomes.observe(tx, inst.manifests, call=permit.call, observed=made),
                actor=self._as,
            )
        return result

    def _seen(self, ref: ObjectRef, before: Image) -> Observed:
        after = self.company.image(ref)
        made = before.content is None
        return Observed(
            object=ref,
            operation=Operation.CREATED if made else Operation.MODIFIED,
            before=before,
            after=after,
        )
