"""The demo's agent goes wrong in the way that its story tells, and the guard sees all of it.

As deployed it backdates renewed contracts from a stale export and, when an answer is late, floods the CRM with tasks; a
refused tool stops it. Repaired it changes no date, makes each task once, and takes a refusal as an answer. Without a guard that
answers it changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import httpx
import pytest

from stopwork.control import protocol as p
from stopwork.demo.agent import STEP_TRIES, WORKFLOW, Job, Tools
from stopwork.demo.crm.records import SEEDS, SLOW_ACCOUNT
from stopwork.demo.world import MANIFEST, AgentMode, World
from stopwork.ledger.records import ObjectRef, Reason
from stopwork.ledger.words import Mode, Operation, Outcome, ReasonKind, RunStatus, Stage, Verdict
from stopwork.manifest.load import load
from stopwork.sdk import CallDenied, Stopwork

TODAY = date(2027, 1, 20)
RENEWED = {seed.id for seed in SEEDS if seed.renewed}
ANSWER_WITHIN_S = 0.3
FIRST_PASS = 7  # the slow account is the seventh

Policy = Callable[[p.AskPermit, list[p.AskPermit]], Verdict]


class RecordingDesk:
    """A desk that answers each call by a policy and keeps what it was told."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.permitted: list[p.AskPermit] = []
        self.outcomes: dict[str, p.RecordOutcome] = {}
        self.steps: list[p.RecordStep] = []
        self.finished: list[p.FinishRun] = []
        tools = load(MANIFEST.read_bytes()).manifest.tools
        self._tools = {name: p.ToolFacts(effect=tool.effect, risk=tool.risk) for name, tool in tools.items()}

    def send(self, request: p.Request[Any]) -> Any:
        match request:
            case p.StartRun(run=run, workflow=workflow):
                return p.RunTicket(
                    run=run,
                    workflow=workflow,
                    version=1,
                    mode=Mode.ENFORCE,
                    stage=Stage.NORMAL,
                    tools=self._tools,
                )
            case p.AskPermit():
                return self._decide(request)
            case p.RecordOutcome(call=call):
                self.outcomes[call] = request
            case p.RecordStep():
                self.steps.append(request)
            case p.FinishRun():
                self.finished.append(request)
            case p.RegisterPoint():
                return p.Registration(point="point_1", epoch=0)
            case p.Heartbeat():
                return p.Pulse(epoch=0)
            case _:
                pass
        return request.answer()

    def close(self) -> None:
        """Nothing is open."""

    def _decide(self, request: p.AskPermit) -> p.PermitAnswer:
        verdict = self.policy(request, self.permitted)
        if verdict is Verdict.ALLOW:
            self.permitted.append(request)
        reason = Reason(kind=ReasonKind.HOLD, verdict=verdict, text=f"the policy says {verdict}")
        capture = (
            (ObjectRef(system="crm", type="account", id=request.args["account_id"]),)
            if request.tool == "crm.update_account"
            else ()
        )
        return p.PermitAnswer(
            call=request.call,
            verdict=verdict,
            would=verdict,
            reasons=(reason,),
            args=request.args,
            capture=capture,
        )


def allow(_: p.AskPermit, __: list[p.AskPermit]) -> Verdict:
    return Verdict.ALLOW


def hold_after_a_duplicate(request: p.AskPermit, permitted: list[p.AskPermit]) -> Verdict:
    """As the alert rule of the manifest does: the tool is held once an action was permitted twice."""
    titles = Counter(call.args["title"] for call in permitted if call.tool == "crm.create_task")
    held = request.tool == "crm.create_task" and max(titles.values(), default=0) > 1
    return Verdict.DENY if held else Verdict.ALLOW


def read_only(request: p.AskPermit, _: list[p.AskPermit]) -> Verdict:
    return Verdict.ALLOW if request.tool in ("crm.list_accounts", "crm.read_export") else Verdict.DENY


def draft_only(request: p.AskPermit, permitted: list[p.AskPermit]) -> Verdict:
    return Verdict.DRAFT if read_only(request, permitted) is Verdict.DENY else Verdict.ALLOW


@pytest.fixture
def world() -> Iterator[World]:
    with World.start(today=TODAY, slow_answer_s=ANSWER_WITHIN_S * 2) as world:
        yield world


def accounts(world: World) -> dict[str, Any]:
    return {ref.id: content for ref, content in world.crm_system().scan().items() if ref.type == "account"}


def titles(world: World) -> Counter[str]:
    return Counter(
        content["title"] for ref, content in world.crm_system().scan().items() if ref.type == "task"
    )


