"""Contract of a new name: nothing that is held escapes by being called otherwise. A manifest that says what it was takes the holds and no more
autonomy than it had; one that looks like a held workflow and does not say so is refused until a person says that it is another.
"""

from __future__ import annotations

import re
from functools import partial

import pytest

from stopwork.kernel.errors import Conflict, Invalid
from stopwork.ledger.events import ManifestApplied
from stopwork.ledger.records import Hold, Principal, Scope, Workflow
from stopwork.ledger.words import HoldMode, ScopeKind, Stage, Verdict
from stopwork.operations import holds, manifests, permits, returning, runs
from stopwork.storage.transaction import Tx
from tests.support.office import DANA, LEE, MANIFEST, WORKFLOW, Office

NEW_NAME = "renewals-2026"
SILENT = MANIFEST.replace("workflow: renewals", f"workflow: {NEW_NAME}")
SAID = SILENT.replace("title:", f"formerly: {WORKFLOW}\ntitle:", 1)
WHOLE = Scope(kind=ScopeKind.WORKFLOW, name=WORKFLOW)
TOOL = Scope(kind=ScopeKind.TOOL, name="crm.create_task", workflow=WORKFLOW)


def hold(office: Office, scope: Scope, mode: HoldMode = HoldMode.BLOCK) -> Hold:
    return office.write(partial(holds.pause, scope=scope, mode=mode, reason="wrong"), actor=LEE).hold


def apply(office: Office, text: str, *, another: bool = False, by: Principal = LEE) -> manifests.Preview:
    return office.write(partial(manifests.apply, text=text, reason="new name", another=another), actor=by)


def held(office: Office) -> list[Scope]:
    active = office.read(lambda view: list(view.each(Hold, active=True)))
    return [each.scope for each in active if NEW_NAME in (each.scope.workflow, each.scope.name)]


def stage(office: Office) -> Stage:
    return office.read(lambda view: view.need(Workflow, NEW_NAME)).stage


def verdict(office: Office, tool: str, **args: str) -> Verdict:
    manifests_ = office.inst.manifests

    def work(tx: Tx) -> Verdict:
        run = runs.start(tx, manifests_, workflow=NEW_NAME, trigger="manual").run
        return permits.ask(tx, manifests_, run=run, tool=tool, args=args).verdict

    return office.write(work, actor=LEE)


def test_a_held_workflow_stays_held_under_its_new_name(office: Office) -> None:
    hold(office, WHOLE)
    apply(office, SAID)
    assert held(office) == [Scope(kind=ScopeKind.WORKFLOW, name=NEW_NAME)]
    assert stage(office) is Stage.READ_ONLY
    assert verdict(office, "crm.read_account", account_id="acme") is Verdict.DENY


def test_every_part_that_is_held_is_taken_along_and_says_where_from(office: Office) -> None:
    first = hold(office, TOOL, HoldMode.DRAFT_ONLY)
    hold(office, Scope(kind=ScopeKind.EVERYTHING), HoldMode.APPROVAL_REQUIRED)
    apply(office, SAID)
    assert held(office) == [Scope(kind=ScopeKind.TOOL, name="crm.create_task", workflow=NEW_NAME)]
    [taken] = [
        each
        for each in office.read(lambda view: list(view.each(Hold, active=True)))
        if each.scope.workflow == NEW_NAME
    ]
    assert (taken.mode, first.id in taken.reason) == (HoldMode.DRAFT_ONLY, True)


def test_a_new_name_gives_no_autonomy_back(office: Office) -> None:
    lower = partial(
        returning.change_stage, workflow=WORKFLOW, stage=Stage.APPROVED_WRITES, reason="to be careful"
    )
    office.write(lower, actor=LEE)
    apply(office, SAID)
    assert stage(office) is Stage.APPROVED_WRITES


def test_who_does_not_say_the_former_name_is_asked(office: Office) -> None:
    found = hold(office, WHOLE)
    with pytest.raises(Conflict, match="renewals does the same for the same people") as caught:
        apply(office, SILENT)
    assert found.id in str(caught.value)
    assert f"formerly: {WORKFLOW}" in caught.value.hint
    apply(office, SILENT, another=True)
    assert (held(office), stage(office)) == ([], Stage.NORMAL)


@pytest.mark.parametrize(
    "text",
    [
        SILENT.replace("type: task", "type: note").replace("crm.create_task", "crm.write_note"),
        SILENT.replace("dana", "ann").replace("lee", "ben").replace("kim", "cid").replace("sec@", "dot@"),
    ],
    ids=["it does other things", "it is other people's"],
)
def test_another_workflow_is_not_asked_about(office: Office, text: str) -> None:
    hold(office, WHOLE)
    apply(office, text)
    assert held(office) == []


