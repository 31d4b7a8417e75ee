"""The chapter of the story in which incidents are sorted: a drill about two runs is split, put together again, and declined."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.unit.server.story import Story


def sort_out(story: Story) -> None:
    """Open a drill and do with it whatever can be done with what is proposed."""
    drill = story.post("/v1/incidents", runs=["run-0", "run-1"], practice=True)["id"]
    at = f"/v1/incidents/{drill}"
    assert story.post(f"{at}/accept")["status"] == "investigating"
    part = story.post(f"{at}/split", runs=["run-0"], reason="another cause")
    assert (part["split_from"], part["runs"]) == (drill, ["run-0"])
    whole = story.post(f"/v1/incidents/{part['id']}/merge", into=drill, reason="the same after all")
    assert (whole["merged"], sorted(whole["runs"])) == ([part["id"]], ["run-0", "run-1"])
    asked = story.post("/v1/incidents", workflow="invoices", practice=True)
    item = asked["checklist"][0]["id"]
    told = story.post(f"/v1/incidents/{asked['id']}/checklist", item=item, answer="Jo does.")
    assert told["checklist"][0]["answer"] == "Jo does."
    tag = next(iter(story.get("/v1/tags")))
    assert story.post(f"{at}/tags", tags=[tag])["tags"] == [tag]
    assert story.post(f"{at}/restrict", readers=["dana@acme.test"], reason="it names people")["private"]
    assert story.post(f"{at}/open-up", reason="it names nobody any more")["readers"] == []
    declined = story.post(f"{at}/decline", reason="it was only a drill")
    assert (declined["incident"]["status"], declined["lifted"]) == ("declined", [])
