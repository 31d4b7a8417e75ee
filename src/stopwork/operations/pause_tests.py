"""Pause tests: proof that a pause stops a workflow, while the workflow goes on.

A test does what a pause and a call do, by the functions that do it: it sets a hold, begins a run, asks for a permit, and hands the
answer to the machine that every guard carries its calls through. All that is one transaction of the live database, and it is *taken
back* when it has been seen. So the hold never meets real work, the probe never has a permit that commits, and no run, key, budget,
detector or figure has to know of probes: there never were any.

What does become durable is a new control epoch, as with every pause. Whoever asks next has to be answered by it, and every live
guard has to confirm it. docs/explanation/what-pause-guarantees.md says what that proves and what it does not.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Final, NoReturn

from msgspec import Struct

from stopwork.control.protocol import AskPermit, PermitAnswer
from stopwork.control.session import CallSession
from stopwork.control.steps import Patience, Refuse
from stopwork.kernel.clock import boottime
from stopwork.kernel.errors import Internal
from stopwork.ledger.events import PauseTestBegan, PauseTestFinished
from stopwork.ledger.records import LevelTest, ManifestVersion, PauseTest, Principal, Scope, Workflow
from stopwork.ledger.words import CheckState, Mode, PrincipalKind, ReasonKind, ScopeKind, Verdict
from stopwork.manifest.model import Manifest
from stopwork.operations import holds, permits, runs
from stopwork.operations.installation import Installation
from stopwork.operations.manifests import Manifests, known_workflow
from stopwork.operations.people import refuse_agent
from stopwork.operations.points import PointState, count, current_epoch, unconfirmed
from stopwork.storage.transaction import Tx
from stopwork.storage.view import View

AS_PAUSE_TEST: Final = Principal(kind=PrincipalKind.SYSTEM, id="pause test")
#: How long the live guards have to confirm. They do so within a second; one that has died may count as live for as long as its lease.
CONFIRM_WITHIN_S: Final = 15.0
POLL_S: Final = 0.05
#: A workflow is tested for the first time when it has been declared for so long: by then its agents are there.
FIRST_AFTER: Final = timedelta(days=1)

LEVELS: Final = (ScopeKind.WORKFLOW, ScopeKind.TRIGGER, ScopeKind.TOOL, ScopeKind.PERMISSION)
"""The four levels at which a workflow has to be stoppable, the widest first."""


class _Probe(Struct, frozen=True, kw_only=True):
    """What was seen before it was taken back: the answers under the hold and without it, and the time from hold to answer."""

    hold: str
    held: PermitAnswer
    freed: PermitAnswer
    after_s: float


class _TakenBack(Exception):
    """Ends a transaction that has shown what it was begun for."""

    def __init__(self, seen: _Probe) -> None:
        super().__init__("seen, and taken back")
        self.seen = seen


class _Confirmed(Struct, frozen=True, kw_only=True):
    """How many guards were alive, which of them have not confirmed, which are silent, and how long was waited for them."""

    points: int
    unconfirmed: tuple[str, ...]
    silent: tuple[str, ...]
    after_s: float


def run(
    installation: Installation,
    actor: Principal,
    *,
    workflow: str,
    within_s: float = CONFIRM_WITHIN_S,
    clock: Callable[[], float] = boottime,
    sleep: Callable[[float], None] = time.sleep,
) -> PauseTest:
    """Test the four levels of a workflow, wait for its live guards to confirm, and record what was found.

    Nothing that the workflow does meanwhile is stopped. ``NotFound`` for a workflow that nobody declared, ``Denied`` for an agent.
    """
    refuse_agent(actor, "test what stops it")
    store, manifests = installation.store, installation.manifests
    manifest = store.read(lambda view: manifests.current(view, workflow).manifest)
    probe = _Probing(installation, actor, manifest, clock)
    levels = tuple(probe.level(kind) for kind in LEVELS)
    name, began_at = store.ids.new("ptest"), clock()
    epoch = store.write(lambda tx: _begin(tx, workflow, name), actor=actor, urgent=True)
    answered = probe.answer(Scope(kind=ScopeKind.WORKFLOW, name=workflow)).freed.epoch
    if answered < epoch:
        levels = tuple(_not_seen(each, answered, epoch) for each in levels)
    confirmed = _confirmed(installation, workflow, epoch, began_at, within_s, clock, sleep)
    passed = not confirmed.unconfirmed and all(each.state is not CheckState.FAILED for each in levels)

    def finish(tx: Tx) -> PauseTest | None:
        tx.record(
            PauseTestFinished(
                test=name,
                workflow=workflow,
                version=probe.version,
                passed=passed,
                tool=probe.tool,
                levels=levels,
                epoch=epoch,
                points=confirmed.points,
                unconfirmed=confirmed.unconfirmed,
                silent=confirmed.silent,
                confirmed_after_s=confirmed.after_s,
            )
        )
        return known_workflow(tx, workflow).pause_test

    found = store.write(finish, actor=actor)
    if found is None:
        raise Internal("a pause test left no record", hint="Please report this.", test=name)
    return found


def due(view: View, manifests: Manifests, *, now: datetime) -> list[str]:
    """Answer the enforced workflows whose last pause test is as old as their manifest lets it become."""
    return [
        known.id
        for known in view.each(Workflow)
        if known.mode is Mode.ENFORCE and now >= due_at(view, manifests, known)
    ]


def due_at(view: View, manifests: Manifests, workflow: Workflow) -> datetime:
    """Answer when the next pause test of a workflow is due."""
    if workflow.pause_test is None:
        return view.need(ManifestVersion, f"{workflow.id}@1").at + FIRST_AFTER
    every = manifests.version(view, workflow.id, workflow.version).manifest.pause_test.every
    return workflow.pause_test.at + every


def run_due(installation: Installation) -> int:
    """Test every workflow whose test is due; answer how many were."""
    store = installation.store
    found = store.read(lambda view: due(view, installation.manifests, now=store.clock.now()))
    for workflow in found:
        run(installation, AS_PAUSE_TEST, workflow=workflow)
    return len(found)


def probe_tool(manifest: Manifest) -> str:
    """Answer the tool that a probe asks for: one that changes something under a permission, where there is one."""
    return max(
        manifest.tools,
        key=lambda name: (manifest.tools[name].permission is not None, manifest.tools[name].writes),
    )


class _Probing:
    """Asks for permits under holds, and takes everything back."""

    def __init__(
        self,
        installation: Installation,
        actor: Principal,
        manifest: Manifest,
        clock: Callable[[], float],
    ) -> None:
        self._store = installation.store
        self._manifests = installation.manifests
        self._actor = actor
        self._manifest = manifest
        self._clock = clock
        self.tool = probe_tool(manifest)
        self.version = self._store.read(lambda view: known_workflow(view, manifest.workflow)).version

    def level(self, kind: ScopeKind) -> LevelTest:
        """Answer whether a hold at this level stops the probe, and lets it go again when it is lifted."""
        name = self._name(kind)
        if name is None:
            text = f"{self.tool} uses no {kind} that the manifest names, so there is none to pause"
            return LevelTest(level=kind, name="", state=CheckState.UNKNOWN, text=text)
        within = None if kind is ScopeKind.WORKFLOW else self._manifest.workflow
        seen = self.answer(Scope(kind=kind, name=name, workflow=within))
        faults = tuple(self._faults(seen))
        return LevelTest(
            level=kind,
            name=name,
            state=CheckState.FAILED if faults else CheckState.PASSED,
            text="; ".join(faults) or f"{self.tool} was refused, and no longer once the hold was lifted",
            refused_after_s=seen.after_s,
        )

    def answer(self, scope: Scope) -> _Probe:
        """Answer what a call is told under a block of the scope, and after it was lifted; neither has happened."""

        def ask(tx: Tx, under: str) -> PermitAnswer:
            return permits.ask(tx, self._manifests, run=under, tool=self.tool, args={})

        def probe(tx: Tx) -> NoReturn:
            began_at = self._clock()
            hold = holds.pause(tx, scope=scope, reason="a pause test").hold
            started = runs.start(
                tx,
                self._manifests,
                workflow=self._manifest.workflow,
                trigger=self._manifest.accepted_triggers[0],
            )
            held = ask(tx, started.run)
            after_s = self._clock() - began_at
            holds.release(tx, hold, reason="the pause test is over")
            raise _TakenBack(_Probe(hold=hold.id, held=held, freed=ask(tx, started.run), after_s=after_s))

        try:
            self._store.write(probe, actor=self._actor)
        except _TakenBack as end:
            return end.seen
        raise Internal("a probe was not taken back", hint="Please report this.")

    def _name(self, kind: ScopeKind) -> str | None:
        match kind:
            case ScopeKind.WORKFLOW:
                return self._manifest.workflow
            case ScopeKind.TRIGGER:
                return self._manifest.accepted_triggers[0]
            case ScopeKind.TOOL:
                return self.tool
        return self._manifest.tools[self.tool].permission

    def _faults(self, seen: _Probe) -> Iterator[str]:
        """Yield what a pause has to do and this one did not."""
        if seen.held.verdict is not Verdict.DENY:
            yield f"{self.tool} was answered {seen.held.verdict} under {seen.hold}"
        elif not _names(seen.held, seen.hold):
            yield f"{self.tool} was refused, but not because of {seen.hold}"
        elif not _ends_unrun(seen.held, self.tool):
            yield f"a guard would not end {self.tool} on that answer"
        if _names(seen.freed, seen.hold):
            yield f"{seen.hold} still refused {self.tool} when it was lifted"


def _names(answer: PermitAnswer, hold: str) -> bool:
    return any(each.kind is ReasonKind.HOLD and each.source == hold for each in answer.reasons)


def _ends_unrun(answer: PermitAnswer, tool: str) -> bool:
    """Answer whether the machine of every guard ends the call on this answer, with nothing run."""
    session = CallSession(AskPermit(call=answer.call, run="probe", tool=tool, args={}), None, Patience())
    session.begin(0.0)
    return isinstance(session.step(answer, 0.0), Refuse)


def _begin(tx: Tx, workflow: str, name: str) -> int:
    epoch = current_epoch(tx) + 1
    tx.record(PauseTestBegan(test=name, workflow=workflow, epoch=epoch))
    return epoch


def _not_seen(level: LevelTest, answered: int, epoch: int) -> LevelTest:
    text = f"after epoch {epoch} had committed, a call was still answered by epoch {answered}"
    return LevelTest(level=level.level, name=level.name, state=CheckState.FAILED, text=text)


def _confirmed(
    installation: Installation,
    workflow: str,
    epoch: int,
    began_at: float,
    within_s: float,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> _Confirmed:
    """Wait until every live guard of the workflow has confirmed the epoch, at most ``within_s``."""
    store = installation.store
    while True:
        waiting, points = store.read(
            lambda view: (
                unconfirmed(view, now=store.clock.now(), workflow=workflow, epoch=epoch),
                count(view, workflow=workflow),
            )
        )
        asked = [point for point in waiting if point.state is PointState.REQUESTED]
        after_s = clock() - began_at
        if not asked or after_s >= within_s:
            return _Confirmed(
                points=points,
                unconfirmed=tuple(point.name for point in asked),
                silent=tuple(point.name for point in waiting if point not in asked),
                after_s=after_s,
            )
        sleep(POLL_S)
