"""Whatever agents, people and time do in whatever order: the journal has no gap, the records are what follows from it, the control epoch
never falls, a hold ends only by a second person's hand, no key runs twice, and a drafted call runs by a person's release alone.
"""

from __future__ import annotations

import tempfile
from datetime import timedelta
from functools import partial
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
)

from stopwork.control import stages
from stopwork.control.drafting import ClaimedDraft
from stopwork.control.holds import answer, covers
from stopwork.control.protocol import PermitAnswer
from stopwork.kernel.clock import ManualClock
from stopwork.kernel.errors import Conflict, Denied, Invalid
from stopwork.ledger import events as e
from stopwork.ledger.records import Call, Draft, Hold, Incident, Principal, Scope, Workflow
from stopwork.ledger.words import (
    HoldMode,
    Outcome,
    PrincipalKind,
    RunStatus,
    ScopeKind,
    Stage,
    Verdict,
)
from stopwork.operations import (
    approvals,
    claims,
    drafts,
    holds,
    manifests,
    outcomes,
    permits,
    points,
    recovering,
    returning,
    runs,
)
from stopwork.operations.points import current_epoch
from stopwork.storage.fsck import fsck
from tests.support.office import AGENT, DANA, KIM, LEE, MANIFEST, SESSION, WORKFLOW, Office
from tests.support.trouble import Trouble

PEOPLE = st.sampled_from([DANA, LEE, KIM])
ANYBODY = st.sampled_from([DANA, LEE, KIM, AGENT])
OCCASIONS = st.sampled_from(["monday", "tuesday"])
SCOPES = st.sampled_from(
    [
        Scope(kind=ScopeKind.EVERYTHING),
        Scope(kind=ScopeKind.WORKFLOW, name=WORKFLOW),
        Scope(kind=ScopeKind.TOOL, name="crm.create_task", workflow=WORKFLOW),
        Scope(kind=ScopeKind.PERMISSION, name="crm.accounts.write"),
        Scope(kind=ScopeKind.TRIGGER, name="manual", workflow=WORKFLOW),
    ]
)
REFUSED = (Conflict, Denied, Invalid)


