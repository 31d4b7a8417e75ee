"""A control plane in memory, for tests of the guard: the real decision, and dictionaries where a database would be.

It is held to the same contract as the real ones (test_desk.py). ``break_on`` makes it fail where a test wants it to: before a
request is taken in, or after, so that only the answer is lost.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from msgspec.structs import replace

from stopwork.control import drafting, grants
from stopwork.control import protocol as p
from stopwork.control.budget import Usage
from stopwork.control.decide import CallRequest, Controls, Decided, binding, decide
from stopwork.control.gates import args_of
from stopwork.control.keys import derived, occurrence, standing
from stopwork.kernel.canonical import digest_of, plain
from stopwork.kernel.errors import Conflict, Invalid, NotFound, Unavailable
from stopwork.ledger.records import Approval, Decision, Edit, Hold, Key, ObjectRef, Principal, Run, Workflow
from stopwork.ledger.words import (
    ApprovalState,
    EffectKind,
    Outcome,
    PrincipalKind,
    RunStatus,
    Verdict,
)
from stopwork.manifest.compiled import compile_manifest
from stopwork.manifest.load import load

A = TypeVar("A")
START = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)

MANIFEST = """
workflow: renewals
owners: {business: dana@acme.test, technical: lee@acme.test}
tools:
  crm.read: {effect: read}
  crm.update:
    effect: update
    object: {system: crm, type: account, id: args.id}
  crm.create:
    effect: create
    object: {system: crm, type: task, id: result.id}
  mail.send:
    effect: send
    gate: {approvers: [business]}
