"""Gathering a case: every record that belongs to one incident, from one snapshot."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, TypeVar

from stopwork.incidents.case import Case
from stopwork.incidents.contain import in_order
from stopwork.incidents.departed import departed
from stopwork.incidents.followup import in_force
from stopwork.ledger import records as r
from stopwork.ledger.words import PlanState, RunStatus, ScopeKind
from stopwork.operations.manifests import Manifests
from stopwork.operations.settling import unseen_effects
from stopwork.storage.view import View

R = TypeVar("R", bound=r.Record)

#: More runs than this are not named in one question to the database.
RUNS_AT_ONCE: Final = 1_000


def gather(
    view: View,
    manifests: Manifests,
    incident_id: str,
    *,
    runs: Iterable[str] | None = None,
    calls: Sequence[r.Call] | None = None,
) -> Case:
    """Answer the case of an incident, complete however large it is; ``NotFound`` when there is none.

    It is about the incident's runs, or about these ``runs`` of its workflow, or only these ``calls`` of them, oldest first.
    """
    incident = view.need(r.Incident, incident_id)
    workflow = view.need(r.Workflow, incident.workflow)
    chosen = tuple(incident.runs if runs is None else dict.fromkeys(runs))
    found = tuple(sorted(_each(view, r.Run, chosen), key=lambda run: run.started_at))
    of_runs = tuple(run.id for run in found)
    versions = {run.version for run in found} | {incident.version, workflow.version}
    if calls is None:
        calls = tuple(_of_runs(view, r.Call, of_runs, "requested_at"))
    versions |= {call.version for call in calls if call.version}
    known = {call.id for call in calls}
    effects = [effect for effect in _of_runs(view, r.Effect, of_runs, "at") if effect.call in known]
    effects += unseen_effects(view, manifests, calls, effects)
    effects += departed(calls, effects)
    plans = _plans(view, incident_id, incident.plan)
    return Case(
        incident=incident,
        workflow=workflow,
        runs=found,
        steps=tuple(_of_runs(view, r.Step, of_runs, "at")),
        calls=tuple(calls),
        effects=tuple(sorted(effects, key=lambda effect: effect.at)),
        approvals=tuple(
            approval
            for call in calls
            if call.approval
            for approval in view.each(r.Approval, call=call.id, order="requested_at")
        ),
        signals=tuple(view.each(r.Signal, incident=incident_id)),
        holds=tuple(_holds(view, incident)),
        items=in_force(list(plans.values())),
        plan_items=plans.get(incident.plan or "", ()),
        checks=tuple(view.each(r.Check, incident=incident_id)),
        manifests={
            version: manifests.version(view, workflow.id, version).manifest for version in sorted(versions)
        },
        current=manifests.version(view, workflow.id, workflow.version).manifest,
        audit=view.first(r.Audit, incident=incident_id, order="-at"),
        plan=view.get(r.Plan, incident.plan) if incident.plan else None,
        bundle=view.get(r.Bundle, incident.bundle) if incident.bundle else None,
        postmortem=view.get(r.Postmortem, incident_id),
        later_runs=_since_return(view, incident, workflow),
        others=tuple(
            other
            for other in view.each(r.Incident, workflow=workflow.id)
            if other.id != incident_id and not other.status.ended and not other.practice
        ),
        containment=in_order(view.each(r.ContainmentItem, incident=incident_id)),
        messages=tuple(view.each(r.Message, incident=incident_id, order="drafted_at")),
    )


def items_in_force(view: View, plan: str) -> tuple[r.Item, ...]:
    """Answer the items that tell how each object stands: of this plan, and of those of its incident that were carried out."""
    return in_force(list(_plans(view, view.need(r.Plan, plan).incident, plan).values()))


def _plans(view: View, incident: str, newest: str | None) -> dict[str, tuple[r.Item, ...]]:
    return {
        plan.id: tuple(view.each(r.Item, plan=plan.id, order="order"))
        for plan in view.each(r.Plan, incident=incident, order="proposed_at")
        if plan.state is PlanState.FINISHED or plan.id == newest
    }


def _of_runs(view: View, kind: type[R], runs: tuple[str, ...], order: str) -> Iterator[R]:
    """Answer what belongs to these runs, in order; of many runs it is asked in portions."""
    portions = [
        view.each(kind, run=runs[start : start + RUNS_AT_ONCE], order=order)
        for start in range(0, len(runs), RUNS_AT_ONCE)
    ]
    if len(portions) == 1:
        return portions[0]
    return heapq.merge(*portions, key=lambda record: getattr(record, order))


def _since_return(view: View, incident: r.Incident, workflow: r.Workflow) -> tuple[r.Run, ...]:
    """Answer the runs that a return is judged by: the first that ended, the first that ended well, the last on its stage."""
    back = incident.reenabled_at
    if back is None:
        return ()
    ended = tuple(status for status in RunStatus if status is not RunStatus.RUNNING)
    judged = (
        ("started_at", back, ended),
        ("started_at", back, (RunStatus.SUCCEEDED,)),
        ("-started_at", workflow.stage_since or back, ended),
    )
    found: dict[str, r.Run] = {}
    for order, since, status in judged:
        some = view.find(
            r.Run,
            workflow=workflow.id,
            status=status,
            started_at_from=since,
            order=order,
            limit=1 + len(incident.runs),
        )
        found |= {run.id: run for run in [run for run in some if run.id not in incident.runs][:1]}
    return tuple(sorted(found.values(), key=lambda run: run.started_at))


def _each(view: View, kind: type[r.Run], ids: tuple[str, ...]) -> list[r.Run]:
    return [found for each in ids if (found := view.get(kind, each)) is not None]


def _holds(view: View, incident: r.Incident) -> list[r.Hold]:
    """Answer the holds of the incident, and any other active one on its workflow."""
    own = list(view.each(r.Hold, incident=incident.id))
    known = {hold.id for hold in own}
    others = [
        hold
        for hold in view.each(r.Hold, active=True)
        if hold.id not in known
        and (
            hold.scope.kind is ScopeKind.EVERYTHING
            or incident.workflow in (hold.scope.workflow, hold.scope.name)
        )
    ]
    return own + others
