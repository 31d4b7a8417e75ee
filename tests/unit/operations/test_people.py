"""Contract of people's names: one person has one address, however it is written, so nobody is a second person to themselves."""

from __future__ import annotations

from functools import partial

import pytest

from stopwork.kernel.errors import Invalid
from stopwork.ledger.records import Principal, Workflow
from stopwork.ledger.words import PrincipalKind, Role
from stopwork.operations import credentials, manifests
from tests.support.office import DANA, MANIFEST, WORKFLOW, Office

HOUSE = Principal(kind=PrincipalKind.SYSTEM, id="installation")
LOUD = Principal(kind=PrincipalKind.PERSON, id="Dana@ACME.test")


def test_a_credential_is_for_the_person_whatever_capitals_are_used(office: Office) -> None:
    issued = office.write(partial(credentials.issue, principal=LOUD), actor=HOUSE)
    assert issued.credential.principal == DANA


def test_an_owner_is_the_person_whatever_capitals_the_manifest_uses(office: Office) -> None:
    text = MANIFEST.replace("business: dana@acme.test", "business: Dana@ACME.test").replace(
        "Weekly", "Monthly"
    )
    office.write(partial(manifests.apply, text=text, reason="capitals"), actor=DANA)
    assert office.read(lambda view: view.need(Workflow, WORKFLOW)).owners[Role.BUSINESS] == DANA.id


def test_two_spellings_are_no_two_approvers(office: Office) -> None:
    text = MANIFEST.replace("technical: lee@acme.test", "technical: DANA@acme.test").replace(
        "approvers: [business]", "approvers: [business, technical], quorum: 2"
    )
    with pytest.raises(Invalid, match="2 people must approve"):
        office.write(partial(manifests.apply, text=text, reason="two"), actor=DANA)


def test_what_is_no_address_is_refused(office: Office) -> None:
    nobody = Principal(kind=PrincipalKind.PERSON, id="dana")
    with pytest.raises(Invalid, match="'dana' is not one address"):
        office.write(partial(credentials.issue, principal=nobody), actor=HOUSE)