"""


class _Call:
    def __init__(self, request: p.AskPermit, key: str, effect: EffectKind) -> None:
        self.request = request
        self.key = key
        self.effect = effect
        self.session = request.session
        self.verdict = Verdict.DENY
        self.outcome: Outcome | None = None
        self.result: Any = None
        self.attempted = False


class FakeDesk:
    """Answers every request of the permit protocol; ``log`` keeps what was taken in, in order."""

    def __init__(self, manifest: str, *, valid_for_s: float = 60.0) -> None:
        self.rules = compile_manifest(load(manifest).manifest)
        declared = self.rules.manifest
        self.workflow = Workflow(
            id=declared.workflow,
            title=declared.heading,
            version=1,
            mode=declared.mode,
            stage=declared.stages.start,
            owners=declared.owners.by_role(),
            applied_at=START,
            applied_by=Principal(kind=PrincipalKind.PERSON, id=declared.owners.technical),
        )
        self.valid_for_s = valid_for_s
        self.log: list[p.Request[Any]] = []
        self.holds: list[Hold] = []
        self.lifted: list[Hold] = []
        self.epoch = 0
        self.now = START
        self.runs: dict[str, Run] = {}
        self.calls: dict[str, _Call] = {}
        self.keys: dict[str, Key] = {}
        self.approvals: dict[str, Approval] = {}
        self.points: dict[str, int] = {}
        self.reads: dict[str, p.LeasedRead] = {}
        self.broken: Callable[[p.Request[Any]], str] = lambda _request: ""
        self._agent = Principal(kind=PrincipalKind.AGENT, id=declared.workflow)
        self._lock = threading.RLock()

    def send(self, request: p.Request[A]) -> A:
        """Answer the request."""
        how = self.broken(request)
        if how == "before":
            raise Unavailable("the control plane did not answer", hint="It was not reached.")
        with self._lock:
            answer = getattr(self, f"_{type(request).__name__}")(request)
            self.log.append(request)
        if how == "after":
            raise Unavailable("the control plane did not answer", hint="Its answer was lost.")
        return answer  # type: ignore[no-any-return]

    def close(self) -> None:
        """Nothing to give back."""

    def sent(self) -> list[str]:
        """Answer the names of the requests taken in, without those of enforcement points."""
        names = [type(request).__name__ for request in self.log]
        return [
            name for name in names if name not in ("RegisterPoint", "Heartbeat", "RetirePoint", "ReportReads")
        ]

    # what people do

    def hold(self, hold: Hold) -> None:
        """Set a hold."""
        with self._lock:
            self.epoch += 1
            self.holds.append(replace(hold, epoch=self.epoch))

    def lift(self) -> None:
        """Lift every hold."""
        with self._lock:
            self.epoch += 1
            self.lifted += [replace(hold, active=False) for hold in self.holds]
            self.holds.clear()

    def answer(self, approval: str, person: str, *, approve: bool) -> None:
        """Answer an approval request."""
        with self._lock:
            decision = Decision(person=person, approve=approve, note="", at=self.now)
            state = ApprovalState.APPROVED if approve else ApprovalState.REJECTED
            self.approvals[approval] = replace(self.approvals[approval], state=state, decisions=(decision,))

    def edit(self, approval: str, person: str, args: dict[str, Any]) -> None:
        """Approve other arguments than were asked about."""
        with self._lock:
            known = self.approvals[approval]
            change = Edit(person=person, at=self.now, before=known.content["args"], after=args)
            content = {**known.content, "args": args}
            edited = replace(known, content=content, digest=digest_of(content), edits=(*known.edits, change))
            self.approvals[approval] = edited
            self.answer(approval, person, approve=True)

    # what the guard asks

    def _RejoinRun(self, request: p.RejoinRun) -> p.RunRejoined:  # noqa: N802
        run = self._run(request.run)
        if run.status is not RunStatus.RUNNING:
            raise Conflict(f"run {run.id} has ended")
        call = self._call(request.call) if request.call else None
        if call is not None and call.request.run != run.id:
            raise Invalid(f"{request.call} is no call of {run.id}")
        if call is not None and call.outcome is not None:
            raise Conflict(f"{request.call} has ended")
        done: Counter[str] = Counter()
        for each in self.calls.values():
            of_run = each.request.run == run.id
            if of_run and (each.outcome is Outcome.SUCCEEDED or each.verdict is Verdict.REPLAY):
                done[digest_of([each.request.tool, each.request.args])] += 1
        asked = call.request if call else None
        return p.RunRejoined(
            ticket=self._ticket(run.id),
            trigger=run.trigger,
            trigger_id=run.trigger_id,
            attempt=run.attempt,
            done=dict(done),
            call=p.WaitingCall(call=asked.call, tool=asked.tool, args=asked.args) if asked else None,
        )

    def _ClaimDrafts(self, request: drafting.ClaimDrafts) -> drafting.DraftsClaimed:  # noqa: N802
        if request.workflow != self.workflow.id:
            raise NotFound(f"there is no workflow {request.workflow!r}")
        return drafting.DraftsClaimed()  # nobody here releases one

    def _StartRun(self, request: p.StartRun) -> p.RunTicket:  # noqa: N802
        if request.workflow != self.workflow.id:
            raise NotFound(f"there is no workflow {request.workflow!r}")
        self.runs.setdefault(
            request.run,
            Run(
                id=request.run,
                workflow=request.workflow,
                version=self.workflow.version,
                trigger=request.trigger,
                trigger_id=request.trigger_id,
                attempt=request.attempt,
                mode=self.workflow.mode,
                status=RunStatus.RUNNING,
                started_at=self.now,
                by=self._agent,
                runtime=request.runtime,
            ),
        )
        return self._ticket(request.run)

    def _ticket(self, run: str) -> p.RunTicket:
        tools = self.rules.manifest.tools
        return p.RunTicket(
            run=run,
            workflow=self.workflow.id,
            version=self.workflow.version,
            mode=self.workflow.mode,
            stage=self.workflow.stage,
            tools={
                name: p.ToolFacts(
                    effect=tool.effect, risk=tool.risk, system=tool.object.system if tool.object else None
                )
                for name, tool in tools.items()
            },
        )

    def _FinishRun(self, request: p.FinishRun) -> p.RunFinished:  # noqa: N802
        run = self._run(request.run)
        if run.status not in (RunStatus.RUNNING, request.status):
            raise Conflict(f"run {run.id} has ended")
        self.runs[run.id] = replace(run, status=request.status, error=request.error)
        return p.RunFinished()

    def _RecordStep(self, request: p.RecordStep) -> p.StepTaken:  # noqa: N802
        if self._run(request.run).status is not RunStatus.RUNNING:
            raise Conflict(f"run {request.run} has ended")
        return p.StepTaken(step=f"step_{len(self.log):04d}")

    def _AskPermit(self, request: p.AskPermit) -> p.PermitAnswer:  # noqa: N802
        run = self._run(request.run)
        args = plain(request.args)
        known = self.calls.get(request.call)
        if known is not None:
            self._check_same(known, request)
        approval_of_call = self._approval_of(request.call)
        args = args_of(approval_of_call, args)
        request = replace(request, args=args) if args != plain(request.args) else request
        which = occurrence(request.nth, lambda each: self._is_done(self._key(run, request, each)))
        key = self._key(run, request, which)
        asked = CallRequest(
            id=request.call,
            workflow=run.workflow,
            run=run,
            tool=request.tool,
            args=args,
            key=key,
            principal=self._agent,
            source=request.source,
        )
        controls = Controls(
            workflow=self.workflow,
            rules=self.rules,
            holds=tuple(self.holds),
            epoch=self.epoch,
            key=standing(self.keys.get(key), digest_of(args), call=request.call),
            approval=approval_of_call,
            lifted=tuple(self.lifted),
        )
        decided = decide(asked, controls, self.now)
        call = known or _Call(request, key, decided.effect)
        self.calls[request.call] = call
        call.verdict, call.session, call.key = decided.verdict, request.session, key
        approval = self._asked_of_people(asked, controls, decided)
        if decided.verdict is Verdict.ALLOW and decided.effect is not EffectKind.READ:
            self._take(call, args)
        elif known is not None and self._holds_key(call):
            del self.keys[key]
        replayed = self.calls[decided.replay_of] if decided.replay_of else None
        return p.PermitAnswer(
            call=request.call,
            verdict=decided.verdict,
            would=decided.would,
            reasons=decided.reasons,
            args=args,
            effect=decided.effect,
            capture=self._named(request.tool, args) if decided.verdict is Verdict.ALLOW else (),
            epoch=self.epoch,
            valid_for_s=self.valid_for_s if decided.verdict is Verdict.ALLOW else None,
            approval=approval,
            replay=replayed is not None,
            result=replayed.result if replayed else None,
        )

    def _RecordAttempt(self, request: p.RecordAttempt) -> p.AttemptRecorded:  # noqa: N802
        call = self._in_flight(request.call, request.session)
        if call.attempted and request.session is None:
            raise Conflict(f"{request.call} is running already")
        if not call.attempted and self.holds:
            raise Conflict(f"the permit of {request.call} was overtaken")
        call.attempted = True
        return p.AttemptRecorded()

    def _RecordOutcome(self, request: p.RecordOutcome) -> p.OutcomeRecorded:  # noqa: N802
        known = self._call(request.call)
        if known.outcome is request.outcome:
            return p.OutcomeRecorded()
        call = self._in_flight(request.call, request.session)
        began = call.attempted or call.effect is EffectKind.READ
        if not began and request.outcome is not Outcome.FAILED:
            raise Conflict(f"{request.call} was never attempted")
        call.outcome, call.result = request.outcome, request.result
        if self._holds_key(call):
            self.keys[call.key] = replace(self.keys[call.key], outcome=request.outcome)
        if call.effect is EffectKind.READ or request.outcome is not Outcome.SUCCEEDED:
            return p.OutcomeRecorded()
        ref = self.rules.object_ref(call.request.tool, call.request.args, request.result)
        seen = {each.object for each in request.observed}
        return p.OutcomeRecorded(capture=(ref,) if ref and ref not in seen else ())

    def _RecordEffects(self, request: p.RecordEffects) -> p.EffectsRecorded:  # noqa: N802
        if self._call(request.call).outcome is None:
            raise Conflict(f"{request.call} has not ended")
        return p.EffectsRecorded()

    def _RegisterPoint(self, request: p.RegisterPoint) -> p.Registration:  # noqa: N802
        if request.workflow != self.workflow.id:
            raise NotFound(f"there is no workflow {request.workflow!r}")
        point = request.point or f"point_{len(self.points) + 1:04d}"
        self.points[point] = self.epoch
        return p.Registration(point=point, epoch=self.epoch)

    def _Heartbeat(self, request: p.Heartbeat) -> p.Pulse:  # noqa: N802
        if request.point not in self.points:
            raise NotFound(f"there is no point {request.point!r}")
        if request.epoch > self.epoch:
            raise Invalid(f"epoch {request.epoch} has not come yet")
        self.points[request.point] = request.epoch
        return p.Pulse(epoch=self.epoch, lease=self._lease() if request.lease else None)

    def _lease(self) -> p.ReadLease:
        usage = Usage(day_calls=len(self.reads))
        lease = grants.grant(self.rules, self.workflow, self.holds, usage, now=self.now)
        return replace(lease, reads=grants.share(self.rules.manifest, usage, points=1, leased=0))

    def _ReportReads(self, request: p.ReportReads) -> p.ReadsReported:  # noqa: N802
        for read in request.reads:
            if read.epoch > self.epoch:
                raise Invalid(f"epoch {read.epoch} has not come yet")
            self.reads[read.call] = read
        return p.ReadsReported()

    def _RetirePoint(self, request: p.RetirePoint) -> p.PointRetired:  # noqa: N802
        self.points.pop(request.point, None)
        return p.PointRetired()

    # what it remembers

    def _run(self, run: str) -> Run:
        if run not in self.runs:
            raise NotFound(f"there is no run {run!r}")
        return self.runs[run]

    def _call(self, call: str) -> _Call:
        if call not in self.calls:
            raise NotFound(f"there is no call {call!r}")
        return self.calls[call]

    def _in_flight(self, call: str, session: str | None) -> _Call:
        known = self._call(call)
        if known.session != session:
            raise Conflict(f"{call} is another session's")
        if known.verdict is not Verdict.ALLOW or known.outcome is not None:
            raise Conflict(f"{call} is not in flight")
        return known

    def _check_same(self, known: _Call, request: p.AskPermit) -> None:
        asked = (request.run, request.tool, digest_of(plain(request.args)))
        before = (known.request.run, known.request.tool, digest_of(plain(known.request.args)))
        if asked != before or known.outcome is not None or known.attempted:
            raise Conflict(f"{request.call} is another call, or has run already")
        if known.verdict is Verdict.ALLOW and known.session != request.session:
            raise Conflict(f"{request.call} is another session's")

    def _key(self, run: Run, request: p.AskPermit, nth: int) -> str:
        return derived(run.workflow, run.trigger_id, request.tool, plain(request.args), nth)

    def _is_done(self, key: str) -> bool:
        return key in self.keys and self.keys[key].outcome is Outcome.SUCCEEDED

    def _holds_key(self, call: _Call) -> bool:
        held = self.keys.get(call.key)
        return held is not None and held.call == call.request.call and held.outcome is None

    def _take(self, call: _Call, args: dict[str, Any]) -> None:
        self.keys[call.key] = Key(
            id=call.key,
            workflow=self.workflow.id,
            call=call.request.call,
            tool=call.request.tool,
            args_digest=digest_of(args),
            taken_at=self.now,
        )

    def _named(self, tool: str, args: dict[str, Any]) -> tuple[ObjectRef, ...]:
        if tool not in self.rules.manifest.tools:
            return ()
        ref = self.rules.object_ref(tool, args)
        return (ref,) if ref else ()

    def _approval_of(self, call: str) -> Approval | None:
        return next((each for each in reversed(self.approvals.values()) if each.call == call), None)

    def _asked_of_people(self, asked: CallRequest, controls: Controls, decided: Decided) -> str | None:
        if decided.consumes is not None:
            spent = self.approvals[decided.consumes]
            self.approvals[spent.id] = replace(spent, state=ApprovalState.CONSUMED, consumed_by=asked.id)
        if decided.ask is None:
            return controls.approval.id if controls.approval else None
        bound = binding(asked, controls)
        approval = Approval(
            id=f"appr_{len(self.approvals) + 1:04d}",
            subject=f"call:{asked.id}",
            workflow=asked.workflow,
            title="",
            digest=bound.digest(),
            content=bound.content(),
            requested_by=self._agent,
            requested_at=self.now,
            approvers=("dana@acme.test",),
            quorum=decided.ask.quorum,
            expires_at=self.now + timedelta(hours=4),
            version=bound.version,
            epoch=controls.epoch,
            state=ApprovalState.PENDING,
            call=asked.id,
            run=asked.run.id,
        )
        self.approvals[approval.id] = approval
        return approval.id
