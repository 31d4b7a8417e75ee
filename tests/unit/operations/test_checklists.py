"""Contract of checklists: an incident keeps the questions its workflow asked when it was opened, and an answer has a name and a time."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from stopwork.kernel.errors import Conflict, Invalid
from stopwork.ledger import records as r
from stopwork.ledger.words import Phase
from stopwork.operations import incidents, manifests, triage
from tests.support.office import DANA, KIM, LEE, MANIFEST, WORKFLOW, Office

ASKS = "checklist: [{phase: pause, question: Is the mailer stopped?}, {phase: learn, question: Who was surprised?}]\n"


def opened(office: Office) -> r.Incident:
    return office.write(
        partial(incidents.open_by_hand, manifests=office.inst.manifests, workflow=WORKFLOW), actor=LEE
    )


def known(office: Office, incident: r.Incident) -> r.Incident:
    return office.read(lambda view: view.need(r.Incident, incident.id))


def test_a_later_change_of_the_questions_rewrites_no_incident(tmp_path: Path) -> None:
    with Office(tmp_path, manifest=MANIFEST + ASKS) as office:
        first = opened(office)
        assert [(each.id, each.phase) for each in first.checklist[:2]] == [
            ("pause/1", Phase.PAUSE),
            ("learn/2", Phase.LEARN),
        ]
        asked = MANIFEST + ASKS.replace("the mailer", "the dialler")
        office.write(partial(manifests.apply, text=asked, reason="another tool"), actor=DANA)
        assert known(office, first).checklist == first.checklist
        assert opened(office).checklist[0].question == "Is the dialler stopped?"


def test_an_answer_has_a_name_and_the_newest_counts(tmp_path: Path) -> None:
    with Office(tmp_path, manifest=MANIFEST + ASKS) as office:
        first = opened(office)
        for person, said in ((LEE, "No."), (KIM, "Yes, since nine.")):
            office.write(
                partial(incidents.answer_question, incident=first.id, item="pause/1", answer=said),
                actor=person,
            )
        answered, open_still, *_ = known(office, first).checklist
        assert (answered.answer, answered.by, answered.at) == ("Yes, since nine.", KIM.id, office.clock.now())
        assert open_still.answer == ""


def test_only_what_was_asked_is_answered_and_only_while_it_is_open(tmp_path: Path) -> None:
    with Office(tmp_path, manifest=MANIFEST + ASKS) as office:
        first = opened(office)
        answer = partial(incidents.answer_question, incident=first.id, answer="Yes.")
        with pytest.raises(Invalid, match="pause/9"):
            office.write(partial(answer, item="pause/9"), actor=LEE)
        office.write(partial(triage.decline, incident=first.id, reason="a test"), actor=LEE)
        with pytest.raises(Conflict, match="declined"):
            office.write(partial(answer, item="pause/1"), actor=LEE)
