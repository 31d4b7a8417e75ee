"""The pages about what has changed: versions of a manifest, and the difference between two runs."""

from __future__ import annotations

from typing import Final

from stopwork.incidents.change import Part, RunComparison
from stopwork.ledger import records as r
from stopwork.operations import comparing, versions
from stopwork.operations.manifests import known_workflow
from stopwork.server.pages import contexts as c
from stopwork.server.pages.builders.look import Look
from stopwork.server.pages.builders.workflow import paging

VERSIONS_A_PAGE: Final = 20

_PARTS: Final = {
    Part.RUN: "The run",
    Part.RUNTIME: "What ran",
    Part.TOOLS: "Tools, and how their calls ended",
    Part.ARGUMENTS: "Shapes of arguments",
    Part.SOURCES: "Where its input came from",
    Part.EFFECTS: "What it changed",
    Part.COST: "How much",
}


def workflow_versions(look: Look, workflow_id: str) -> c.VersionsContext:
    """Answer a page of the versions of a workflow's manifest."""
    known = known_workflow(look.view, workflow_id)
    found = look.view.find(
        r.ManifestVersion,
        workflow=known.id,
        order="-version",
        limit=VERSIONS_A_PAGE + 1,
        after=look.query.get("after") or None,
    )
    return c.VersionsContext(
        frame=look.frame(f"Versions of {known.title}", watch=f"workflow:{known.id}"),
        workflow=known,
        rows=tuple(_version(look, each) for each in found[:VERSIONS_A_PAGE]),
        paging=paging(look, f"/workflows/{known.id}/versions", [each.id for each in found], VERSIONS_A_PAGE),
    )


def two_runs(look: Look, before: str, after: str) -> c.DifferenceContext:
    """Answer how the second run differs from the first."""
    return _difference(look, comparing.runs(look.view, look.manifests, before=before, after=after))


def since_last_good(look: Look, run: str) -> c.DifferenceContext:
    """Answer how a run differs from the last good one before it."""
    found = comparing.with_last_good(look.view, look.manifests, run=run)
    return _difference(look, found, last_good=True)


def of_incident(look: Look, incident: str) -> c.DifferenceContext:
    """Answer how an incident's first bad run differs from the last good one."""
    found = comparing.since_last_good(look.view, look.manifests, incident=incident)
    return _difference(look, found, last_good=True, incident=look.view.need(r.Incident, incident))


def _difference(
    look: Look, found: RunComparison, *, last_good: bool = False, incident: r.Incident | None = None
) -> c.DifferenceContext:
    return c.DifferenceContext(
        frame=look.frame("What differs"),
        workflow=known_workflow(look.view, found.workflow),
        comparison=found,
        parts=tuple(
            (title, differing)
            for part, title in _PARTS.items()
            if (differing := tuple(each for each in found.differences if each.part is part))
        ),
        loosens=tuple(change.field for change in found.manifest if change.loosens),
        last_good=last_good,
        incident=incident,
    )


def _version(look: Look, version: r.ManifestVersion) -> c.VersionRow:
    told = versions.told(look.view, look.manifests, version, now=look.now)
    person, why_not = look.visit.person, ""
    if person == version.by.id:
        why_not = "You wrote it; a second person has to sign."
    elif person not in told.signers:
        why_not = f"It waits for {' or '.join(told.signers) or 'an administrator'}."
    return c.VersionRow(told=told, why_not=why_not)
