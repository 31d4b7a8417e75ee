"""Missed runs that are made up for: the orders of a workflow, and the checks before a new one."""

from __future__ import annotations

from stopwork.kernel.errors import StopworkError
from stopwork.ledger import records as r
from stopwork.operations import backfills as orders
from stopwork.operations.manifests import known_workflow
from stopwork.server.pages import contexts as c
from stopwork.server.pages.builders.look import Look, sentence_of

A_PAGE = 50


def backfills(look: Look, name: str) -> c.BackfillsContext:
    """Answer the orders, newest first; ``occasion`` in the address is checked, for ``incident`` where that is named."""
    view = look.view
    known = known_workflow(view, name)
    incident = _incident(look, known)
    occasion = look.query.get("occasion", "") or (_missed(look, incident) if incident else "")
    why = look.query.get("why", "").strip()
    checked, problem = None, ""
    if occasion:
        try:
            checked = orders.check(
                view, look.manifests, workflow=known.id, occasion=occasion, why=why, now=look.now
            )
        except StopworkError as error:
            problem = f"{sentence_of(error.detail)} {error.hint}"
    owner = incident.business_owner if incident else look.person.id
    return c.BackfillsContext(
        frame=look.frame("Missed runs", watch=f"workflow:{known.id}"),
        workflow=known,
        orders=tuple(view.find(r.Backfill, workflow=known.id, order="-ordered_at", limit=A_PAGE)),
        incident=incident,
        occasion=occasion,
        why=why,
        checked=checked,
        problem=problem,
        why_not="" if owner == look.person.id else f"Only {owner} orders it for this incident.",
        scheduled=look.manifests.current(view, known.id).manifest.schedule is not None,
    )


def _incident(look: Look, workflow: r.Workflow) -> r.Incident | None:
    found = look.view.get(r.Incident, look.query.get("incident", "")) if look.query.get("incident") else None
    open_one = found is not None and not found.status.ended
    return found if found is not None and open_one and found.workflow == workflow.id else None


def _missed(look: Look, incident: r.Incident) -> str:
    """Answer the last occasion that the incident's signals name."""
    for signal in look.view.each(r.Signal, incident=incident.id, order="-raised_at"):
        if due := signal.facts.get("due"):
            return str(due[-1])
    return ""
