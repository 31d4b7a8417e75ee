"""Contract of the containment checklist: it follows from what was touched, and nothing is done without saying how one knows."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from stopwork.incidents.contain import check_ending, complete, in_order, propose
from stopwork.incidents.offers import HOLD, HookOffer
from stopwork.kernel.errors import Invalid
from stopwork.ledger.records import ContainmentItem
from stopwork.ledger.words import (
    ContainmentArea,
    ContainmentState,
    EffectKind,
    HookKind,
    IncidentType,
    PlaceKind,
    StepKind,
)
from tests.unit.detect.manifests import TOOLS, manifest
from tests.unit.detect.story import WORKFLOW
from tests.unit.incidents.cases import IncidentStory, bad_monday

DONE, PROPOSED = ContainmentState.DONE, ContainmentState.PROPOSED
AREAS = ContainmentArea


def told(story: IncidentStory) -> dict[str, ContainmentItem]:
    return {item.what: item for item in propose(story.case())}


def areas(story: IncidentStory) -> list[ContainmentArea]:
    return list(dict.fromkeys(item.area for item in propose(story.case())))


def test_each_writing_tool_is_to_be_kept_from_writing() -> None:
    item = told(bad_monday())["Keep crm.create_task from writing until its records are audited"]
    assert (item.area, item.state) == (AREAS.WRITE_TOOLS, PROPOSED)
    assert item.why == "2 calls of it wrote or may have written"


def test_what_a_hold_makes_safe_is_done_and_says_by_which() -> None:
    items = told(bad_monday().paused())
    held = items["Keep crm.create_task from writing until its records are audited"]
    assert (held.state, held.automatic) == (DONE, True)
    assert "hold_1" in held.verified_how
    assert items["Keep crm.update_account from writing until its records are audited"].state is PROPOSED


def test_a_hold_is_not_enough_while_a_call_is_in_flight() -> None:
    story = bad_monday()
    story.call("C", account_id="bolt")
    item = told(story.paused())["Keep crm.create_task from writing until its records are audited"]
    assert item.state is PROPOSED


def test_what_is_still_going_on_stands_in_the_queues() -> None:
    story = bad_monday()
    story.call("C", account_id="bolt")
    whats = [item.what for item in propose(story.case()) if item.area is AREAS.QUEUES]
    assert whats == [
        "End or let finish r1",
        "Wait for, or look up, the calls in flight",
        "Freeze retries and backfills of the workflow",
    ]


def test_a_downstream_automation_is_named_with_its_owner_and_its_hooks() -> None:
    declared = manifest(
        downstream=[
            {
                "name": "dunning",
                "tools": ["crm.create_task"],
                "owner": "kim@acme.test",
                "hooks": ["stop-dunning", "elsewhere"],
            }
        ]
    )
    stops = HookOffer(name="stop-dunning", kind=HookKind.HTTP, only_named=True)
    items = propose(bad_monday(declared).case(), (stops,))
    item = next(each for each in items if each.what == "Disable dunning")
    assert [place.name for place in item.places] == ["stop-dunning"]
    assert (
        item.why == "it reacts to crm.create_task, and would carry the damage on; kim@acme.test can stop it; "
        "no hook elsewhere on this server"
    )


def test_an_automation_of_other_tools_is_left_alone() -> None:
    declared = manifest(downstream=[{"name": "dunning", "tools": ["mail.send"]}])
    assert AREAS.DOWNSTREAM_AUTOMATIONS not in areas(bad_monday(declared))


def story_with(declared: dict[str, Any] | None = None, **changed: Any) -> IncidentStory:
    story = IncidentStory(manifest(**(declared or {})))
    story.run("r1", trigger=changed.pop("trigger", "schedule"))
    tool = changed.pop("tool", None)
    if tool:
        story.call("S", tool=tool, effect=changed.pop("effect")).outcome("S")
    return story.finished().opened(changed.pop("type", IncidentType.COST_RUNAWAY))  # type: ignore[attr-defined, no-any-return]


# Each case: its name, then the story and the areas besides the queues.
CASES: dict[str, tuple[IncidentStory, set[ContainmentArea]]] = {
    "nothing touched": (story_with(), set()),
    "an inbound trigger": (story_with(trigger="crm-webhook"), {AREAS.WEBHOOKS}),
    "mail was sent": (
        story_with(tool="mail.send", effect=EffectKind.SEND),
        {AREAS.WRITE_TOOLS, AREAS.NOTIFICATIONS, AREAS.OAUTH_GRANTS},
    ),
    "a browser was used": (
        story_with(
            {"tools": TOOLS | {"browser.open": {"effect": "read"}}},
            tool="browser.open",
            effect=EffectKind.READ,
        ),
        {AREAS.BROWSER_SESSIONS},
    ),
    "a credential was in reach": (story_with(type=IncidentType.TOOL_MISUSE), {AREAS.SECRETS}),
}


@pytest.mark.parametrize("name", CASES)
def test_only_touched_areas_are_proposed(name: str) -> None:
    story, expected = CASES[name]
    assert set(areas(story)) - {AREAS.QUEUES} == expected


def test_untrusted_and_undeclared_sources_are_to_be_blocked() -> None:
    from stopwork.ledger.events import StepRecorded

    story = IncidentStory(manifest(sources={"inbox": {"trust": "external"}, "crm": {"trust": "internal"}}))
    story.run("r1")
    for source in ("inbox", "crm", "share"):
        story.write(
            StepRecorded(
                step=source, run="r1", workflow=WORKFLOW, kind=StepKind.RETRIEVAL, name="read", source=source
            )
        )
    items = told(story.opened(IncidentType.COST_RUNAWAY))
    assert "Block the source inbox until it is checked" in items
    assert items["Block the source share"].why == "the runs read it and the manifest does not name it"
    assert not any("source crm" in what for what in items)


def test_a_person_always_looks() -> None:
    """Records alone never end this phase, even when a hold has made everything safe that they know of."""
    items = propose(story_with().case())
    assert [(item.what, item.state) for item in items] == [
        ("Look whether anything of this incident is still going on", PROPOSED)
    ]


def test_items_are_listed_as_harm_spreads_and_by_their_numbers() -> None:
    items = propose(bad_monday().case())
    many = [replace(items[0], id=f"{items[0].incident}/write_tools/{number}") for number in (10, 2, 1)]
    assert [each.id.rpartition("/")[2] for each in in_order(many)] == ["1", "2", "10"]
    assert in_order(reversed(items)) == items


def test_who_could_hold_it_is_said_and_what_would_hold_nothing() -> None:
    drafts = HookOffer(name="drafts-only", kind=HookKind.HOLD, areas=(AREAS.WRITE_TOOLS,))
    declared = manifest(
        downstream=[{"name": "dunning", "tools": ["crm.create_task"], "hooks": ["drafts-only"]}]
    )
    found = {item.what: item for item in propose(bad_monday(declared).case(), (HOLD, drafts))}
    tool = found["Keep crm.create_task from writing until its records are audited"]
    assert tool.why == "2 calls of it wrote or may have written; drafts-only can hold it"
    assert found["Disable dunning"].why.endswith(
        "; drafts-only would set a hold, and nothing here can be held"
    )
    assert not any(place.kind is PlaceKind.HOOK for item in found.values() for place in item.places)


def test_what_sends_is_kept_from_sending() -> None:
    item = told(story_with(tool="mail.send", effect=EffectKind.SEND))[
        "Keep mail.send from sending until its records are audited"
    ]
    assert item.why == "1 call of it sent or may have sent"


def test_ids_are_unique_and_name_the_incident() -> None:
    items = propose(bad_monday().case())
    assert len({item.id for item in items}) == len(items)
    assert all(item.id.startswith("AI-INC-2026-0302-001/") for item in items)


def test_an_ending_says_how_one_knows() -> None:
    item = propose(bad_monday().case())[0]
    check_ending(item, DONE, "looked at the tool's log: no call since 13:02 UTC")
    with pytest.raises(Invalid, match="was verified"):
        check_ending(item, DONE, "  ")
    with pytest.raises(Invalid, match="cannot be recorded as proposed"):
        check_ending(item, PROPOSED, "x")


def test_a_checklist_is_complete_when_every_item_has_come_to_a_good_end() -> None:
    assert not complete(())
    assert complete(bad_monday().contained().case().containment)
    assert not complete(propose(bad_monday().case()))
