"""One installation with its people, an agent and a small CRM: the place where the stories of the promises happen.

Time stands still unless a story moves it, and ids count up, so the same story always gives the same journal.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from stopwork.anchors.settings import Anchors
from stopwork.control.protocol import PermitAnswer
from stopwork.hooks.settings import MakesHooks
from stopwork.kernel.clock import Clock, ManualClock
from stopwork.kernel.ids import CountingIds, IdSource
from stopwork.ledger.records import Call, Captured, Hold, Image, ObjectRef, Observed, Principal, Scope
from stopwork.ledger.words import EffectKind, HoldMode, Operation, Outcome, PrincipalKind, ScopeKind, Verdict
from stopwork.notify.outlet import Outlet
from stopwork.operations import holds, manifests, outcomes, permits, runs
from stopwork.operations.installation import Installation
from stopwork.storage.transaction import Tx
from stopwork.storage.view import View
from stopwork.systems.base import System, require_expected, require_known
from stopwork.worker.crew import Crew

T = TypeVar("T")

START = datetime(2026, 3, 2, 13, 0, tzinfo=UTC)
WORKFLOW = "renewals"
#: The one way through their calls of all guards here; a story about several names its own.
SESSION = "session_1"
AGENT = Principal(kind=PrincipalKind.AGENT, id=WORKFLOW)
DANA = Principal(kind=PrincipalKind.PERSON, id="dana@acme.test")
LEE = Principal(kind=PrincipalKind.PERSON, id="lee@acme.test")
KIM = Principal(kind=PrincipalKind.PERSON, id="kim@acme.test")

MANIFEST = """\
workflow: renewals
title: Weekly renewal preparation
owners:
  business: dana@acme.test
  technical: lee@acme.test
  backup: kim@acme.test
  security: sec@acme.test
schedule: {cron: "0 8 * * MON", timezone: America/New_York, finish_within: 45m}
triggers: [schedule, manual]
tools:
  crm.read_account: {effect: read, risk: low, permission: crm.read}
  crm.update_account:
    effect: update
    permission: crm.accounts.write
    object: {system: crm, type: account, id: args.account_id}
    idempotency: [run.trigger_id, args.account_id, args.renewal]
    undo: {system: crm}
  crm.create_task:
    effect: create
    permission: crm.tasks.write
    object: {system: crm, type: task, id: result.id}
    undo: {system: crm}
  crm.set_discount:
    effect: update
    permission: crm.accounts.write
    deny_when: 100 / int(args.percent) > 50
  mail.send:
    effect: send
    risk: high
    permission: mail.send
    external: true
    undo: {none: A mail that was sent cannot be called back.}
    gate: {when: "true", approvers: [business], expires: 4h}
alerts:
  duplicate_action: {key: [tool, args.account_id, args.title], window: 7d, hold: tool}
"""


class Crm:
    """A CRM in memory. ``on_replace`` runs around each change: for people who interfere and machines that fail."""

    name = "crm"
    scans = False

    def __init__(self) -> None:
        self.accounts: dict[str, dict[str, Any]] = {
            "acme": {"renewal": "2026-06-01", "owner": "lee"},
            "globex": {"renewal": "2026-07-01", "owner": "kim"},
        }
        self.tasks: dict[str, dict[str, Any]] = {}
        self.replaced: list[ObjectRef] = []
        self.before_replace: Callable[[ObjectRef], None] = _nothing
        self.after_replace: Callable[[ObjectRef], None] = _nothing
        self.before_read: Callable[[ObjectRef], None] = _nothing
        self.lock = threading.RLock()

    def read(self, ref: ObjectRef) -> Image:
        self.before_read(ref)
        with self.lock:
            found = self._shelf(ref).get(ref.id)
            return Image.absent() if found is None else Image.present(copy.deepcopy(found))

    def replace(self, ref: ObjectRef, expected: Image, target: Image) -> None:
        require_known(ref, expected, target)
        self.before_replace(ref)
        with self.lock:
            shelf = self._shelf(ref)
            found = shelf.get(ref.id)
            require_expected(ref, expected, Image.absent() if found is None else Image.present(found))
            if target.content is None:
                shelf.pop(ref.id, None)
            else:
                shelf[ref.id] = copy.deepcopy(target.content)
            self.replaced.append(ref)
        self.after_replace(ref)

    def scan(self) -> Mapping[ObjectRef, Any]:
        shelves = (("account", self.accounts), ("task", self.tasks))
        return {
            ObjectRef(system="crm", type=kind, id=each): copy.deepcopy(content)
            for kind, shelf in shelves
            for each, content in shelf.items()
        }

    def run(self, tool: str, args: Mapping[str, Any]) -> Any:
        """What the agent's tools do."""
        match tool:
            case "crm.update_account":
                self.accounts[args["account_id"]]["renewal"] = args["renewal"]
                return {"ok": True}
            case "crm.create_task":
                task = f"task-{len(self.tasks) + 1}"
                self.tasks[task] = {"account_id": args["account_id"], "title": args["title"]}
                return {"id": task}
        return {"ok": True}

    def _shelf(self, ref: ObjectRef) -> dict[str, dict[str, Any]]:
        return self.accounts if ref.type == "account" else self.tasks


