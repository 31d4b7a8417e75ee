"""The chapter of the story in which somebody takes the incident, and its timeline is kept: pinned, corrected, attached to, taken out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.support.office import DANA, KIM, LEE
from tests.unit.server.house import wait_for

if TYPE_CHECKING:
    from tests.unit.server.story import Story

PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256))


def answer(story: Story) -> None:
    """Take the incident after everybody was told."""
    wait_for(lambda: story.get(story.at("/response"))["response"] is not None)
    found = story.get(story.at("/response"))
    assert {each["person"] for each in found["tellings"]} >= {DANA.id, LEE.id}
    assert story.post(story.at("/acknowledge"), note="I look.")["acknowledged_by"] == LEE.id
    assert story.post(story.at("/acknowledge"), who=KIM)["acknowledged_by"] == LEE.id


def keep_the_timeline(story: Story) -> None:
    """Do with the timeline whatever can be done with it."""
    note = next(each for each in story.get(story.at("/timeline")) if each["kind"] == "incident.note_added")[
        "seq"
    ]
    story.post(story.at("/timeline/pin"), entry=note)
    corrected = story.post(
        story.at("/timeline/correct"),
        entry=note,
        text="The customer was called twice.",
        occurred_at="2026-03-02T12:30:00Z",
        reason="counted again",
    )
    assert corrected["pinned_by"] == LEE.id
    [line] = story.get(story.at("/timeline"), pinned=True, order="occurred", text="TWICE")
    assert (line["text"], line["said"]) == (
        "The customer was called twice.",
        "The customer was called three times.",
    )
    assert "twice" in story.get(story.at("/postmortem"))["fields"]["timeline"]
    lee = story.house.as_(LEE)
    added = lee.post(
        story.at("/attachments"),
        params={"name": "screen.png", "why": "what they saw"},
        content=PICTURE,
        headers={"content-type": "application/octet-stream"},
    ).json()
    assert (added["media_type"], added["size_bytes"]) == ("image/png", len(PICTURE))
    taken = lee.get(story.at(f"/attachments/{added['digest']}"))
    assert taken.content == PICTURE
    assert taken.headers["content-type"] == "application/octet-stream"
    assert taken.headers["content-disposition"] == "attachment; filename*=utf-8''screen.png"
    assert taken.headers["x-content-type-options"] == "nosniff"
    rows = lee.get(story.at("/timeline/export"), params={"form": "jsonl"}).text.splitlines()
    assert [json.loads(row)["seq"] for row in rows][:2] == sorted(json.loads(row)["seq"] for row in rows)[:2]
    assert "★" in lee.get(story.at("/timeline/export"), params={"form": "md", "zone": "Asia/Tokyo"}).text
    assert lee.get(story.at("/timeline/export"), params={"form": "csv", "zone": "Mars"}).status_code == 422
    story.post(story.at("/timeline/unpin"), entry=note)
    assert story.get(story.at("/timeline"), pinned=True) == []
