"""Contract of tags: each is an id of a shared list with its name; they follow from what happened, and people may change them."""

from __future__ import annotations

from functools import partial

import pytest

from stopwork.incidents.tags import NAMES, chosen, proposed
from stopwork.kernel.errors import Denied, Invalid
from stopwork.ledger.words import IncidentType, SignalKind
from stopwork.operations import incidents
from tests.support.office import AGENT, LEE, WORKFLOW, Office


@pytest.mark.parametrize("kind", IncidentType)
def test_every_type_has_tags_of_the_lists(kind: IncidentType) -> None:
    assert set(proposed(kind)) <= NAMES.keys()


def test_what_was_sent_makes_an_injection_an_exfiltration() -> None:
    kind = IncidentType.PROMPT_INJECTION
    assert proposed(kind) == ("ASI01", "LLM01", "AML.T0051.001")
    assert proposed(kind, sent=True)[-1] == "AML.T0086"
    assert "AML.T0086" not in proposed(IncidentType.DUPLICATE_WORK, sent=True)


def test_a_run_that_failed_is_no_threat() -> None:
    assert proposed(IncidentType.BAD_WRITEBACK, SignalKind.FAILED_RUN) == ()


def test_tags_are_given_once_and_in_the_order_of_the_lists() -> None:
    assert chosen(["aml.t0053", "ASI02", "asi02 ", ""]) == ("ASI02", "AML.T0053")


def test_a_tag_of_no_list_is_refused() -> None:
    with pytest.raises(Invalid, match="ASI99"):
        chosen(["ASI99"])


def test_an_incident_begins_with_the_tags_of_its_type_and_people_change_them(office: Office) -> None:
    opened = office.write(
        partial(
            incidents.open_by_hand,
            manifests=office.inst.manifests,
            workflow=WORKFLOW,
            type=IncidentType.PROMPT_INJECTION,
        ),
        actor=LEE,
    )
    assert opened.tags == ("ASI01", "LLM01", "AML.T0051.001")
    tagged = office.write(partial(incidents.tag, incident=opened.id, tags=["LLM01", "ASI06"]), actor=LEE)
    assert tagged.tags == ("ASI06", "LLM01")
    with pytest.raises(Denied):
        office.write(partial(incidents.tag, incident=opened.id, tags=[]), actor=AGENT)
