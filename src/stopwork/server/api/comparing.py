"""Comparisons of what is recorded: two runs, and what was observed with what would have been enforced."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Final

from msgspec import Meta, Struct

from stopwork.incidents.change import RunComparison
from stopwork.incidents.observed import EnforcementReport
from stopwork.operations import comparing
from stopwork.server.api.endpoint import Endpoint, Read
from stopwork.server.api.looking import looking_into

DAY_S: Final = 86_400


class ObservedSince(Struct, frozen=True, kw_only=True):
    """Calls of the last ``since_s`` seconds."""

    since_s: Annotated[int, Meta(ge=1, le=366 * DAY_S)] = 7 * DAY_S


class EarlierRun(Struct, frozen=True, kw_only=True):
    """The run to compare with; left out, the last good one before it."""

    before: Annotated[str, Meta(min_length=1, max_length=200)] | None = None


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/v1/workflows/{workflow}/observed",
        name="get_observed",
        summary="What enforcement would have done with the calls that were only observed",
        does=Read(
            lambda view, g: comparing.enforcement(
                view,
                workflow=g.path["workflow"],
                since=g.installation.store.clock.now() - timedelta(seconds=g.query.since_s),
            )
        ),
        query=ObservedSince,
        answer=EnforcementReport,
        tag="workflows",
    ),
    Endpoint(
        method="GET",
        path="/v1/runs/{run}/difference",
        name="compare_runs",
        summary="How a run differs from another one of its workflow, or from the last good one before it",
        does=Read(
            lambda view, g: (
                comparing.runs(view, g.installation.manifests, before=g.query.before, after=g.path["run"])
                if g.query.before
                else comparing.with_last_good(view, g.installation.manifests, run=g.path["run"])
            )
        ),
        query=EarlierRun,
        answer=RunComparison,
        tag="records",
    ),
    Endpoint(
        method="GET",
        path="/v1/incidents/{incident}/difference",
        name="compare_with_last_good",
        summary="How the incident's first bad run differs from the last good one",
        does=looking_into(
            "its difference",
            lambda view, g: comparing.since_last_good(
                view, g.installation.manifests, incident=g.path["incident"]
            ),
        ),
        answer=RunComparison,
        tag="incidents",
    ),
)