def work(world: World, desk: RecordingDesk, mode: AgentMode, *, limit: int | None = None) -> None:
    crm = httpx.Client(
        base_url=world.crm_url,
        headers={"Authorization": f"Bearer {world.agent_key}"},
        timeout=ANSWER_WITHIN_S,
    )
    with crm, Stopwork.at(desk, systems={"crm": world.crm_system()}) as sw:
        job = Job(Tools(sw, crm, world.exports, world.outbox), "2027-W03", TODAY, limit)
        with sw.run(WORKFLOW, trigger="schedule", trigger_id="2027-W03") as run:
            (job.as_deployed if mode is AgentMode.FLAWED else job.as_repaired)(run)


def test_unstopped_it_backdates_renewed_contracts_and_floods_tasks(world: World) -> None:
    desk, before = RecordingDesk(allow), accounts(world)
    with pytest.raises(TimeoutError):
        work(world, desk, AgentMode.FLAWED)
    after = accounts(world)
    backdated = {key for key in before if before[key]["renewal_date"] != after[key]["renewal_date"]}
    assert backdated == RENEWED
    assert len(titles(world)) == FIRST_PASS
    assert set(titles(world).values()) == {STEP_TRIES}
    assert desk.finished[0].status is RunStatus.FAILED


def test_a_late_answer_is_an_unknown_outcome_whose_task_is_seen_all_the_same(world: World) -> None:
    desk = RecordingDesk(hold_after_a_duplicate)
    with pytest.raises(CallDenied):
        work(world, desk, AgentMode.FLAWED)
    late = [call for call in desk.permitted if call.args.get("account_id") == SLOW_ACCOUNT][-1]
    told = desk.outcomes[late.call]
    assert told.outcome is Outcome.UNKNOWN
    (seen,) = told.observed
    assert (seen.operation, seen.object.type, seen.source) == (Operation.CREATED, "task", "scan")
    assert seen.after.content["account_id"] == SLOW_ACCOUNT


def test_held_after_the_first_duplicate_it_makes_no_further_task(world: World) -> None:
    desk = RecordingDesk(hold_after_a_duplicate)
    with pytest.raises(CallDenied, match=r"crm\.create_task was denied"):
        work(world, desk, AgentMode.FLAWED)
    assert sorted(titles(world).values()) == [1] * (FIRST_PASS - 1) + [2]
    assert desk.finished[0].status is RunStatus.FAILED


def test_it_says_how_old_its_input_is(world: World) -> None:
    desk = RecordingDesk(hold_after_a_duplicate)
    with pytest.raises(CallDenied):
        work(world, desk, AgentMode.FLAWED)
    (step,) = desk.steps
    assert (step.source, step.as_of and step.as_of.date()) == ("crm_export", date(2026, 10, 21))


def test_repaired_it_changes_no_date_and_makes_each_task_once(world: World) -> None:
    desk, before = RecordingDesk(allow), accounts(world)
    work(world, desk, AgentMode.STAGE_RUN)
    after = accounts(world)
    changed = {key for key in before if before[key] != after[key]}
    assert changed == {"A-102", "A-105"}
    assert all(before[key]["renewal_date"] == after[key]["renewal_date"] for key in before)
    assert set(titles(world).values()) == {1}
    assert len(list(world.outbox.glob("*.eml"))) == 1
    assert desk.finished[0].status is RunStatus.SUCCEEDED


@pytest.mark.parametrize(
    ("policy", "tally"),
    [(read_only, {"deny": 5}), (draft_only, {"draft": 5})],
    ids=["read_only", "draft_only"],
)
def test_repaired_it_goes_on_past_what_its_stage_refuses(
    world: World, policy: Policy, tally: dict[str, int]
) -> None:
    desk, before = RecordingDesk(policy), world.crm_system().scan()
    work(world, desk, AgentMode.STAGE_RUN, limit=2)
    assert world.crm_system().scan() == before
    assert list(world.outbox.iterdir()) == []
    assert desk.steps[-1].facts == tally
    assert desk.finished[0].status is RunStatus.SUCCEEDED


def test_without_a_guard_that_answers_it_changes_nothing(world: World) -> None:
    before = world.crm_system().scan()
    agent = world.run_agent("http://127.0.0.1:9", "token", AgentMode.FLAWED, pace_s=0.0)
    assert agent.wait(within_s=30) == 1
    assert world.crm_system().scan() == before
    assert "Unavailable" in agent.log.read_text(encoding="utf-8")