class Installations(RuleBasedStateMachine):
    """Random days in an office. What is refused is refused; what is done is checked after every step."""

    runs = Bundle("runs")
    waiting = Bundle("waiting")
    permitted = Bundle("permitted")
    attempted = Bundle("attempted")
    held = Bundle("held")

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self.office = Office(Path(self._folder.name))
        self.epoch = 0
        self.version = 1

    def teardown(self) -> None:
        try:
            report = fsck(self.office.store, vkeys=[self.office.inst.signer.vkey])
            assert report.faults == ()
            self._nothing_ran_twice()
            self._drafts_ran_by_release_alone()
            self._holds_ended_by_the_rules()
        finally:
            self.office.close()
            self._folder.cleanup()

    @initialize(drafting=st.booleans())
    def how_it_begins(self, drafting: bool) -> None:
        if drafting:
            self._try(
                partial(returning.change_stage, workflow=WORKFLOW, stage=Stage.DRAFT_ONLY, reason="new"), LEE
            )

    # agents

    @rule(target=runs, occasion=OCCASIONS, trigger=st.sampled_from(["schedule", "manual"]))
    def begin(self, occasion: str, trigger: str) -> str:
        return self.office.begin(occasion, trigger=trigger)

    @rule(
        run=runs,
        tool=st.sampled_from(["crm.create_task", "crm.update_account", "crm.read_account"]),
        account=st.sampled_from(["acme", "globex"]),
        target=permitted,
    )
    def ask(self, run: str, tool: str, account: str) -> PermitAnswer:
        return self.office.ask(run, tool, account_id=account, renewal="2025-01-01", title="call")

    @rule(run=runs, target=waiting)
    def ask_for_approval(self, run: str) -> PermitAnswer:
        return self.office.ask(run, "mail.send", to="someone@customer.test")

    @rule(permit=waiting, run=runs, target=permitted)
    def ask_again(self, permit: PermitAnswer, run: str) -> PermitAnswer:
        known = self.office.call(permit.call)
        try:
            return self.office.ask(known.run, "mail.send", call=permit.call, to="someone@customer.test")
        except REFUSED:
            return permit

    @rule(permit=consumes(permitted), target=attempted)
    def attempt(self, permit: PermitAnswer) -> PermitAnswer:
        may_start = self._may_start(permit)
        again = self.office.call(permit.call).attempted_at is not None
        try:
            self.office.attempt(permit)
        except Conflict:
            assert not may_start
        else:
            assert may_start or again
        return permit

    @rule(permit=attempted, outcome=st.sampled_from(Outcome))
    def finish(self, permit: PermitAnswer, outcome: Outcome) -> None:
        try:
            self.office.finish(permit, outcome, result={"id": f"task-of-{permit.call}"})
        except Conflict:
            known = self.office.call(permit.call)
            assert known.outcome is not None or not known.in_flight or known.never_began
        else:
            known = self.office.call(permit.call)
            assert known.outcome is Outcome.FAILED or not known.never_began

    @rule(run=runs, status=st.sampled_from([RunStatus.SUCCEEDED, RunStatus.FAILED]))
    def end(self, run: str, status: RunStatus) -> None:
        self._try(partial(runs.finish, run=run, status=status), AGENT)

    @rule()
    def register(self) -> None:
        self.office.write(partial(points.register, workflow=WORKFLOW, name="guard"))

    # people

    @rule(scope=SCOPES, mode=st.sampled_from(HoldMode), who=ANYBODY, target=held)
    def pause(self, scope: Scope, mode: HoldMode, who: Principal) -> str:
        paused = partial(holds.pause, scope=scope, mode=mode, reason="something is wrong")
        if who == AGENT and scope.kind in (ScopeKind.EVERYTHING, ScopeKind.PERMISSION):
            who = LEE
        return self.office.write(paused, actor=who).hold.id

    @rule(hold=held, who=ANYBODY)
    def lift(self, hold: str, who: Principal) -> None:
        known = self.office.hold(hold)
        try:
            self.office.write(partial(holds.lift, hold=hold, reason="looked at it"), actor=who)
        except REFUSED:
            return
        assert who.kind is PrincipalKind.PERSON
        assert not known.active or known.set_by != who

    @rule(permit=waiting, approve=st.booleans(), who=ANYBODY)
    def decide(self, permit: PermitAnswer, approve: bool, who: Principal) -> None:
        if permit.approval is not None:
            self._try(partial(approvals.decide, approval=permit.approval, approve=approve), who)

    @rule(pick=st.integers(0, 5), who=ANYBODY, title=st.sampled_from(["call", "write"]))
    def edit_a_draft(self, pick: int, who: Principal, title: str) -> None:
        for draft in self._one_of_the_drafts(pick):
            args = draft.args | {"title": title}
            edited = partial(drafts.edit, draft=draft.id, args=args, reason="a better title")
            self._try(partial(edited, manifests=self.office.inst.manifests), who)

    @rule(pick=st.integers(0, 5), who=ANYBODY)
    def discard_a_draft(self, pick: int, who: Principal) -> None:
        for draft in self._one_of_the_drafts(pick):
            self._try(partial(drafts.discard, draft=draft.id, reason="it is wrong"), who)

    @rule(
        run=runs,
        pick=st.integers(0, 5),
        who=ANYBODY,
        guards=st.lists(st.sampled_from([SESSION, "another"]), max_size=3),
        target=permitted,
    )
    def release_a_draft(
        self, run: str, pick: int, who: Principal, guards: list[str]
    ) -> PermitAnswer | MultipleResults[PermitAnswer]:
        """Ask for one more, release one, and let guards claim whatever is released, of which one asks on."""
        rules = self.office.inst.manifests
        self.office.ask(run, "crm.create_task", account_id="acme", title="call")
        for draft in self._one_of_the_drafts(pick):
            self._try(partial(drafts.release, manifests=rules, draft=draft.id, reason="it is right"), who)
        taken: list[ClaimedDraft] = []
        for session in guards:
            found = self.office.write(
                partial(claims.claim, manifests=rules, workflow=WORKFLOW, session=session)
            )
            taken += found if session == SESSION else ()
        return multiple(*map(self._ask_for_draft, {each.call: each for each in taken}.values()))

    def _ask_for_draft(self, claimed: ClaimedDraft) -> PermitAnswer:
        return self.office.write(
            partial(
                permits.ask,
                manifests=self.office.inst.manifests,
                run=claimed.run.ticket.run,
                tool=claimed.tool,
                args=claimed.args,
                call=claimed.call,
                session=SESSION,
                draft=claimed.draft,
            )
        )

    def _one_of_the_drafts(self, pick: int) -> list[Draft]:
        found = self.office.read(lambda view: list(view.each(Draft)))
        return [found[pick % len(found)]] if found else []

    @rule(permit=attempted, outcome=st.sampled_from(Outcome), who=ANYBODY)
    def reconcile(self, permit: PermitAnswer, outcome: Outcome, who: Principal) -> None:
        self._try(partial(outcomes.reconcile, call=permit.call, outcome=outcome, note="looked"), who)

    @rule(stage=st.sampled_from(Stage), who=ANYBODY)
    def lower(self, stage: Stage, who: Principal) -> None:
        self._try(partial(returning.change_stage, workflow=WORKFLOW, stage=stage, reason="caution"), who)

    @rule()
    def new_version(self) -> None:
        self.version += 1
        text = MANIFEST.replace("Weekly renewal preparation", f"Preparation {self.version}")
        self.office.write(partial(manifests.apply, text=text, reason="another title"), actor=LEE)

    @rule()
    def respond(self) -> None:
        """Take every open incident as far as it goes."""
        for incident in self.office.read(lambda view: list(view.each(Incident))):
            trouble = Trouble(self.office, incident=incident.id)
            try:
                plan = trouble.approved_plan()
            except REFUSED:
                continue
            recovering.run(self.office.inst, LEE, plan=plan.id)

    # time

    @rule(minutes=st.sampled_from([1, 10, 300]))
    def pass_time(self, minutes: int) -> None:
        self.office.wait(minutes=minutes)

    @rule()
    def pass_time_unwatched(self) -> None:
        assert isinstance(self.office.clock, ManualClock)
        self.office.clock.advance(timedelta(minutes=3))

    # what always holds

    @invariant()
    def the_control_epoch_never_falls(self) -> None:
        now = self.office.read(current_epoch)
        assert now >= self.epoch
        self.epoch = now

    def _may_start(self, permit: PermitAnswer) -> bool:
        known = self.office.call(permit.call)
        late = known.not_after is not None and self.office.clock.now() > known.not_after
        return known.in_flight and not late and not self._overtaken(known)

    def _overtaken(self, known: Call) -> bool:
        """Answer whether what people have set since the permit keeps the call from running."""
        stopping = self.office.read(lambda view: list(view.each(Hold, active=True)))
        workflow = self.office.read(lambda view: view.need(Workflow, WORKFLOW))
        held = any(
            covers(hold.scope, known) and answer(hold.mode, known.effect) is not Verdict.ALLOW
            for hold in stopping
            if hold.epoch > known.epoch
        )
        lowered = workflow.stage_epoch > known.epoch
        return held or (lowered and stages.answer(workflow.stage, known.effect) is not Verdict.ALLOW)

    def _try(self, work: object, who: Principal) -> None:
        try:
            self.office.write(work, actor=who)  # type: ignore[arg-type]
        except REFUSED:
            return

    def _nothing_ran_twice(self) -> None:
        """Of the calls that share a key and write, at most one is in flight or has succeeded."""
        calls = self.office.read(lambda view: list(view.each(Call)))
        running: dict[str, list[str]] = {}
        for call in calls:
            writes = call.tool != "crm.read_account"
            if writes and call.verdict is Verdict.ALLOW and call.outcome in (None, Outcome.SUCCEEDED):
                running.setdefault(call.key, []).append(call.id)
        assert [ids for ids in running.values() if len(ids) > 1] == []

    def _drafts_ran_by_release_alone(self) -> None:
        """Every permit for a draft follows a person's release of exactly its arguments, as that call, and each draft is done once."""
        kinds = ("draft.released", "call.decided")
        released: dict[str, e.DraftReleased] = {}
        for entry in self.office.read(lambda view: view.entries(kinds=kinds, limit=100_000)):
            match entry.event:
                case e.DraftReleased() as release:
                    assert entry.actor.kind is PrincipalKind.PERSON
                    released[release.becomes] = release
                case e.CallDecided(verdict=Verdict.ALLOW) as permit if permit.draft is not None:
                    release = released[permit.call]
                    assert (release.call, release.digest) == (permit.draft, permit.args_digest)
        calls = [call for call in self.office.read(lambda view: list(view.each(Call))) if call.draft]
        done = [call.draft for call in calls if call.outcome is Outcome.SUCCEEDED]
        assert len(done) == len(set(done))

    def _holds_ended_by_the_rules(self) -> None:
        entries = self.office.read(
            lambda view: view.entries(kinds=("hold.set", "hold.lifted"), limit=100_000)
        )
        set_by = {x.event.hold: x.actor for x in entries if isinstance(x.event, e.HoldSet)}
        lifted = [x for x in entries if isinstance(x.event, e.HoldLifted)]
        assert all(x.actor.kind is PrincipalKind.PERSON for x in lifted)
        assert all(x.actor != set_by[x.event.hold] for x in lifted if isinstance(x.event, e.HoldLifted))


TestInstallations = Installations.TestCase
TestInstallations.settings = settings(
    max_examples=10, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
