"""Contract of the evidence of an approval: the exact bytes, where values came from, the object as it is, calls like it, what is stale."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from stopwork.control.provenance import OriginKind
from stopwork.kernel.canonical import digest
from stopwork.ledger.records import ObjectRef
from stopwork.ledger.words import ImageState, Outcome, Verdict
from stopwork.operations import approvals, looking, manifests
from stopwork.operations.approval_evidence import ApprovalEvidence, evidence
from tests.support.office import DANA, MANIFEST, Office

GATED = MANIFEST.replace("tools:\n", "gates: {medium: {approvers: [business]}}\ntools:\n")
NEW: dict[str, Any] = {"account_id": "acme", "renewal": "2026-09-01"}


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with Office(tmp_path) as opened:
        opened.write(lambda tx: manifests.apply(tx, GATED, reason="ask first"), actor=DANA)
        yield opened


def seen(office: Office, approval: str | None) -> ApprovalEvidence:
    work = partial(evidence, manifests=office.inst.manifests, systems=office.inst.systems)
    return office.read(lambda view: work(view, approval=approval or ""))


def waiting(office: Office, run: str, call: str = "call_1") -> str:
    permit = office.ask(run, "crm.update_account", call=call, **NEW)
    assert permit.verdict is Verdict.WAIT
    return permit.approval or ""


def test_it_shows_exactly_what_will_run(office: Office) -> None:
    found = seen(office, waiting(office, office.begin()))
    assert found.will_run is not None
    assert digest(found.will_run.exact.encode()) == found.will_run.digest == found.approval.digest
    assert json.loads(found.will_run.exact)["args"] == NEW
    assert found.stale == ()


def test_it_shows_the_object_now_and_what_would_differ(office: Office) -> None:
    found = seen(office, waiting(office, office.begin()))
    assert found.object is not None
    assert found.object.image.content["renewal"] == "2026-06-01"
    [field] = found.object.differences
    assert (field.field, field.now, field.would) == ("renewal", "2026-06-01", "2026-09-01")


def test_a_system_that_is_not_connected_is_said_so(office: Office) -> None:
    approval = waiting(office, office.begin())
    found = office.read(lambda view: evidence(view, office.inst.manifests, {}, approval=approval))
    assert found.object is not None
    assert (found.object.image.state, found.object.image.note) == (
        ImageState.UNKNOWN,
        "no system crm is connected here",
    )


def test_nobody_waits_long_for_a_system_that_does_not_answer(office: Office) -> None:
    stuck = threading.Event()

    def wait(_ref: ObjectRef) -> None:
        stuck.wait(10)

    office.crm.before_read = wait
    ref = ObjectRef(system="crm", type="account", id="acme")
    try:
        image = looking.glance(office.inst.systems, ref, within_s=0.05)
        assert image.note == "crm did not answer within 0.05 s"
        for _ in range(looking.MAX_GLANCES - 1):
            looking.glance(office.inst.systems, ref, within_s=0)
        assert "try again" in looking.glance(office.inst.systems, ref, within_s=0.05).note
    finally:
        stuck.set()


def test_values_are_traced_to_the_run(office: Office) -> None:
    run = office.begin()
    read = office.ask(run, "crm.read_account", call="call_read", account_id="acme")
    office.finish(read, result={"renewal": "2026-09-01"})
    kinds = {each.field: each.kind for each in seen(office, waiting(office, run)).origins}
    assert kinds == {"account_id": OriginKind.NEW, "renewal": OriginKind.RESULT}


def test_it_shows_calls_like_it_and_who_said_yes(office: Office) -> None:
    run = office.begin()
    approval = waiting(office, run)
    office.write(partial(approvals.decide, approval=approval, approve=True), actor=DANA)
    permit = office.ask(run, "crm.update_account", call="call_1", **NEW)
    office.attempt(permit)
    office.finish(permit, result={})
    [similar] = seen(office, waiting(office, office.begin("next"), "call_2")).similar
    assert (similar.call, similar.outcome, similar.decided_by) == ("call_1", Outcome.SUCCEEDED, (DANA.id,))


def test_what_makes_it_stale_is_said(office: Office) -> None:
    approval = waiting(office, office.begin())
    office.write(lambda tx: manifests.apply(tx, GATED + "\n", reason="again"), actor=DANA)
    assert seen(office, approval).stale == ("the manifest went from version 2 to 3",)


def test_an_edit_is_shown_beside_what_was_asked(office: Office) -> None:
    approval = waiting(office, office.begin())
    known = seen(office, approval).approval
    edited = {**NEW, "renewal": "2026-10-01"}
    office.write(
        lambda tx: approvals.approve_edited(
            tx, office.inst.manifests, approval=approval, args=edited, digest=known.digest
        ),
        actor=DANA,
    )
    found = seen(office, approval)
    assert found.will_run is not None
    assert (found.will_run.asked, found.will_run.args) == (NEW, edited)
    assert digest(found.will_run.exact.encode()) == found.approval.digest
    assert {each.field: each.kind for each in found.origins}["renewal"] is OriginKind.REVIEWER
