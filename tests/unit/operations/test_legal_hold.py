"""Contract of a legal hold: while it is on, nothing that belongs to the incident runs out; the legal owner or an administrator ends it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from stopwork.kernel.errors import Conflict, Denied, Invalid, NotFound, StopworkError
from stopwork.ledger.records import AuditScope, Key, LegalHold, Principal
from stopwork.ledger.words import PrincipalKind
from stopwork.operations import audits, credentials, legal_hold, retention
from stopwork.storage.fsck import fsck
from tests.support.office import AGENT, DANA, KIM, LEE, MANIFEST, Office
from tests.support.trouble import Trouble

SYSTEM = Principal(kind=PrincipalKind.SYSTEM, id="installer")
ADMIN = Principal(kind=PrincipalKind.PERSON, id="admin@acme.test")
REASON = "The customer has asked for the records."


@pytest.fixture
def trouble(tmp_path: Path) -> Iterator[Trouble]:
    with Office(tmp_path) as office:
        office.write(partial(credentials.issue, principal=ADMIN, administrator=True), actor=SYSTEM)
        yield Trouble(office, preserved=False)


def hold(trouble: Trouble, who: Principal = LEE, reason: str = REASON) -> LegalHold:
    return trouble.office.write(partial(legal_hold.hold, incident=trouble.incident, reason=reason), actor=who)


def lift(trouble: Trouble, who: Principal = ADMIN, reason: str = "The case is settled.") -> LegalHold:
    return trouble.office.write(partial(legal_hold.lift, incident=trouble.incident, reason=reason), actor=who)


def kept(trouble: Trouble) -> int:
    """Answer how many keys are kept, a year later."""
    office = trouble.office
    office.wait(days=365)
    office.write(partial(retention.expire_keys, manifests=office.inst.manifests))
    return sum(not key.expired for key in office.read(lambda view: list(view.each(Key))))


def test_what_belongs_to_the_incident_does_not_run_out(trouble: Trouble) -> None:
    hold(trouble)
    assert kept(trouble) == 3
    assert kept(trouble) == 3
    assert fsck(trouble.office.store).clean


def test_once_it_is_lifted_it_runs_out_as_everything_else(trouble: Trouble) -> None:
    hold(trouble)
    assert kept(trouble) == 3
    lifted = lift(trouble)
    assert (lifted.active, lifted.lifted_by, lifted.lift_reason) == (False, ADMIN, "The case is settled.")
    assert kept(trouble) == 0


def another_run(trouble: Trouble) -> str:
    """Let the agent do something in a run that is not the incident's, and answer the run."""
    run = trouble.office.begin("tuesday")
    trouble.office.do(run, "crm.update_account", account_id="globex", renewal="2027-01-01")
    assert len(trouble.office.read(lambda view: list(view.each(Key)))) == 4
    return run


def test_what_other_runs_did_runs_out(trouble: Trouble) -> None:
    another_run(trouble)
    hold(trouble)
    assert kept(trouble) == 3


def test_what_the_audit_took_in_does_not_run_out(trouble: Trouble) -> None:
    scope = AuditScope(runs=(trouble.run, another_run(trouble)))
    manifests = trouble.office.inst.manifests
    trouble.office.write(
        partial(audits.complete, manifests=manifests, incident=trouble.incident, scope=scope), actor=LEE
    )
    hold(trouble)
    assert kept(trouble) == 4


def test_the_legal_owner_lifts_it(tmp_path: Path) -> None:
    owned = MANIFEST.replace("  security:", f"  legal: {KIM.id}\n  security:")
    with Office(tmp_path, manifest=owned) as office:
        trouble = Trouble(office, preserved=False)
        hold(trouble)
        with pytest.raises(Denied) as refused:
            lift(trouble, LEE)
        assert refused.value.hint == f"Ask {KIM.id}."
        assert not lift(trouble, KIM).active


def test_another_hold_on_the_same_incident_changes_nothing(trouble: Trouble) -> None:
    assert hold(trouble) == hold(trouble, DANA, "Once more.")


def test_a_lifted_one_is_set_again_by_a_person(trouble: Trouble) -> None:
    hold(trouble)
    lift(trouble)
    again = hold(trouble, DANA, "A new claim.")
    assert (again.active, again.reason, again.lifted_at) == (True, "A new claim.", None)


@pytest.mark.parametrize(
    ("who", "reason", "refused"),
    [(AGENT, REASON, Denied), (LEE, REASON, Denied), (DANA, REASON, Denied), (ADMIN, " ", Invalid)],
    ids=["the agent", "the technical owner", "the business owner", "no reason"],
)
def test_who_may_not_lift_it(
    trouble: Trouble, who: Principal, reason: str, refused: type[StopworkError]
) -> None:
    hold(trouble)
    with pytest.raises(refused):
        lift(trouble, who, reason)
    assert kept(trouble) == 3


def test_it_is_lifted_once(trouble: Trouble) -> None:
    hold(trouble)
    lift(trouble)
    with pytest.raises(Conflict, match="lifted already"):
        lift(trouble)


def test_an_agent_sets_none_and_nobody_without_a_reason(trouble: Trouble) -> None:
    with pytest.raises(Denied):
        hold(trouble, AGENT)
    with pytest.raises(Invalid):
        hold(trouble, LEE, "")
    with pytest.raises(NotFound):
        lift(trouble)
