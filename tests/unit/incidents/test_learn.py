"""Contract of the postmortem: filled from records, blameless, and not closed while its only remedy is a prompt."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from stopwork.incidents.learn import (
    FIELDS,
    MANDATORY,
    PROPOSED,
    check_closing,
    prefill,
    proposed_follow_ups,
    shallow,
)
from stopwork.kernel.errors import Conflict
from stopwork.ledger.events import StepRecorded
from stopwork.ledger.records import FollowUp, Incident, Postmortem
from stopwork.ledger.words import IncidentType, ItemState, RemediationClass, Severity, StepKind
from tests.unit.detect.manifests import OWNERS, manifest
from tests.unit.detect.story import START, WORKFLOW
from tests.unit.incidents.cases import INCIDENT, LEE, IncidentStory, bad_monday


def whole_story() -> IncidentStory:
    return (
        bad_monday()
        .paused()
        .sealed()
        .contained()
        .audited()
        .planned(ItemState.VERIFIED, ItemState.CONFLICT)
        .root_cause()
    )


def filled() -> dict[str, str]:
    return prefill(whole_story().case(), START)


def test_every_field_is_there_in_order() -> None:
    assert list(filled()) == [field.name for field in FIELDS]


def test_what_the_records_know_is_written_down() -> None:
    fields = filled()
    assert fields["impact"].startswith("2 tasks created in crm and 1 account changed in crm.")
    assert fields["detection_gap"] == (
        "It took 10 seconds from the first write to the detection. The rule duplicate_action noticed it."
    )
    assert "- 2026-03-02 13:00:11 UTC: paused" in fields["timeline"]
    assert "crm.create_task declares no idempotency" in fields["control_gap"]
    assert "1 call timed out" in fields["contributing_factors"]
    assert "1 object put back and read back" in fields["what_worked"]
    assert "1 object could not be put back because somebody had changed it since" in fields["what_failed"]
    assert (fields["follow_up_owner"], fields["due_date"]) == ("lee@acme.test", "2026-04-01")


def test_what_they_do_not_know_is_left_to_people() -> None:
    assert prefill(bad_monday().case(), START)["root_cause"] == ""


def test_a_source_without_a_freshness_limit_is_a_control_gap() -> None:
    story = IncidentStory(manifest(sources={"export": {"trust": "internal"}}))
    story.run("r1").write(
        StepRecorded(
            step="s", run="r1", workflow=WORKFLOW, kind=StepKind.RETRIEVAL, name="read", source="export"
        )
    )
    fields = prefill(story.opened(IncidentType.STALE_OR_WRONG_INPUT).case(), START)
    assert "The source export declares no freshness limit" in fields["control_gap"]


def test_it_blames_nobody() -> None:
    """People appear as the owners of what comes next, and nowhere else."""
    fields = filled()
    told = " ".join(text for name, text in fields.items() if name != "follow_up_owner")
    assert not any(address in told for address in OWNERS.values())


@pytest.mark.parametrize("incident_type", IncidentType)
def test_every_type_has_remedies_with_owner_and_date(incident_type: IncidentType) -> None:
    assert PROPOSED[incident_type]
    story = IncidentStory()
    follow_ups = proposed_follow_ups(story.opened(incident_type).case(), START)
    assert [each.remediation for each in follow_ups] == [(each.value,) for each in PROPOSED[incident_type]]
    assert not shallow({}, follow_ups)


def follow_up(what: str, **changed: Any) -> FollowUp:
    fields: dict[str, Any] = {
        "remediation": ("idempotency",),
        "what": what,
        "owner": "lee@acme.test",
        "due_date": "2026-04-01",
    }
    return FollowUp(**(fields | changed))


# Each case: the remedies, and whether they change too little.
SHALLOW: list[tuple[list[str], bool]] = [
    ([], True),
    (["  "], True),
    (["Improve the prompt"], True),
    (["Tell the agent in its instructions not to repeat itself", "Reword the system message"], True),
    (["Improve the prompt", "Declare an idempotency key"], False),
    (["Pin the prompt's version in the manifest"], False),
    (["Declare an idempotency key"], False),
]


@pytest.mark.parametrize(("remedies", "expected"), SHALLOW)
def test_a_prompt_is_no_control(remedies: list[str], expected: bool) -> None:
    assert bool(shallow({}, [follow_up(what) for what in remedies])) is expected


@pytest.fixture
def incident() -> Incident:
    return whole_story().case().incident


def postmortem(**changed: Any) -> Postmortem:
    fields: dict[str, Any] = {
        "id": INCIDENT,
        "incident": INCIDENT,
        "fields": filled(),
        "follow_ups": (follow_up("Declare an idempotency key"),),
        "at": START,
        "by": LEE,
    }
    return Postmortem(**(fields | changed))


def test_a_complete_one_is_closed(incident: Incident) -> None:
    check_closing(postmortem(), incident)


@pytest.mark.parametrize("field", [field.name for field in FIELDS if field.needed])
def test_a_missing_field_is_named(incident: Incident, field: str) -> None:
    with pytest.raises(Conflict) as raised:
        check_closing(postmortem(fields=filled() | {field: " "}), incident)
    label = next(each.label for each in FIELDS if each.name == field)
    assert raised.value.fields["missing"] == [label.lower()]


@pytest.mark.parametrize("severity", Severity)
def test_a_shallow_one_is_not_closed_above_sev3(incident: Incident, severity: Severity) -> None:
    only_prompt = postmortem(
        fields=filled() | {"remediation": "- Improve the prompt."},
        follow_ups=(follow_up("Improve the prompt"),),
    )
    known = replace(incident, severity=severity)
    if severity in MANDATORY:
        with pytest.raises(Conflict, match="shallow"):
            check_closing(only_prompt, known)
    else:
        check_closing(only_prompt, known)


@pytest.mark.parametrize("changed", [{"owner": " "}, {"due_date": "soon"}, {"due_date": ""}])
def test_a_follow_up_needs_an_owner_and_a_date(incident: Incident, changed: dict[str, str]) -> None:
    with pytest.raises(Conflict, match="follow-up 1"):
        check_closing(postmortem(follow_ups=(follow_up("Declare a key", **changed),)), incident)


def test_all_classes_have_words() -> None:
    every = {each for classes in PROPOSED.values() for each in classes}
    assert every <= set(RemediationClass)
