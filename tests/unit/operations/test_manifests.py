"""Contract of the manifests in force: a version is a text with a reason, made from the one that was seen; what was rolled back was never in
force, also not in anybody's memory.
"""

from __future__ import annotations

from functools import partial

import pytest

from stopwork.kernel.errors import Conflict, Denied, Invalid, NotFound
from stopwork.ledger.records import ManifestVersion, Workflow
from stopwork.ledger.words import Stage, Verdict
from stopwork.operations import manifests, permits, returning
from stopwork.storage.transaction import Tx
from tests.support.office import AGENT, LEE, MANIFEST, WORKFLOW, Office

STRICT = MANIFEST.replace(
    "crm.read_account: {effect: read, risk: low", "crm.read_account: {effect: read, risk: blocked"
)
RENAMED = MANIFEST.replace("Weekly renewal preparation", "Renewals")


def apply(
    office: Office, text: str, *, expected: int | None = None, reason: str = "better"
) -> manifests.Preview:
    return office.write(
        partial(manifests.apply, text=text, reason=reason, expected_version=expected), actor=LEE
    )


def version(office: Office) -> int:
    return office.read(lambda view: view.need(Workflow, WORKFLOW)).version


def test_the_same_text_again_changes_nothing(office: Office) -> None:
    assert apply(office, MANIFEST).unchanged
    assert version(office) == 1


def test_a_new_text_is_a_new_version_and_the_old_one_stays(office: Office) -> None:
    found = apply(office, RENAMED, expected=1)
    assert (found.version, [change.field for change in found.changes]) == (2, ["title"])
    assert version(office) == 2
    kept = office.read(lambda view: view.need(ManifestVersion, f"{WORKFLOW}@1"))
    assert (kept.text, kept.by) == (MANIFEST, LEE)


def test_what_was_seen_is_what_is_changed(office: Office) -> None:
    apply(office, RENAMED, expected=1)
    with pytest.raises(Conflict, match="version 2 of renewals is in force, not 1"):
        apply(office, STRICT, expected=1)
    with pytest.raises(Invalid, match="a reason is needed"):
        apply(office, STRICT, reason=" ")


def test_a_new_version_gives_no_autonomy_back(office: Office) -> None:
    lower = partial(returning.change_stage, workflow=WORKFLOW, stage=Stage.READ_ONLY, reason="caution")
    office.write(lower, actor=LEE)
    apply(office, RENAMED)
    assert office.read(lambda view: view.need(Workflow, WORKFLOW)).stage is Stage.READ_ONLY


def test_an_agent_declares_nothing(office: Office) -> None:
    with pytest.raises(Denied):
        office.write(partial(manifests.apply, text=RENAMED, reason="mine"), actor=AGENT)


def test_a_workflow_that_nobody_declared(office: Office) -> None:
    with pytest.raises(NotFound, match="there is no workflow 'payroll'") as caught:
        office.read(lambda view: office.inst.manifests.current(view, "payroll"))
    assert "stopwork apply" in caught.value.hint


def test_a_version_that_was_rolled_back_decides_nothing(office: Office) -> None:
    """A transaction applied it, decided a call by it, and failed; then the number goes to another text."""
    run = office.begin()

    def blocked_and_then_failed(tx: Tx) -> None:
        manifests.apply(tx, STRICT, reason="too strict")
        permit = permits.ask(tx, office.inst.manifests, run=run, tool="crm.read_account", args={})
        assert permit.verdict is Verdict.DENY
        raise Invalid("changed my mind")

    with pytest.raises(Invalid, match="changed my mind"):
        office.write(blocked_and_then_failed, actor=LEE)
    assert version(office) == 1
    apply(office, RENAMED)
    assert version(office) == 2
    assert office.ask(run, "crm.read_account", account_id="acme").verdict is Verdict.ALLOW
