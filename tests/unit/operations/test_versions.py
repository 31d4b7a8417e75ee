"""Contract of change control: while it is in force, a version that may give the agent more room waits for a second person; a version that
only tightens is in force at once. Who wrote a version never signs it, and an agent does neither.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from stopwork.kernel.errors import Conflict, Denied, Invalid, NotFound
from stopwork.ledger.records import ManifestVersion, Principal, Workflow
from stopwork.ledger.words import PrincipalKind, Verdict, VersionState
from stopwork.operations import manifests, versions
from tests.support.office import AGENT, DANA, KIM, LEE, MANIFEST, WORKFLOW, Office

CONTROLLED = MANIFEST.replace("alerts:", "change_control: {approver: business}\nalerts:")
STRICTER = CONTROLLED.replace(
    "crm.read_account: {effect: read, risk: low", "crm.read_account: {effect: read, risk: blocked"
)
RETITLED = CONTROLLED.replace("Weekly renewal preparation", "Renewals")

#: One change each that may give the agent more room.
ROOM = {
    "it is only observed": CONTROLLED.replace("tools:\n", "mode: observe\ntools:\n", 1),
    "a gate is gone": CONTROLLED.replace(
        'gate: {when: "true", approvers: [business], expires: 4h}', "title: Send"
    ),
    "a gate asks less": CONTROLLED.replace('when: "true"', "when: size(args.to) > 3"),
    "a risk is lower": CONTROLLED.replace("risk: high", "risk: medium"),
    "a condition is gone": CONTROLLED.replace("    deny_when: 100 / int(args.percent) > 50\n", ""),
    "a condition is another": CONTROLLED.replace("> 50", "> 40"),
    "a tool is new": CONTROLLED.replace("alerts:", "  crm.delete_account: {effect: delete}\nalerts:").replace(
        "change_control: {approver: business}\n  crm", "  crm"
    )
    + "change_control: {approver: business}\n",
    "an alert holds less": CONTROLLED.replace("hold: tool", "hold: none"),
    "another owner": CONTROLLED.replace("backup: kim@acme.test", "backup: lou@acme.test"),
    "change control is gone": MANIFEST,
    "another model": CONTROLLED + "runtime: {model: another}\n",
    "a budget is gone": CONTROLLED,
}


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with Office(tmp_path, manifest=CONTROLLED) as opened:
        yield opened


def apply(office: Office, text: str, *, by: Principal = LEE) -> manifests.Preview:
    return office.write(partial(manifests.apply, text=text, reason="better"), actor=by)


def record(office: Office, version: int) -> ManifestVersion:
    return office.read(lambda view: view.need(ManifestVersion, f"{WORKFLOW}@{version}"))


def in_force(office: Office) -> int:
    return office.read(lambda view: view.need(Workflow, WORKFLOW)).version


def sign(office: Office, version: int = 2, *, by: Principal = DANA) -> ManifestVersion:
    digest = record(office, version).digest
    return office.write(
        partial(versions.approve, workflow=WORKFLOW, version=version, digest=digest), actor=by
    )


@pytest.mark.parametrize("name", [name for name, text in ROOM.items() if text != CONTROLLED])
def test_what_may_give_more_room_waits(office: Office, name: str) -> None:
    found = apply(office, ROOM[name])
    assert (found.proposed, found.signers) == (True, (DANA.id,))
    assert (in_force(office), record(office, 2).state) == (1, VersionState.PROPOSED)


#: A tool whose own gate would take the place of that of its risk.
NEVER_ASKED = """\
workflow: renewals
owners: {business: dana@acme.test, technical: lee@acme.test, backup: kim@acme.test}
gates:
  high: {approvers: [business], expires: 4h}
tools:
  mail.send:
    effect: send
    risk: high
    gate: {when: "false", approvers: [technical]}
