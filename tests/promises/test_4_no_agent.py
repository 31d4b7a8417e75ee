"""Promise: an agent's credential can approve, lift, sign, send, seal and declare nothing."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from datetime import UTC
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from stopwork import operations
from stopwork.kernel.errors import Denied
from stopwork.ledger.records import Principal
from stopwork.ledger.words import (
    ContainmentState,
    IncidentType,
    Outcome,
    PrincipalKind,
    ReenableCheck,
    Remedy,
    ScopeKind,
    Severity,
    SignalKind,
    Stage,
)
from stopwork.operations import (
    acknowledging,
    approvals,
    attaching,
    audits,
    backfills,
    containment,
    credentials,
    drafts,
    drifting,
    evidence,
    feeds,
    holds,
    hooking,
    incidents,
    legal_hold,
    manifests,
    messages,
    outcomes,
    pause_tests,
    plan_edits,
    planning,
    postmortems,
    preparedness,
    privacy,
    recovering,
    reporting,
    returning,
    settling,
    timeline,
    triage,
    versions,
)
from stopwork.server.pages.sentences import sentence
from tests.support.office import AGENT, DANA, LEE, MANIFEST, WORKFLOW, Office
from tests.support.trouble import Trouble


class Prepared:
    """An installation in which there is one of everything that somebody may decide about."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.trouble = Trouble(office)
        self.incident = self.trouble.incident
        self.manifests = office.inst.manifests
        self.waiting = office.ask(
            office.begin("tuesday"), "mail.send", to="someone@customer.test", subject="Your renewal"
        )
        self.in_flight = office.ask(office.begin("wednesday"), "crm.read_account", account_id="acme")
        self.hold = office.pause(ScopeKind.TRIGGER, "manual", workflow=WORKFLOW).hold
        self.credential = office.write(
            partial(credentials.issue, principal=DANA, administrator=True),
            actor=Principal(kind=PrincipalKind.SYSTEM, id="setup"),
        ).credential
        said = reporting.Report(source="mail", kind=SignalKind.USER_REPORT, summary="it is wrong")
        self.reported = office.write(lambda tx: reporting.report(tx, self.manifests, said), actor=LEE).signal
        self.item = self.trouble.checklist()[0]
        self.trouble.seal()
        self.trouble.audit()
        self.plan = self.trouble.propose()
        self.message = self.trouble.draft()[0]
        postmortem = {"summary": "it went wrong"}
        office.write(
            partial(postmortems.save, incident=self.incident, fields=postmortem, follow_ups=()), actor=LEE
        )


Deed = Callable[[Prepared], Any]


def by_agent(operation: Callable[..., Any], **given: Callable[[Prepared], Any]) -> Deed:
    """Answer the operation, asked for by the agent with these arguments."""

    def deed(p: Prepared) -> Any:
        arguments = {name: value(p) for name, value in given.items()}
        return p.office.write(lambda tx: operation(tx, **arguments), actor=AGENT)

    return deed


def incident(p: Prepared) -> str:
    return p.incident


def rules(p: Prepared) -> Any:
    return p.manifests


def text(value: Any) -> Callable[[Prepared], Any]:
    return lambda _p: value


