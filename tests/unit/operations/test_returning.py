"""Contract of the return: each open incident of a workflow has to return, along the phases, signed for the state of things that is;
a hold on the way begins the return again, and nothing is closed while it holds anything.
"""

from __future__ import annotations

from functools import partial

import pytest
from msgspec.structs import replace

from stopwork.incidents.reenable import checks
from stopwork.kernel.errors import Conflict, Denied
from stopwork.ledger.records import Hold, Principal, Scope, Workflow
from stopwork.ledger.words import (
    CheckState,
    IncidentStatus,
    IncidentType,
    PrincipalKind,
    ReenableCheck,
    RunStatus,
    ScopeKind,
    Stage,
)
from stopwork.operations import credentials, holds, incidents, manifests, returning, runs
from stopwork.operations.cases import gather
from stopwork.operations.people import administrators
from stopwork.operations.standing import move
from stopwork.storage.transaction import Tx
from tests.support.office import DANA, KIM, LEE, MANIFEST, WORKFLOW, Office
from tests.support.trouble import Trouble

PATCHED = MANIFEST.replace(
    "    object: {system: crm, type: task, id: result.id}",
    "    object: {system: crm, type: task, id: result.id}\n    idempotency: [args.account_id, args.title]",
).replace("crm.set_discount:\n    effect: update", "crm.set_discount:\n    effect: update\n    risk: blocked")


def ready(trouble: Trouble, *, sign: bool = True) -> None:
    """Do everything that has to come before the first step of the return."""
    office, incident = trouble.office, trouble.incident
    trouble.recover(trouble.approved_plan())
    office.write(
        partial(incidents.record_root_cause, incident=incident, text="no key on the tool"), actor=LEE
    )
    office.write(partial(manifests.apply, text=PATCHED, reason="a key, and one tool less"), actor=DANA)
    for check in (
        ReenableCheck.TESTS_ADDED,
        ReenableCheck.MONITORING_UPDATED,
        ReenableCheck.RUNBOOK_UPDATED,
    ):
        answer(trouble, check, LEE)
    if sign:
        answer(trouble, ReenableCheck.OWNER_APPROVED, DANA)


def answer(trouble: Trouble, check: ReenableCheck, person: Principal) -> None:
    office = trouble.office
    office.write(
        partial(
            returning.answer,
            manifests=office.inst.manifests,
            incident=trouble.incident,
            check=check,
            note="seen",
        ),
        actor=person,
    )


def up(trouble: Trouble, incident: str = "", *, by: Principal = DANA) -> Stage:
    office = trouble.office
    return office.write(
        partial(
            returning.raise_stage,
            manifests=office.inst.manifests,
            incident=incident or trouble.incident,
        ),
        actor=by,
    )


def clean_run(office: Office, occasion: str) -> None:
    office.wait(minutes=1)
    run = office.begin(occasion)
    office.wait(minutes=1)
    office.write(partial(runs.finish, run=run, status=RunStatus.SUCCEEDED))


def stage(office: Office) -> Stage:
    return office.read(lambda view: view.need(Workflow, WORKFLOW)).stage


def climb(trouble: Trouble) -> None:
    up(trouble)
    while stage(trouble.office) is not Stage.NORMAL:
        clean_run(trouble.office, stage(trouble.office))
        up(trouble)


def open_another(office: Office) -> str:
    opened = office.write(
        partial(
            incidents.open_by_hand,
            manifests=office.inst.manifests,
            workflow=WORKFLOW,
            type=IncidentType.TOOL_MISUSE,
        ),
        actor=KIM,
    )
    scope = Scope(kind=ScopeKind.WORKFLOW, name=WORKFLOW)
    office.write(partial(holds.pause, scope=scope, reason="look first", incident=opened.id), actor=KIM)
    return opened.id


def active(office: Office) -> list[Hold]:
    return office.read(lambda view: list(view.each(Hold, active=True)))


def test_the_return_climbs_to_the_top_and_leaves_nothing_held(trouble: Trouble) -> None:
    ready(trouble)
    climb(trouble)
    assert active(trouble.office) == []
    assert trouble.known.status is IncidentStatus.MONITORING


def test_nothing_returns_before_the_evidence_is_sealed(office: Office) -> None:
    trouble = Trouble(office, preserved=False)
    with pytest.raises(Conflict, match="evidence is not sealed"):
        up(trouble)


def test_a_closed_incident_gives_no_autonomy_back(trouble: Trouble) -> None:
    office = trouble.office
    ready(trouble)
    up(trouble)
    office.write(partial(close_past_its_conditions, incident=trouble.incident), actor=LEE)
    with pytest.raises(Conflict, match="is closed"):
        up(trouble)
    assert trouble.known.status is IncidentStatus.CLOSED


def close_past_its_conditions(tx: Tx, *, incident: str) -> None:
    """Whatever led there, it must not climb any more."""
    move(tx, incident, IncidentStatus.CLOSED, reason="as if all was done")


