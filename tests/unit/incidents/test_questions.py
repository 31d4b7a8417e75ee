"""Contract of the usual questions: every type of incident is asked a few, in phases that are still to come, each by an id of its own."""

from __future__ import annotations

import pytest

from stopwork.incidents.questions import USUAL, asked
from stopwork.ledger.words import IncidentType, Phase
from tests.unit.detect.manifests import manifest

FEW = range(2, 5)


@pytest.mark.parametrize("incident_type", IncidentType)
def test_every_type_is_asked_a_few(incident_type: IncidentType) -> None:
    questions = USUAL[incident_type]
    assert len(questions) in FEW
    assert all(question.endswith(("?", ".")) and "?" in question for _, question in questions)
    assert all(phase not in (Phase.OPEN, Phase.PREPARE) for phase, _ in questions)


def test_the_workflow_asks_first_and_every_question_has_an_id_that_begins_with_its_phase() -> None:
    own = {"phase": "pause", "question": "Is the mailer stopped?"}
    found = asked(IncidentType.EXTERNAL_SEND, manifest(checklist=[own]))
    assert found[0].question == own["question"]
    assert len({each.id for each in found}) == len(found) == 1 + len(USUAL[IncidentType.EXTERNAL_SEND])
    assert all(each.id.startswith(f"{each.phase}/") for each in found)