DEEDS: dict[str, Deed] = {
    "approve a call": by_agent(approvals.decide, approval=lambda p: p.waiting.approval, approve=text(True)),
    "reject a call": by_agent(approvals.decide, approval=lambda p: p.waiting.approval, approve=text(False)),
    "lift a hold": by_agent(holds.lift, hold=lambda p: p.hold.id, reason=text("all is well")),
    "apply a manifest": by_agent(
        manifests.apply, text=text(MANIFEST.replace("gate:", "#")), reason=text("x")
    ),
    "settle a call": by_agent(
        outcomes.reconcile, call=lambda p: p.in_flight.call, outcome=text(Outcome.SUCCEEDED), note=text("x")
    ),
    "assign a signal": by_agent(
        reporting.assign, manifests=rules, signal=lambda p: p.reported, workflow=text(WORKFLOW)
    ),
    "open an incident": by_agent(
        incidents.open_by_hand, manifests=rules, workflow=text(WORKFLOW), type=text(IncidentType.TOOL_MISUSE)
    ),
    "accept an incident": by_agent(triage.accept, incident=incident),
    "acknowledge an incident": by_agent(acknowledging.acknowledge, incident=incident),
    "pin an entry": by_agent(timeline.pin, incident=incident, entry=lambda _: 1),
    "unpin an entry": by_agent(timeline.unpin, incident=incident, entry=lambda _: 1),
    "correct an entry": by_agent(
        timeline.correct, incident=incident, entry=lambda _: 1, reason=text("x"), text=text("all was well")
    ),
    "take a timeline out": lambda p: timeline.export(
        p.office.inst, AGENT, incident=p.incident, form=timeline.Form.CSV, zone=UTC, say=sentence
    ),
    "decline an incident": by_agent(triage.decline, incident=incident, reason=text("all is well")),
    "merge an incident": by_agent(
        triage.merge, manifests=rules, incident=incident, into=incident, reason=text("x")
    ),
    "answer a question": by_agent(
        incidents.answer_question, incident=incident, item=text("pause/1"), answer=text("x")
    ),
    "tag an incident": by_agent(incidents.tag, incident=incident, tags=text(())),
    "make an incident private": by_agent(
        privacy.restrict, incident=incident, readers=text(()), reason=text("x")
    ),
    "open a private incident up": by_agent(privacy.open_up, incident=incident, reason=text("x")),
    "split an incident": by_agent(triage.split, manifests=rules, incident=incident, reason=text("x")),
    "change the severity": by_agent(
        incidents.change_severity,
        manifests=rules,
        incident=incident,
        severity=text(Severity.SEV0),
        reason=text("x"),
    ),
    "tell what changed in a system": by_agent(
        feeds.feed, manifests=rules, system=text("crm"), changes=text(())
    ),
    "write a note": by_agent(incidents.add_note, incident=incident, text=text("all is well")),
    "record the root cause": by_agent(incidents.record_root_cause, incident=incident, text=text("people")),
    "hand over a role": by_agent(
        incidents.hand_over, incident=incident, role=text("commander"), to=text("eve@acme.test")
    ),
    "schedule an update": by_agent(
        incidents.schedule_update, incident=incident, at=lambda p: p.office.clock.now().replace(year=2030)
    ),
    "seal the evidence": lambda p: evidence.seal(p.office.inst, AGENT, incident=p.incident),
    "take the evidence out": lambda p: evidence.fetch(p.office.inst, AGENT, incident=p.incident),
    "add to the evidence": lambda p: attaching.attach(
        p.office.inst, AGENT, incident=p.incident, name="log.txt", content=b"all was well"
    ),
    "take out what was added to the evidence": lambda p: attaching.take(
        p.office.inst, AGENT, incident=p.incident, digest="sha256:x"
    ),
    "set a legal hold": by_agent(legal_hold.hold, incident=incident, reason=text("x")),
    "lift a legal hold": by_agent(legal_hold.lift, incident=incident, reason=text("x")),
    "propose containment": by_agent(containment.checklist, manifests=rules, incident=incident),
    "record containment": by_agent(
        containment.record,
        item=lambda p: p.item.id,
        state=text(ContainmentState.DONE),
        verified_how=text("trust me"),
    ),
    "give a containment item away": by_agent(
        containment.assign, manifests=rules, item=lambda p: p.item.id, to=text("eve@acme.test")
    ),
    "run a hook": lambda p: hooking.run(p.office.inst, AGENT, item=p.item.id),
    "look whether an item is safe": lambda p: hooking.verify(p.office.inst, AGENT, item=p.item.id),
    "complete the audit": by_agent(audits.complete, manifests=rules, incident=incident),
    "work out and record an audit": lambda p: audits.audit(p.office.inst, AGENT, incident=p.incident),
    "record an audit that was worked out": lambda p: p.office.write(
        lambda tx: audits.record(tx, audits.worked_out(tx, p.manifests, incident=p.incident)), actor=AGENT
    ),
    "look again and propose a recovery": lambda p: planning.plan(p.office.inst, AGENT, incident=p.incident),
    "propose a recovery": by_agent(
        planning.propose, manifests=rules, systems=lambda p: p.office.inst.systems, incident=incident
    ),
    "approve a recovery": by_agent(
        planning.approve, plan=lambda p: p.plan.id, digest=lambda p: p.plan.digest
    ),
    "approve a recovery by a rule": by_agent(
        planning.approve, plan=lambda p: p.plan.id, digest=lambda p: p.plan.digest, where=text("true")
    ),
    "edit a recovery": lambda p: plan_edits.edit(
        p.office.inst,
        AGENT,
        plan=p.plan.id,
        item=p.trouble.items(p.plan)["acme"].id,
        digest=p.plan.digest,
        reason="x",
        remedy=Remedy.TELL,
    ),
    "take an edit of a recovery back": by_agent(
        plan_edits.take_back,
        plan=lambda p: p.plan.id,
        item=lambda p: p.trouble.items(p.plan)["acme"].id,
        digest=lambda p: p.plan.digest,
        reason=text("x"),
    ),
    "look at an incident's objects": lambda p: drifting.look_at_objects(
        p.office.inst, AGENT, incident=p.incident
    ),
    "run a recovery": lambda p: (
        p.trouble.approve(p.plan),
        recovering.run(p.office.inst, AGENT, plan=p.plan.id),
    ),
    "have a recovery run": by_agent(recovering.start, plan=lambda p: p.plan.id),
    "take a recovery back": by_agent(
        planning.propose_reversal,
        manifests=rules,
        systems=lambda p: p.office.inst.systems,
        plan=lambda p: p.plan.id,
    ),
    "draft messages": by_agent(messages.draft, manifests=rules, incident=incident),
    "edit a message": by_agent(
        messages.edit,
        message=lambda p: p.message.id,
        recipients=text(("eve@acme.test",)),
        subject=text("All is well"),
        body=text("Nothing happened."),
    ),
    "approve a message": by_agent(
        messages.approve, message=lambda p: p.message.id, digest=lambda p: p.message.digest
    ),
    "discard a message": by_agent(messages.discard, message=lambda p: p.message.id, reason=text("x")),
    "send a message": lambda p: messages.send(p.office.inst, AGENT, message=p.message.id),
    "settle a message": by_agent(
        messages.settle, manifests=rules, message=lambda p: p.message.id, arrived=text(True), note=text("x")
    ),
    "write the postmortem": by_agent(
        postmortems.save, incident=incident, fields=text({}), follow_ups=text(())
    ),
    "close the postmortem": by_agent(postmortems.close, manifests=rules, incident=incident),
    "answer a check": by_agent(
        returning.answer,
        manifests=rules,
        incident=incident,
        check=text(ReenableCheck.TESTS_ADDED),
        note=text("x"),
    ),
    "raise a stage": by_agent(returning.raise_stage, manifests=rules, incident=incident),
    "lower a stage": by_agent(
        returning.change_stage, workflow=text(WORKFLOW), stage=text(Stage.READ_ONLY), reason=text("x")
    ),
    "close the incident": by_agent(returning.close, incident=incident, reason=text("all is well")),
    "review its preparedness": by_agent(preparedness.record, manifests=rules, workflow=text(WORKFLOW)),
    "sign a version": by_agent(
        versions.approve, workflow=text(WORKFLOW), version=text(2), digest=text("sha256:x")
    ),
    "decline a version": by_agent(
        versions.decline, workflow=text(WORKFLOW), version=text(2), reason=text("x")
    ),
    "release a draft": by_agent(drafts.release, manifests=rules, draft=text("draft_1"), reason=text("x")),
    "order a backfill": by_agent(
        backfills.order, manifests=rules, workflow=text(WORKFLOW), occasion=text("monday"), reason=text("x")
    ),
    "withdraw a backfill": by_agent(backfills.withdraw, backfill=text("backfill_1"), reason=text("x")),
    "test a pause": lambda p: pause_tests.run(p.office.inst, AGENT, workflow=WORKFLOW),
    "settle a call and what it left": lambda p: settling.settle(
        p.office.inst, AGENT, call=str(p.in_flight.call), outcome=Outcome.SUCCEEDED, note="x"
    ),
    "make a credential": by_agent(credentials.issue, principal=text(AGENT)),
    "make a person's credential": by_agent(credentials.issue, principal=text(DANA)),
    "revoke a credential": by_agent(
        credentials.revoke, credential=lambda p: p.credential.id, reason=text("x")
    ),
}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prepared]:
    """One installation for all: what is refused changes nothing there."""
    with Office(tmp_path_factory.mktemp("office")) as office:
        yield Prepared(office)


