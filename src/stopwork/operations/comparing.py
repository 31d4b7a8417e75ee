"""Comparing what is recorded: two runs with each other, and what was observed with what would have been enforced."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from stopwork.incidents.change import RunComparison, ToldRun, compare, first_bad, last_good
from stopwork.incidents.observed import EnforcementReport, observed
from stopwork.kernel.errors import Invalid, NotFound
from stopwork.ledger import records as r
from stopwork.operations.manifests import Manifests, known_workflow
from stopwork.storage.view import View

MAX_CALLS: Final = 20_000
#: So many runs before the bad one are searched for a good one.
MAX_RUNS: Final = 1_000


def enforcement(view: View, *, workflow: str, since: datetime, most: int = MAX_CALLS) -> EnforcementReport:
    """Answer what enforcement would have done with the workflow's calls from ``since`` on.

    Of more than ``most`` calls the newest are looked at, and ``since`` in the answer is where they begin.
    """
    known = known_workflow(view, workflow)
    calls = view.find(
        r.Call, workflow=known.id, requested_at_from=since, order="-requested_at", limit=most + 1
    )
    if len(calls) > most:
        calls = calls[:most]
        since = calls[-1].requested_at
    signals = tuple(view.each(r.Signal, workflow=known.id, raised_at_from=since))
    return observed(known.id, calls, signals, since=since)


def runs(view: View, manifests: Manifests, *, before: str, after: str) -> RunComparison:
    """Answer how two runs of one workflow differ; ``Invalid`` when they are of two."""
    first, second = view.need(r.Run, before), view.need(r.Run, after)
    if first.workflow != second.workflow:
        raise Invalid(
            f"{first.id} is a run of {first.workflow}, and {second.id} of {second.workflow}",
            hint="Compare two runs of one workflow: stopwork runs list --workflow NAME",
            expected=first.workflow,
            found=second.workflow,
        )
    return compare(_told(view, manifests, first), _told(view, manifests, second))


def since_last_good(view: View, manifests: Manifests, *, incident: str) -> RunComparison:
    """Answer how the incident's first bad run differs from the last good one; ``NotFound`` when either is missing."""
    known = view.need(r.Incident, incident)
    bad = first_bad(run for each in known.runs if (run := view.get(r.Run, each)) is not None)
    if bad is None:
        raise NotFound(
            f"no run is recorded for {incident}", hint="Compare two runs yourself: stopwork diff RUN RUN"
        )
    good = _last_good(view, bad)
    return compare(_told(view, manifests, good), _told(view, manifests, bad))


def with_last_good(view: View, manifests: Manifests, *, run: str) -> RunComparison:
    """Answer how a run differs from the last good one before it; ``NotFound`` when there is none."""
    known = view.need(r.Run, run)
    return compare(_told(view, manifests, _last_good(view, known)), _told(view, manifests, known))


def _last_good(view: View, bad: r.Run) -> r.Run:
    doubted = {run for each in view.each(r.Incident, workflow=bad.workflow) for run in each.runs}
    doubted |= {each.run for each in view.each(r.Signal, workflow=bad.workflow) if each.run}
    earlier = view.find(
        r.Run,
        workflow=bad.workflow,
        started_at_before=bad.started_at,
        order="-started_at",
        limit=MAX_RUNS,
    )
    good = last_good(earlier, bad, doubted)
    if good is None:
        looked = f"none of the {MAX_RUNS:,} runs" if len(earlier) == MAX_RUNS else "no run"
        raise NotFound(
            f"{looked} before {bad.id} succeeded without an incident or a signal",
            hint="Compare two runs yourself: stopwork diff RUN RUN",
            run=bad.id,
        )
    return good


def _told(view: View, manifests: Manifests, run: r.Run) -> ToldRun:
    return ToldRun(
        run=run,
        steps=tuple(view.each(r.Step, run=run.id)),
        calls=tuple(view.each(r.Call, run=run.id)),
        effects=tuple(view.each(r.Effect, run=run.id)),
        manifest=manifests.version(view, run.workflow, run.version).manifest,
    )