def _nothing(_ref: ObjectRef) -> None:
    return None


class Office:
    """An open installation. What an agent or a person does here is recorded in their name."""

    def __init__(
        self,
        folder: Path,
        *,
        database: str | None = None,
        clock: Clock | None = None,
        ids: IdSource | None = None,
        outlet: Outlet | None = None,
        anchors: Anchors | None = None,
        hooks: MakesHooks | None = None,
        systems: Mapping[str, System] | None = None,
        manifest: str = MANIFEST,
    ) -> None:
        self.clock = clock or ManualClock(START)
        self.crm = Crm()
        self.inst = Installation.open(
            folder,
            database=database,
            systems={"crm": self.crm} if systems is None else systems,
            outlet=outlet,
            anchors=anchors,
            hooks=hooks,
            clock=self.clock,
            ids=ids or CountingIds(),
        )
        self.store = self.inst.store
        self.crew = Crew(self.inst)
        self.write(lambda tx: manifests.apply(tx, manifest, reason="the first version"), actor=LEE)

    # doing

    def write(self, work: Callable[[Tx], T], *, actor: Principal = AGENT) -> T:
        return self.store.write(work, actor=actor)

    def read(self, work: Callable[[View], T]) -> T:
        return self.store.read(work)

    def wait(self, *, without: str = "", **duration: float) -> None:
        """Let time pass and the background duties do what is due, all or those ``without`` one."""
        if isinstance(self.clock, ManualClock):
            self.clock.advance(timedelta(**duration))
        for duty in self.crew.duties:
            if duty.name != without:
                duty.work()

    def begin(self, occasion: str = "monday", *, trigger: str = "schedule") -> str:
        """Begin a run and answer its id."""
        return self.write(
            lambda tx: runs.start(
                tx, self.inst.manifests, workflow=WORKFLOW, trigger=trigger, trigger_id=occasion
            )
        ).run

    def ask(
        self,
        run: str,
        tool: str,
        *,
        call: str | None = None,
        nth: int = 1,
        session: str | None = SESSION,
        point: str | None = None,
        source: str | None = None,
        **args: Any,
    ) -> PermitAnswer:
        return self.write(
            lambda tx: permits.ask(
                tx,
                self.inst.manifests,
                run=run,
                tool=tool,
                args=args,
                call=call,
                nth=nth,
                source=source,
                session=session,
                point=point,
            )
        )

    def attempt(self, permit: PermitAnswer, *, session: str | None = SESSION) -> tuple[Captured, ...]:
        """Read what will change and record that the call begins."""
        before = tuple(Captured(object=ref, image=self.crm.read(ref)) for ref in permit.capture)
        self.write(lambda tx: permits.attempt(tx, call=permit.call, before=before, session=session))
        return before

    def finish(
        self,
        permit: PermitAnswer,
        outcome: Outcome = Outcome.SUCCEEDED,
        *,
        result: Any = None,
        observed: tuple[Observed, ...] = (),
        session: str | None = SESSION,
    ) -> tuple[ObjectRef, ...]:
        return self.write(
            lambda tx: outcomes.finish(
                tx,
                self.inst.manifests,
                call=permit.call,
                outcome=outcome,
                result=result,
                observed=observed,
                session=session,
            )
        )

    def do(self, run: str, tool: str, *, nth: int = 1, **args: Any) -> PermitAnswer:
        """Carry one call through as a guard does, and answer its permit, whatever it says."""
        permit = self.ask(run, tool, nth=nth, **args)
        if permit.verdict is not Verdict.ALLOW:
            return permit
        before = self.attempt(permit)
        result = self.crm.run(tool, permit.args)
        observed = tuple(
            Observed(
                object=each.object,
                operation=Operation.MODIFIED,
                before=each.image,
                after=self.crm.read(each.object),
            )
            for each in before
        )
        late = self.finish(permit, result=result, observed=observed)
        if late:
            made = tuple(
                Observed(
                    object=ref,
                    operation=Operation.CREATED,
                    before=Image.absent(),
                    after=self.crm.read(ref),
                )
                for ref in late
            )
            self.write(lambda tx: outcomes.observe(tx, self.inst.manifests, call=permit.call, observed=made))
        return permit

    def pause(
        self,
        kind: ScopeKind,
        name: str = "",
        *,
        workflow: str | None = None,
        mode: HoldMode = HoldMode.BLOCK,
        actor: Principal = LEE,
    ) -> holds.Pause:
        scope = Scope(kind=kind, name=name, workflow=workflow)
        return self.write(
            lambda tx: holds.pause(tx, scope=scope, reason="something is wrong", mode=mode), actor=actor
        )

    # looking

    def call(self, call: str) -> Call:
        return self.read(lambda view: view.need(Call, call))

    def hold(self, hold: str) -> Hold:
        return self.read(lambda view: view.need(Hold, hold))

    def effect_of(self, tool: str) -> EffectKind:
        return self.read(lambda view: self.inst.manifests.current(view, WORKFLOW).manifest.tools[tool].effect)

    def close(self) -> None:
        self.inst.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
