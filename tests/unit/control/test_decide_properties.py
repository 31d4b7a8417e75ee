"""Contract of the verdict over all combinations: it is total, pure, says why, and one more hold never allows more."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from stopwork.control.backfilling import BACKFILL, BackfillStanding
from stopwork.control.budget import Usage
from stopwork.control.decide import CallRequest, Controls, decide
from stopwork.control.keys import KeyStanding, KeyState
from stopwork.control.verdicts import STRICTNESS
from stopwork.ledger.records import Hold, Run
from stopwork.ledger.words import (
    ApprovalState,
    EffectKind,
    HoldMode,
    Mode,
    ReasonKind,
    RunStatus,
    ScopeKind,
    Stage,
    Verdict,
)
from stopwork.manifest.model import Manifest
from tests.unit.control.world import NOW, RULES, approval, controls, hold, request, run, workflow

TOOLS = (*RULES.manifest.tools, "crm.magic")


class Answers:
    """A manifest whose expressions answer what the example says: true, false, or not at all."""

    def __init__(self, denies: bool | None, asks: bool | None) -> None:
        self.manifest: Manifest = RULES.manifest
        self._denies = denies
        self._asks = asks

    def denies(self, tool: str, args: dict[str, Any], run: Run, now: datetime, source: str = "") -> bool:
        return _said(self._denies)

    def misfits(self, tool: str, args: dict[str, Any]) -> tuple[object, ...]:
        return ()

    def gate_applies(
        self, tool: str, args: dict[str, Any], run: Run, now: datetime, source: str = ""
    ) -> bool:
        return _said(self._asks)


def _said(answer: bool | None) -> bool:
    if answer is None:
        raise RuntimeError("no such key")
    return answer


names = st.sampled_from(
    ["renewals", "schedule", "crm.update", "crm.write", "inbox", "class:external", "other"]
)
hold_of = st.builds(
    hold,
    mode=st.sampled_from(HoldMode),
    kind=st.sampled_from(ScopeKind),
    name=names,
    within=st.sampled_from([None, "renewals", "other"]),
    item=st.sampled_from([None, "acme", "mail-17"]),
    active=st.booleans(),
)
requests = st.builds(
    request,
    tool=st.sampled_from(TOOLS),
    args=st.just({"id": "acme"}),
    run=st.builds(
        run,
        status=st.sampled_from(RunStatus),
        workflow=st.sampled_from(["renewals", "other"]),
        trigger=st.sampled_from(["schedule", "backfill"]),
    ),
    source=st.sampled_from([None, "inbox"]),
)


STALE = BackfillStanding(order="backfill_1", against=("its source is stale",))


@st.composite
def situations(draw: st.DrawFn) -> tuple[CallRequest, Controls]:
    asked = draw(requests)
    truth = st.sampled_from([True, False, None])
    answered = approval(
        asked,
        draw(st.sampled_from(ApprovalState)),
        epoch=draw(st.sampled_from([6, 7])),
        consumed_by=draw(st.sampled_from([None, "call_1", "call_0"])),
        expires_at=NOW + timedelta(minutes=draw(st.sampled_from([-1, 1]))),
    )
    given_controls = controls(
        workflow=draw(
            st.none() | st.builds(workflow, mode=st.sampled_from(Mode), stage=st.sampled_from(Stage))
        ),
        rules=draw(st.none() | st.builds(Answers, truth, truth)),
        holds=tuple(draw(st.lists(hold_of, max_size=3))),
        key=KeyState(standing=draw(st.sampled_from(KeyStanding)), call="call_0"),
        usage=Usage(
            run_calls=draw(st.sampled_from([0, 50])),
            run_writes=draw(st.sampled_from([0, 3])),
            run_unpriced=draw(st.sampled_from([0, 1])),
        ),
        approval=draw(st.sampled_from([None, answered])),
        backfill=draw(st.sampled_from([None, BackfillStanding(order="backfill_1"), STALE])),
    )
    return asked, given_controls


@given(situations(), hold_of)
def test_one_more_hold_never_allows_more(situation: tuple[CallRequest, Controls], more: Hold) -> None:
    asked, before = situation
    fields = {name: getattr(before, name) for name in before.__struct_fields__}
    after = Controls(**(fields | {"holds": (*before.holds, more)}))
    less, held = decide(asked, before, NOW), decide(asked, after, NOW)
    assert STRICTNESS[held.verdict] >= STRICTNESS[less.verdict]
    assert STRICTNESS[held.would] >= STRICTNESS[less.would]


@given(situations())
def test_every_call_gets_a_verdict_and_every_verdict_but_a_plain_allow_its_reason(
    situation: tuple[CallRequest, Controls],
) -> None:
    decided = decide(*situation, NOW)
    assert decided.verdict in Verdict
    assert decided.would is Verdict.ALLOW or any(
        reason.verdict is decided.would and reason.text for reason in decided.reasons
    )
    if situation[1].workflow is None or situation[1].workflow.mode is Mode.ENFORCE:
        assert decided.verdict is decided.would
    assert STRICTNESS[decided.verdict] <= STRICTNESS[decided.would]


@given(situations())
def test_the_same_situation_gives_the_same_decision(situation: tuple[CallRequest, Controls]) -> None:
    assert decide(*situation, NOW) == decide(*situation, NOW)


@given(situations())
def test_reasons_come_in_their_order_and_only_a_granted_permit_uses_an_approval(
    situation: tuple[CallRequest, Controls],
) -> None:
    decided = decide(*situation, NOW)
    order = [list(ReasonKind).index(reason.kind) for reason in decided.reasons]
    answer = situation[1].approval
    # What people answered comes last, whatever it was asked for.
    looked_for = (
        order[:-1] if answer and decided.reasons and decided.reasons[-1].source == answer.id else order
    )
    assert looked_for == sorted(looked_for)
    if decided.consumes is not None:
        assert decided.verdict is Verdict.ALLOW
    if decided.ask is not None:
        assert decided.verdict is Verdict.WAIT


@given(situations())
def test_nothing_undeclared_and_nothing_without_an_answer_is_ever_allowed_while_enforcing(
    situation: tuple[CallRequest, Controls],
) -> None:
    asked, given_controls = situation
    decided = decide(asked, given_controls, NOW)
    enforcing = given_controls.workflow is None or given_controls.workflow.mode is Mode.ENFORCE
    if enforcing and (given_controls.rules is None or asked.tool == "crm.magic"):
        assert decided.verdict is Verdict.DENY


@given(situations())
def test_no_backfill_changes_anything_without_an_order_that_nothing_stands_against(
    situation: tuple[CallRequest, Controls],
) -> None:
    asked, given_controls = situation
    decided = decide(asked, given_controls, NOW)
    in_order = given_controls.backfill is not None and not given_controls.backfill.against
    if asked.run.trigger == BACKFILL and decided.effect is not EffectKind.READ and not in_order:
        assert decided.would is Verdict.DENY
