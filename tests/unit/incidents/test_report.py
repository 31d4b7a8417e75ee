"""Contract of the one page: every line is there, durations are never guessed, and hostile text stays text."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest
from msgspec.structs import replace

from stopwork.incidents.milestones import PHASES, MilestoneState, durations, first_harm_at
from stopwork.incidents.report import (
    BLANK,
    LABELS,
    OnePage,
    blank_page,
    in_words,
    lines,
    markdown,
    one_page,
    phase_lines,
)
from stopwork.ledger.words import IncidentStatus, ItemState
from tests.unit.detect.story import START
from tests.unit.incidents.cases import IncidentStory, bad_monday

LATER = START + timedelta(hours=1)


def test_the_page_of_a_bad_monday() -> None:
    story = bad_monday().paused().sealed().audited().planned(ItemState.VERIFIED, ItemState.CONFLICT)
    page = one_page(story.case(), LATER)
    assert page.incident_id == "AI-INC-2026-0302-001"
    assert page.detection_time == "2026-03-02 13:00 UTC"
    assert page.agent_paused == "partial: tool crm.create_task of weekly-renewal-risk"
    assert page.tools_disabled == "crm.create_task"
    assert page.evidence_preserved == "bundle_1: run record (1) and tool trace (3)"
    assert page.side_effects_found.startswith("3 objects")
    assert page.recovery_actions == "1 put back and read back and 1 in conflict with a later change"
    assert page.reenable_scope == "not yet; first to the stage read only"


def test_nothing_known_yet_is_said() -> None:
    page = one_page(bad_monday().case(), LATER)
    assert (page.agent_paused, page.evidence_preserved) == ("no", "not sealed yet")
    assert (page.side_effects_found, page.recovery_actions) == ("not audited yet", "not planned yet")
    assert all(text for _label, text in lines(page))


def test_paused_is_partial_while_a_call_is_in_flight() -> None:
    story = bad_monday()
    story.call("C", account_id="bolt")
    assert one_page(story.paused().case(), LATER).agent_paused.endswith("1 call still in flight")


def test_every_line_has_a_label() -> None:
    assert list(LABELS) == [name for name in OnePage.__struct_fields__ if name != "phases"]


def test_a_blank_page_has_every_line_and_no_phase() -> None:
    assert {text for _label, text in lines(blank_page())} == {BLANK}
    assert "How long it took" not in markdown(blank_page())


def test_the_page_is_json() -> None:
    page = one_page(bad_monday().case(), LATER)
    assert msgspec.json.decode(msgspec.json.encode(page), type=OnePage) == page


def test_markdown_holds_every_line() -> None:
    text = markdown(one_page(bad_monday().case(), LATER))
    assert all(f"| {label} | " in text for label in LABELS.values())
    assert text.count("\n| To ") == len(PHASES) + 1


@pytest.mark.parametrize(
    "hostile", ["<script>alert(1)</script>", "a | b", "[x](javascript:1)", "one\ntwo", "`rm`"]
)
def test_hostile_text_stays_in_its_cell(hostile: str) -> None:
    page = replace(one_page(bad_monday().case(), LATER), title=hostile)
    (row,) = [line for line in markdown(page).splitlines() if line.startswith("| What happened |")]
    assert "<script" not in row
    assert row.replace("\\|", "").count("|") == 3
    assert "[x](" not in row


def test_a_skipped_milestone_is_never_zero() -> None:
    story = bad_monday().paused()
    case = story.case()
    by_name = {each.name: each for each in durations(case.incident, first_harm_at(case), LATER)}
    assert (by_name["detect"].state, by_name["detect"].seconds) == (MilestoneState.RECORDED, 10.0)
    assert (by_name["pause"].state, by_name["pause"].seconds) == (MilestoneState.RECORDED, 0.0)
    assert by_name["audit"].state is MilestoneState.PENDING
    closed = story.status(IncidentStatus.CLOSED).case()
    after = {each.name: each for each in durations(closed.incident, first_harm_at(closed), LATER)}
    assert (after["audit"].state, after["audit"].seconds) == (MilestoneState.NOT_APPLICABLE, None)


def test_a_milestone_before_its_beginning_is_invalid() -> None:
    case = bad_monday().paused().case()
    odd = replace(case.incident, paused_at=case.incident.detected_at - timedelta(minutes=1))
    (pause,) = [each for each in durations(odd, None, LATER) if each.name == "pause"]
    assert (pause.state, pause.seconds) == (MilestoneState.INVALID, None)
    assert in_words(pause) == "invalid: it ends before it begins"


def test_without_a_write_there_is_nothing_to_detect_from() -> None:
    case = IncidentStory().opened().case()
    assert first_harm_at(case) is None
    page = one_page(case, LATER)
    assert dict(phase_lines(page))["To detect, from the first write"] == "not applicable"
