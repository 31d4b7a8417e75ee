"""Contract: the whole story of an incident can be told over the API alone, and every request and answer of it is as described."""

from __future__ import annotations

from pathlib import Path

from tests.support.office import MANIFEST
from tests.unit.server.described import description
from tests.unit.server.house import house
from tests.unit.server.story import Story


def test_the_story_is_told_over_the_api_as_it_is_described(tmp_path: Path) -> None:
    # A rule that pauses at once may be faster than the agent's second call: then there is no copy to put right.
    with house(tmp_path, manifest=MANIFEST.replace("hold: tool", "hold: none")) as opened:
        api = description(opened.office.crew)
        opened.judge = api.judge
        story = Story(opened)
        story.all()
        assert opened.get(story.at())["status"] == "closed"
        report = opened.as_(None).get(story.at("/report"), params={"format": "markdown"})
        assert report.status_code == 401
        # A stream has no end to wait for, traces are an exporter's, and no message was left in doubt by a server that died.
        assert api.names() - api.seen <= {"listen", "settle_message", "export_traces"}, (
            "an address that nobody asked"
        )