@pytest.mark.parametrize("what", DEEDS)
def test_an_agent_cannot(prepared: Prepared, what: str) -> None:
    office = prepared.office
    before = office.store.last_seq
    with pytest.raises(Denied) as caught:
        DEEDS[what](prepared)
    assert caught.value.hint
    new = office.read(lambda view: [x for x in view.entries(after=before) if x.actor == AGENT])
    assert new == []


def asks_for_a_person(function: ast.FunctionDef) -> bool:
    """Answer whether the function refuses an agent itself."""
    called = (
        each.func.id
        for each in ast.walk(function)
        if isinstance(each, ast.Call) and isinstance(each.func, ast.Name)
    )
    return not {"require_person", "refuse_agent"}.isdisjoint(called)


def test_every_deed_of_people_is_tried() -> None:
    """What refuses an agent stands above, so that it is tried with one."""
    folder, tried = Path(operations.__path__[0]), Path(__file__).read_text()
    deeds = {
        f"{module.stem}.{each.name}"
        for module in folder.glob("*.py")
        if module.stem != "people"  # that is who asks
        for each in ast.parse(module.read_text()).body
        if isinstance(each, ast.FunctionDef) and each.name[0] != "_" and asks_for_a_person(each)
    }
    assert len(deeds) > 50
    assert [each for each in sorted(deeds) if not re.search(rf"\b{re.escape(each)}\b", tried)] == []