def test_no_incident_climbs_past_another_that_has_not_returned(trouble: Trouble) -> None:
    ready(trouble)
    up(trouble)
    other = open_another(trouble.office)
    clean_run(trouble.office, "tuesday")
    with pytest.raises(Conflict, match=f"{other} of the same workflow has not returned"):
        up(trouble)
    assert stage(trouble.office) is Stage.READ_ONLY


def test_a_hold_on_the_way_begins_the_return_again(trouble: Trouble) -> None:
    office = trouble.office
    ready(trouble)
    up(trouble)
    clean_run(office, "tuesday")
    up(trouble)
    assert stage(office) is Stage.DRAFT_ONLY
    office.wait(minutes=1)
    scope = Scope(kind=ScopeKind.WORKFLOW, name=WORKFLOW)
    office.write(partial(holds.pause, scope=scope, reason="again", incident=trouble.incident), actor=KIM)

    with pytest.raises(Conflict, match="owner_approved"):
        up(trouble)
    office.wait(minutes=1)
    answer(trouble, ReenableCheck.OWNER_APPROVED, DANA)
    assert up(trouble) is Stage.READ_ONLY
    assert active(office) == []


def test_an_incident_that_holds_something_is_not_closed(trouble: Trouble) -> None:
    ready(trouble)
    climb(trouble)
    office = trouble.office
    scope = Scope(kind=ScopeKind.TOOL, name="mail.send", workflow=WORKFLOW)
    office.write(partial(holds.pause, scope=scope, reason="again", incident=trouble.incident), actor=KIM)
    with pytest.raises(Conflict, match="the end of its holds"):
        office.write(partial(returning.close, incident=trouble.incident, reason="done"), actor=DANA)


@pytest.mark.parametrize("person", [LEE, KIM])
def test_only_the_business_owner_gives_autonomy_back(trouble: Trouble, person: Principal) -> None:
    ready(trouble)
    with pytest.raises(Denied, match="business owner"):
        up(trouble, by=person)


def test_a_hold_on_another_workflow_does_not_count_as_paused(trouble: Trouble) -> None:
    office = trouble.office
    case = office.read(lambda view: gather(view, office.inst.manifests, trouble.incident))
    elsewhere = [
        Hold(
            id="hold_x",
            scope=Scope(kind=ScopeKind.TOOL, name="nothing", workflow="other"),
            mode=case.holds[0].mode,
            reason="",
            set_by=LEE,
            set_at=case.holds[0].set_at,
            epoch=1,
            incident=trouble.incident,
        )
    ]
    found = {view.check: view for view in checks(replace(case, holds=tuple(elsewhere)))}
    assert found[ReenableCheck.PAUSED_OR_NARROWED].state is CheckState.FAILED


TO_LEE = MANIFEST.replace("business: dana@acme.test", "business: lee@acme.test")
OBSERVED = MANIFEST.replace("title: Weekly", "mode: observe\ntitle: Weekly")
UNGATED = "\n".join(line for line in MANIFEST.splitlines() if "gate:" not in line) + "\n"


@pytest.mark.parametrize(
    ("text", "names"),
    [(TO_LEE, "owners.business"), (OBSERVED, "mode"), (UNGATED, "gate")],
    ids=["makes himself the owner", "stops enforcing", "takes the gate away"],
)
def test_the_technical_owner_alone_loosens_nothing(office: Office, text: str, names: str) -> None:
    with pytest.raises(Denied, match=names):
        office.write(partial(manifests.apply, text=text, reason="quicker"), actor=LEE)
    assert office.write(partial(manifests.apply, text=text, reason="agreed"), actor=DANA).version == 2


def test_an_administrator_is_one_only_while_their_credential_is_good(office: Office) -> None:
    person = Principal(kind=PrincipalKind.PERSON, id="root@acme.test")
    system = Principal(kind=PrincipalKind.SYSTEM, id="test")
    office.write(
        partial(
            credentials.issue,
            principal=person,
            valid_for=credentials.LINK_VALID_FOR,
            once=True,
            administrator=True,
        ),
        actor=system,
    )
    now = office.clock.now
    assert office.read(lambda view: administrators(view, now())) == (person.id,)
    office.wait(hours=2)
    assert office.read(lambda view: administrators(view, now())) == ()


def test_what_went_on_after_the_seal_is_not_cleaned_up_before_it_is_sealed(trouble: Trouble) -> None:
    office = trouble.office
    trouble.seal()
    later = office.do(trouble.run, "crm.update_account", account_id="acme", renewal="2025-02-02")
    trouble.audit()
    with pytest.raises(Conflict, match="went on after the evidence was sealed") as caught:
        trouble.propose()
    assert caught.value.fields["call"] == later.call
    trouble.seal()
    assert trouble.propose().items > 0