def test_tools_under_new_names_make_no_other_workflow(office: Office) -> None:
    hold(office, WHOLE)
    with pytest.raises(Conflict, match="does the same for the same people"):
        apply(
            office, SILENT.replace("crm.create_task", "crm.make_task").replace("  mail.send:", "  mail.post:")
        )


OUT_FROM_UNDER = {
    "a held tool under a new name": (
        TOOL,
        MANIFEST.replace("crm.create_task", "crm.make_task"),
        ("crm.make_task",),
    ),
    "a tool without the permission that is held": (
        Scope(kind=ScopeKind.PERMISSION, name="mail.send", workflow=WORKFLOW),
        MANIFEST.replace("    permission: mail.send\n", ""),
        ("mail.send",),
    ),
    "a tool with another permission, where it is held in every workflow": (
        Scope(kind=ScopeKind.PERMISSION, name="crm.tasks.write"),
        MANIFEST.replace("crm.tasks.write", "crm.notes.write"),
        ("crm.create_task",),
    ),
    "a tool that reads from a source of another trust": (
        Scope(kind=ScopeKind.SOURCE, name="class:external", workflow=WORKFLOW),
        MANIFEST.replace("permission: crm.read}", "permission: crm.read, source: crm}").replace(
            "triggers:", "sources: {crm: {trust: internal}}\ntriggers:"
        ),
        ("crm.read_account",),
    ),
}


@pytest.mark.parametrize("name", OUT_FROM_UNDER)
def test_a_version_lets_nothing_out_from_under_a_hold_unsaid(office: Office, name: str) -> None:
    scope, text, tools = OUT_FROM_UNDER[name]
    if "sources:" in text:
        apply(office, text.replace("trust: internal", "trust: external"), by=DANA)
    found = hold(office, scope)
    with pytest.raises(Conflict, match="would not cover") as caught:
        apply(office, text, by=DANA)
    assert (caught.value.fields["holds"], caught.value.fields["tools"]) == ([found.id], list(tools))
    apply(office, text, another=True, by=DANA)
    applied = office.read(lambda view: list(view.entries(kinds=("manifest.applied",))))[-1].event
    assert isinstance(applied, ManifestApplied)
    assert applied.despite == (found.id,)


def test_a_version_may_do_with_less_or_more_while_something_is_held(office: Office) -> None:
    hold(office, TOOL)
    without = re.sub(r"  crm.create_task:.*?(?=  crm.set_discount)", "", MANIFEST, flags=re.DOTALL)
    more = MANIFEST.replace("tools:\n", "tools:\n  crm.close_task: {effect: update, risk: low}\n")
    for text in (more, without):
        assert not apply(office, text, by=DANA).lookalikes


def test_what_is_not_held_may_have_a_twin(office: Office) -> None:
    apply(office, SILENT)
    assert stage(office) is Stage.NORMAL


def test_a_later_version_may_say_the_former_name(office: Office) -> None:
    hold(office, WHOLE)
    apply(office, SILENT, another=True)
    apply(office, SAID)
    apply(office, SAID.replace("Weekly", "Monthly"))
    assert held(office) == [Scope(kind=ScopeKind.WORKFLOW, name=NEW_NAME)]


def test_what_is_held_later_is_held_under_both_names(office: Office) -> None:
    apply(office, SAID)
    third = SAID.replace(NEW_NAME, "renewals-2027").replace(f"formerly: {WORKFLOW}", f"formerly: {NEW_NAME}")
    apply(office, third)
    hold(office, TOOL)
    active = office.read(lambda view: [each.scope.workflow for each in view.each(Hold, active=True)])
    assert active == [WORKFLOW, NEW_NAME, "renewals-2027"]


def test_names_that_go_round_in_a_circle_are_held_once(office: Office) -> None:
    apply(office, SAID)
    apply(office, MANIFEST.replace("title:", f"formerly: {NEW_NAME}\ntitle:", 1))
    hold(office, WHOLE)
    assert len(office.read(lambda view: list(view.each(Hold, active=True)))) == 2


def test_an_unknown_former_name(office: Office) -> None:
    with pytest.raises(Invalid, match="there is no workflow 'renewal'") as caught:
        apply(office, SAID.replace(f"formerly: {WORKFLOW}", "formerly: renewal"))
    assert "renewals" in caught.value.hint
