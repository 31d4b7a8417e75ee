"""Contract of practice incidents: they are marked in what people read, nobody outside is mailed, and they take no autonomy."""

from __future__ import annotations

from functools import partial

import pytest

from stopwork.incidents.communicate import text_digest
from stopwork.kernel.errors import Conflict
from stopwork.ledger import records as r
from stopwork.ledger.events import MessageDrafted
from stopwork.ledger.words import Audience, IncidentType, MessageState, Stage
from stopwork.operations import incidents, messages
from tests.support.office import DANA, LEE, WORKFLOW, Office


@pytest.fixture
def drill(office: Office) -> r.Incident:
    """A rehearsed external send, about a run in which something was sent."""
    run = office.begin()
    return office.write(
        partial(
            incidents.open_by_hand,
            manifests=office.inst.manifests,
            type=IncidentType.EXTERNAL_SEND,
            runs=(run,),
            practice=True,
        ),
        actor=LEE,
    )


def drafted(office: Office, drill: r.Incident) -> list[r.Message]:
    return office.write(
        partial(messages.draft, manifests=office.inst.manifests, incident=drill.id), actor=LEE
    )


def approved(office: Office, message: r.Message) -> r.Message:
    return office.write(partial(messages.approve, message=message.id, digest=message.digest), actor=DANA)


def test_every_message_says_that_it_is_a_drill(office: Office, drill: r.Incident) -> None:
    found = drafted(office, drill)
    assert found
    assert all(each.subject.startswith("[Practice] ") for each in found)
    assert (
        office.write(
            partial(
                messages.edit,
                message=found[0].id,
                recipients=("lee@acme.test",),
                subject="All is well",
                body="Yes.",
            ),
            actor=LEE,
        ).subject
        == "[Practice] All is well"
    )


def test_colleagues_are_told_and_nobody_outside_is(office: Office, drill: r.Incident) -> None:
    found = {each.audience: each for each in drafted(office, drill)}
    inside = approved(office, found[Audience.BUSINESS_OWNER])
    assert messages.send(office.inst, DANA, message=inside.id).state is MessageState.SENT
    letter = ("jo@customer.test",), "[Practice] We are sorry", "It was a mistake.\n"
    digest = text_digest(Audience.EXTERNAL_PARTIES, *letter)
    office.write(
        lambda tx: tx.record(
            MessageDrafted(
                incident=drill.id,
                workflow=WORKFLOW,
                message="msg_outside",
                audience=Audience.EXTERNAL_PARTIES,
                recipients=letter[0],
                subject=letter[1],
                body=letter[2],
                digest=digest,
            )
        ),
        actor=LEE,
    )
    outside = approved(office, office.read(lambda view: view.need(r.Message, "msg_outside")))
    with pytest.raises(Conflict, match="practice"):
        messages.send(office.inst, DANA, message=outside.id)


def test_a_drill_takes_no_autonomy_and_stands_in_nobodys_way(office: Office, drill: r.Incident) -> None:
    workflow = office.read(lambda view: view.need(r.Workflow, WORKFLOW))
    assert (workflow.stage, workflow.incident) == (Stage.NORMAL, None)