"""
ASKED = NEVER_ASKED.replace('    gate: {when: "false", approvers: [technical]}\n', "")


def test_a_gate_that_takes_a_stricter_ones_place_waits(tmp_path: Path) -> None:
    control = "change_control: {approver: business}\n"
    with Office(tmp_path, manifest=ASKED + control) as office:
        found = apply(office, NEVER_ASKED + control)
        assert (found.proposed, found.loosens) == (True, ("tools[mail.send].gate",))
        assert (
            office.ask(office.begin(trigger="manual"), "mail.send", to="x@customer.test").verdict
            is Verdict.WAIT
        )


def test_a_gate_that_takes_a_stricter_ones_place_is_the_business_owners_to_add(tmp_path: Path) -> None:
    with Office(tmp_path, manifest=ASKED) as office:
        with pytest.raises(Denied, match="such a change is the business owner's to make"):
            apply(office, NEVER_ASKED)
        apply(office, NEVER_ASKED, by=DANA)
        assert in_force(office) == 2


def test_a_budget_that_is_higher_or_gone_waits(office: Office) -> None:
    limited = CONTROLLED + "budget: {run_usd: 5}\n"
    assert not apply(office, limited).proposed
    assert apply(office, limited.replace("5", "6")).proposed
    assert apply(office, CONTROLLED).proposed


@pytest.mark.parametrize("text", [STRICTER, RETITLED], ids=["a tool is blocked", "a title"])
def test_what_only_tightens_or_is_only_read_is_in_force_at_once(office: Office, text: str) -> None:
    assert not apply(office, text).proposed
    assert in_force(office) == 2


def test_a_signed_version_is_in_force_and_says_by_whom(office: Office) -> None:
    text = ROOM["a condition is gone"]
    apply(office, text)
    run = office.begin()
    assert office.ask(run, "crm.set_discount", percent="1").verdict is Verdict.DENY
    signed = sign(office)
    assert (signed.by, signed.decided_by, signed.state) == (LEE, DANA, VersionState.APPLIED)
    assert signed.in_force_since == office.inst.store.clock.now()
    assert in_force(office) == 2
    later = office.begin("tuesday")
    assert office.ask(later, "crm.set_discount", percent="1").verdict is Verdict.ALLOW


@pytest.mark.parametrize(
    ("author", "signer"), [(LEE, LEE), (LEE, KIM), (LEE, AGENT), (DANA, DANA), (DANA, LEE)], ids=str
)
def test_who_does_not_sign(office: Office, author: Principal, signer: Principal) -> None:
    apply(office, ROOM["another model"], by=author)
    with pytest.raises(Denied):
        sign(office, by=signer)
    assert in_force(office) == 1


def test_the_backup_signs_what_the_approver_wrote(office: Office) -> None:
    assert apply(office, ROOM["another model"], by=DANA).signers == (KIM.id,)
    assert sign(office, by=KIM).decided_by == KIM


def test_the_exact_text_is_signed(office: Office) -> None:
    apply(office, ROOM["another model"])
    with pytest.raises(Conflict, match="not the text"):
        office.write(partial(versions.approve, workflow=WORKFLOW, version=2, digest="sha256:0"), actor=DANA)


def test_the_same_proposal_again_changes_nothing(office: Office) -> None:
    apply(office, ROOM["another model"])
    again = apply(office, ROOM["another model"])
    assert (again.unchanged, again.proposed, again.version) == (True, True, 2)


@pytest.mark.parametrize("newer", [STRICTER, ROOM["a risk is lower"]], ids=["in force", "proposed"])
def test_a_newer_version_supersedes_a_proposal(office: Office, newer: str) -> None:
    apply(office, ROOM["another model"])
    apply(office, newer)
    assert record(office, 2).state is VersionState.SUPERSEDED
    with pytest.raises(Conflict, match="it is superseded"):
        sign(office)


def test_a_declined_version_never_comes_into_force(office: Office) -> None:
    apply(office, ROOM["another model"])
    decline = partial(versions.decline, workflow=WORKFLOW, version=2)
    with pytest.raises(Invalid, match="a reason is needed"):
        office.write(partial(decline, reason=" "), actor=DANA)
    with pytest.raises(Denied):
        office.write(partial(decline, reason="no"), actor=AGENT)
    assert office.write(partial(decline, reason="not yet"), actor=DANA).state is VersionState.DECLINED
    with pytest.raises(Conflict, match=r"it is declined by dana@acme\.test: not yet"):
        sign(office)
    assert apply(office, ROOM["another model"]).version == 3


def test_a_version_is_told_with_what_it_changes(office: Office) -> None:
    apply(office, ROOM["a risk is lower"])
    told = office.read(
        lambda view: versions.one(
            view,
            office.inst.manifests,
            workflow=WORKFLOW,
            version=2,
            now=office.inst.store.clock.now(),
        )
    )
    assert (told.basis, told.in_force, told.signers) == (1, False, (DANA.id,))
    assert told.loosens == ("tools[mail.send].risk",)
    missing = partial(versions.approve, workflow=WORKFLOW, version=9, digest="")
    with pytest.raises(NotFound, match="there is no version 9"):
        office.write(missing, actor=DANA)


def test_nobody_is_left_to_sign(tmp_path: Path) -> None:
    alone = CONTROLLED.replace("  backup: kim@acme.test\n", "").replace(
        "  technical: lee@acme.test", "  technical: dana@acme.test"
    )
    with Office(tmp_path, manifest=alone) as office, pytest.raises(Conflict, match="nobody but dana@acme"):
        apply(office, alone + "runtime: {model: another}\n", by=DANA)


def test_a_duty_does_not_loosen_by_itself(office: Office) -> None:
    operator = Principal(kind=PrincipalKind.SYSTEM, id="operator")
    assert apply(office, ROOM["another model"], by=operator).proposed
