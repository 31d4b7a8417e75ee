"""Contract of a desk: what every control plane answers to an enforcement point, whatever stands behind it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stopwork.control import drafting
from stopwork.control import protocol as p
from stopwork.kernel.canonical import digest_of
from stopwork.kernel.errors import Conflict, Denied, Invalid, NotFound
from stopwork.ledger.records import Image, ObjectRef, Observed
from stopwork.ledger.words import EffectKind, Operation, Outcome, ReasonKind, RunStatus, Verdict
from tests.contract.desk.benches import BENCHES, Bench

ACME = ObjectRef(system="crm", type="account", id="acme")
UPDATE = {"id": "acme", "due": "June"}
SESSION = "session_1"


# The two HTTP desks differ in how they wait only; the second is for `make test-all`.
KINDS = [
    pytest.param(kind, marks=pytest.mark.slow if kind == "over HTTP, on a loop" else ()) for kind in BENCHES
]


@pytest.fixture(params=KINDS)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    with BENCHES[request.param](tmp_path) as made:
        yield made


class Agent:
    """An agent that knows the protocol by heart."""

    def __init__(self, bench: Bench) -> None:
        self.desk = bench.desk
        self.calls = 0

    def start(self, run: str = "run_0001", occasion: str = "2026-W10") -> p.RunTicket:
        return self.desk.send(p.StartRun(run=run, workflow="renewals", trigger="manual", trigger_id=occasion))

    def ask(
        self,
        tool: str = "crm.update",
        args: dict[str, Any] | None = None,
        *,
        run: str = "run_0001",
        call: str = "",
        nth: int = 1,
        session: str | None = SESSION,
    ) -> p.PermitAnswer:
        self.calls += 1
        return self.desk.send(
            p.AskPermit(
                call=call or f"call_{self.calls:04d}",
                run=run,
                tool=tool,
                args=UPDATE if args is None else args,
                nth=nth,
                session=session,
            )
        )

    def attempt(self, call: str, session: str | None = SESSION) -> p.AttemptRecorded:
        return self.desk.send(p.RecordAttempt(call=call, session=session))

    def done(self, call: str, outcome: Outcome = Outcome.SUCCEEDED, **more: Any) -> p.OutcomeRecorded:
        return self.desk.send(p.RecordOutcome(call=call, outcome=outcome, **({"session": SESSION} | more)))

    def update(self, outcome: Outcome = Outcome.SUCCEEDED, **more: Any) -> str:
        permit = self.ask(**more)
        assert permit.verdict is Verdict.ALLOW
        self.attempt(permit.call)
        self.done(permit.call, outcome, result={"due": "June"})
        return permit.call


@pytest.fixture
def agent(bench: Bench) -> Agent:
    agent = Agent(bench)
    agent.start()
    return agent


def kinds(answer: p.PermitAnswer) -> list[ReasonKind]:
    return [reason.kind for reason in answer.reasons]


# --- runs -------------------------------------------------------------------------------------------


def test_a_run_begins_under_the_rules_in_force(bench: Bench) -> None:
    ticket = Agent(bench).start()
    assert (ticket.run, ticket.workflow, ticket.version) == ("run_0001", "renewals", 1)
    assert ticket.tools["crm.read"].effect is EffectKind.READ


def test_saying_the_same_start_twice_begins_one_run(bench: Bench) -> None:
    assert Agent(bench).start() == Agent(bench).start()


def test_a_workflow_that_nobody_declared_has_no_runs(bench: Bench) -> None:
    with pytest.raises((NotFound, Denied)):  # a token of one workflow learns nothing about others
        bench.desk.send(p.StartRun(run="run_0001", workflow="other", trigger="manual", trigger_id="x"))


def test_a_run_ends_once(agent: Agent) -> None:
    agent.desk.send(p.FinishRun(run="run_0001", status=RunStatus.SUCCEEDED))
    agent.desk.send(p.FinishRun(run="run_0001", status=RunStatus.SUCCEEDED))
    with pytest.raises(Conflict):
        agent.desk.send(p.FinishRun(run="run_0001", status=RunStatus.FAILED))


def test_a_run_that_has_ended_gets_no_permit(agent: Agent) -> None:
    agent.desk.send(p.FinishRun(run="run_0001", status=RunStatus.SUCCEEDED))
    answer = agent.ask()
    assert (answer.verdict, kinds(answer)) == (Verdict.DENY, [ReasonKind.REGISTRATION])


def test_a_run_is_rejoined_with_what_it_has_had_done(agent: Agent) -> None:
    agent.update()
    failed = agent.ask("crm.create", {"title": "Call"}).call
    agent.done(failed, Outcome.FAILED)
    found = agent.desk.send(p.RejoinRun(run="run_0001"))
    assert (found.ticket.run, found.ticket.workflow, found.trigger_id) == (
        "run_0001",
        "renewals",
        "2026-W10",
    )
    assert found.done == {digest_of(["crm.update", UPDATE]): 1}


def test_a_run_is_rejoined_with_the_call_that_waits(agent: Agent) -> None:
    waiting = agent.ask("mail.send", {"to": "x@customer.test"})
    assert waiting.verdict is Verdict.WAIT
    found = agent.desk.send(p.RejoinRun(run="run_0001", call=waiting.call)).call
    assert found is not None
    assert (found.call, found.tool, found.args) == (waiting.call, "mail.send", {"to": "x@customer.test"})


def test_what_has_ended_or_is_not_there_is_not_rejoined(agent: Agent) -> None:
    done = agent.update()
    agent.start("run_0002", "2026-W11")
    other = agent.ask(run="run_0002").call
    for request, error in (
        (p.RejoinRun(run="run_0001", call=done), Conflict),
        (p.RejoinRun(run="run_0001", call=other), Invalid),
        (p.RejoinRun(run="run_0001", call="call_9999"), NotFound),
        (p.RejoinRun(run="run_9999"), (NotFound, Denied)),
    ):
        with pytest.raises(error):
            agent.desk.send(request)
    agent.desk.send(p.FinishRun(run="run_0001", status=RunStatus.SUCCEEDED))
    with pytest.raises(Conflict):
        agent.desk.send(p.RejoinRun(run="run_0001"))


def test_where_nobody_has_released_a_draft_there_is_none_to_claim(agent: Agent) -> None:
    assert agent.desk.send(drafting.ClaimDrafts(workflow="renewals", session=SESSION)).drafts == ()


# --- permits ----------------------------------------------------------------------------------------


def test_a_permit_names_the_arguments_that_may_run_and_the_objects_to_look_at(agent: Agent) -> None:
    answer = agent.ask()
    assert (answer.verdict, answer.args, answer.capture) == (Verdict.ALLOW, UPDATE, (ACME,))
    assert answer.valid_for_s == 60


def test_a_question_whose_answer_was_lost_can_be_asked_again(agent: Agent) -> None:
    first = agent.ask(call="call_0001")
    again = agent.ask(call="call_0001")
    assert (again.verdict, again.call) == (first.verdict, first.call)


def test_a_call_id_means_one_call(agent: Agent) -> None:
    agent.ask(call="call_0001")
    with pytest.raises(Conflict):
        agent.ask(call="call_0001", args={"id": "other"})


def test_a_call_that_has_begun_is_not_permitted_again(agent: Agent) -> None:
    agent.attempt(agent.ask(call="call_0001").call)
    with pytest.raises(Conflict):
        agent.ask(call="call_0001")


def test_an_undeclared_tool_is_denied(agent: Agent) -> None:
    assert agent.ask("crm.magic").verdict is Verdict.DENY


# --- once -------------------------------------------------------------------------------------------


def test_what_an_earlier_attempt_at_the_occasion_did_is_not_done_again(agent: Agent) -> None:
    agent.update()
    agent.start("run_0002")
    answer = agent.ask(run="run_0002")
    assert (answer.verdict, answer.replay, answer.result) == (Verdict.REPLAY, True, {"due": "June"})


def test_another_occasion_is_another_matter(agent: Agent) -> None:
    agent.update()
    agent.start("run_0002", "2026-W11")
    assert agent.ask(run="run_0002").verdict is Verdict.ALLOW


def test_the_same_call_twice_in_one_run_is_two_calls(agent: Agent) -> None:
    agent.update()
    assert agent.ask(nth=2).verdict is Verdict.ALLOW


def test_a_call_in_flight_keeps_its_like_out(agent: Agent) -> None:
    agent.ask()
    agent.start("run_0002")
    answer = agent.ask(run="run_0002")
    assert (answer.verdict, kinds(answer)) == (Verdict.DENY, [ReasonKind.IDEMPOTENCY])


def test_a_call_of_unknown_outcome_keeps_its_like_out(agent: Agent) -> None:
    agent.update(Outcome.UNKNOWN)
    agent.start("run_0002")
    assert agent.ask(run="run_0002").verdict is Verdict.DENY


def test_a_call_that_failed_may_be_tried_again(agent: Agent) -> None:
    agent.update(Outcome.FAILED)
    agent.start("run_0002")
    assert agent.ask(run="run_0002").verdict is Verdict.ALLOW


def test_a_failed_call_is_tried_again_as_the_same_piece_of_work(agent: Agent) -> None:
    agent.update(Outcome.FAILED)
    agent.update(nth=2)
    agent.start("run_0002")
    assert agent.ask(run="run_0002").verdict is Verdict.REPLAY


@pytest.mark.parametrize("nth", [2, 2**53 - 1])
def test_no_further_occurrence_begins_while_one_before_it_has_no_known_end(agent: Agent, nth: int) -> None:
    agent.update(Outcome.UNKNOWN)
    answer = agent.ask(nth=nth)
    assert (answer.verdict, kinds(answer)) == (Verdict.DENY, [ReasonKind.IDEMPOTENCY])


def test_a_permit_that_is_taken_back_leaves_the_work_to_others(bench: Bench, agent: Agent) -> None:
    agent.ask(call="call_0001")
    bench.pause()
    assert agent.ask(call="call_0001").verdict is Verdict.DENY
    bench.lift()
    agent.start("run_0002")
    assert agent.ask(run="run_0002", call="call_0002").verdict is Verdict.ALLOW


# --- holds and approvals ----------------------------------------------------------------------------


def test_after_a_pause_nothing_is_permitted(bench: Bench, agent: Agent) -> None:
    bench.pause()
    answer = agent.ask()
    assert (answer.verdict, kinds(answer)) == (Verdict.DENY, [ReasonKind.HOLD])


def test_a_gated_call_waits_is_approved_and_runs_once(bench: Bench, agent: Agent) -> None:
    waiting = agent.ask("mail.send", call="call_0001")
    assert waiting.verdict is Verdict.WAIT
    assert waiting.approval is not None
    assert agent.ask("mail.send", call="call_0001").approval == waiting.approval
    bench.answer(waiting.approval, approve=True)
    assert agent.ask("mail.send", call="call_0001").verdict is Verdict.ALLOW
    agent.attempt("call_0001")
    agent.done("call_0001")
    assert agent.ask("mail.send", call="call_0002", nth=2).verdict is Verdict.WAIT


def test_edited_arguments_are_what_is_permitted(bench: Bench, agent: Agent) -> None:
    waiting = agent.ask("mail.send", call="call_0001")
    assert waiting.approval is not None
    edited = dict.fromkeys(waiting.args, "another")
    bench.edit(waiting.approval, edited)
    permit = agent.ask("mail.send", call="call_0001")
    assert (permit.verdict, permit.args) == (Verdict.ALLOW, edited)
    assert agent.ask("mail.send", call="call_0001").args == edited
    agent.attempt("call_0001")
    agent.done("call_0001")


def test_a_rejected_call_is_denied(bench: Bench, agent: Agent) -> None:
    waiting = agent.ask("mail.send", call="call_0001")
    assert waiting.approval is not None
    bench.answer(waiting.approval, approve=False)
    assert agent.ask("mail.send", call="call_0001").verdict is Verdict.DENY


def test_an_approval_from_before_a_pause_does_not_count_after_it(bench: Bench, agent: Agent) -> None:
    waiting = agent.ask("mail.send", call="call_0001")
    assert waiting.approval is not None
    bench.answer(waiting.approval, approve=True)
    bench.pause()
    bench.lift()
    again = agent.ask("mail.send", call="call_0001")
    assert again.verdict is Verdict.WAIT
    assert again.approval != waiting.approval


# --- outcomes ---------------------------------------------------------------------------------------


def test_nothing_begins_or_ends_without_a_permit(bench: Bench, agent: Agent) -> None:
    bench.pause()
    agent.ask(call="call_0001")
    with pytest.raises(Conflict):
        agent.attempt("call_0001")
    with pytest.raises(Conflict):
        agent.done("call_0001")
    with pytest.raises(NotFound):
        agent.done("call_9999")


def test_an_outcome_can_be_said_again_but_not_changed(agent: Agent) -> None:
    call = agent.update()
    agent.done(call)
    with pytest.raises(Conflict):
        agent.done(call, Outcome.FAILED)


def test_an_attempt_can_be_said_again(agent: Agent) -> None:
    call = agent.ask().call
    agent.attempt(call)
    agent.attempt(call)


def test_an_attempt_that_names_no_session_is_said_once(agent: Agent) -> None:
    call = agent.ask(session=None).call
    agent.attempt(call, None)
    with pytest.raises(Conflict):
        agent.attempt(call, None)


def test_a_call_is_one_session_s_from_permit_to_outcome(agent: Agent) -> None:
    call = agent.ask(call="call_0001").call
    for other in ("session_2", None):
        with pytest.raises(Conflict):
            agent.ask(call="call_0001", session=other)
        with pytest.raises(Conflict):
            agent.attempt(call, other)
    agent.attempt(call)
    for other in ("session_2", None):
        with pytest.raises(Conflict):
            agent.attempt(call, other)
        with pytest.raises(Conflict):
            agent.done(call, Outcome.FAILED, session=other)
    agent.done(call)


def test_a_change_that_was_never_attempted_can_only_have_failed(agent: Agent) -> None:
    call = agent.ask().call
    for outcome in (Outcome.SUCCEEDED, Outcome.UNKNOWN):
        with pytest.raises(Conflict):
            agent.done(call, outcome)
    agent.done(call, Outcome.FAILED)
    agent.done(agent.ask("crm.read").call)


def test_a_pause_overtakes_a_permit_that_was_not_used_yet(bench: Bench, agent: Agent) -> None:
    call = agent.ask(call="call_0001").call
    bench.pause()
    with pytest.raises(Conflict):
        agent.attempt(call)
    assert agent.ask(call="call_0001").verdict is Verdict.DENY


def test_an_object_that_only_the_result_names_is_asked_for(agent: Agent) -> None:
    call = agent.ask("crm.create", {"title": "Call"}).call
    agent.attempt(call)
    task = ObjectRef(system="crm", type="task", id="t1")
    assert agent.done(call, result={"id": "t1"}).capture == (task,)
    seen = Observed(
        object=task,
        operation=Operation.CREATED,
        before=Image.absent(),
        after=Image.present({"title": "Call"}),
    )
    agent.desk.send(p.RecordEffects(call=call, observed=(seen,)))


def test_an_object_that_was_seen_is_not_asked_for_again(agent: Agent) -> None:
    call = agent.ask("crm.create", {"title": "Call"}).call
    agent.attempt(call)
    task = ObjectRef(system="crm", type="task", id="t1")
    seen = Observed(
        object=task,
        operation=Operation.CREATED,
        before=Image.absent(),
        after=Image.present({}),
        source="scan",
    )
    assert agent.done(call, result={"id": "t1"}, observed=(seen,)).capture == ()


# --- enforcement points -----------------------------------------------------------------------------


def test_a_point_hears_of_a_pause_at_its_next_heartbeat(bench: Bench, agent: Agent) -> None:
    known = agent.desk.send(p.RegisterPoint(workflow="renewals", name="agent-1"))
    assert agent.desk.send(p.Heartbeat(point=known.point, epoch=known.epoch)).epoch == known.epoch
    bench.pause()
    assert agent.desk.send(p.Heartbeat(point=known.point, epoch=known.epoch)).epoch > known.epoch
    agent.desk.send(p.RetirePoint(point=known.point))


def test_a_point_may_choose_its_id_and_say_so_twice(agent: Agent) -> None:
    for _ in range(2):
        known = agent.desk.send(p.RegisterPoint(workflow="renewals", name="agent-1", point="point_x"))
        assert known.point == "point_x"


def test_a_point_cannot_confirm_what_has_not_happened_yet(agent: Agent) -> None:
    known = agent.desk.send(p.RegisterPoint(workflow="renewals", name="agent-1"))
    with pytest.raises(Invalid):
        agent.desk.send(p.Heartbeat(point=known.point, epoch=known.epoch + 1))


def test_a_point_that_nobody_knows_is_told_so(agent: Agent) -> None:
    with pytest.raises(NotFound):
        agent.desk.send(p.Heartbeat(point="point_9999", epoch=0))
