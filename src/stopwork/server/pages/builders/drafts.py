"""Drafted calls: what people release, edit or discard."""

from __future__ import annotations

from typing import Final

from stopwork.kernel.phrases import listed
from stopwork.ledger import records as r
from stopwork.ledger import words as w
from stopwork.operations.draft_standing import Standing, standing
from stopwork.operations.drafts import RELEASABLE
from stopwork.operations.manifests import known_workflow
from stopwork.operations.people import administrators
from stopwork.server.pages import contexts as c
from stopwork.server.pages.builders.controls import argument_fields
from stopwork.server.pages.builders.look import Look
from stopwork.server.pages.builders.workflow import paging

A_PAGE: Final = 50
_CLOSED: Final = tuple(
    state for state in w.DraftState if state not in (w.DraftState.OPEN, w.DraftState.RELEASED)
)


def drafts(look: Look) -> c.DraftsContext:
    """Answer the drafts, newest first; ``workflow`` in the address shows one workflow's."""
    name = look.query.get("workflow", "")
    workflow = look.view.get(r.Workflow, name) if name else None
    of = {"workflow": workflow.id} if workflow else {}

    def found(states: tuple[w.DraftState, ...], limit: int) -> list[r.Draft]:
        after = look.query.get("after") or None if states is _CLOSED else None
        return look.view.find(r.Draft, state=states, order="-requested_at", limit=limit, after=after, **of)

    closed = found(_CLOSED, A_PAGE + 1)
    return c.DraftsContext(
        frame=look.frame("Drafts", "drafts"),
        open=tuple(c.DraftRow(draft=each) for each in found((w.DraftState.OPEN,), A_PAGE)),
        released=tuple(
            c.DraftRow(draft=each, waits_for=_standing(look, each.id, systems=False).waits_for)
            for each in found((w.DraftState.RELEASED,), A_PAGE)
        ),
        closed=tuple(closed[:A_PAGE]),
        filters=(
            look.chosen(
                "workflow",
                "Workflow",
                [("", "any"), *((each.id, each.title) for each in look.view.find(r.Workflow, limit=A_PAGE))],
            ),
        ),
        paging=paging(look, "/drafts", [each.id for each in closed], A_PAGE),
        workflow=workflow,
    )


def draft(look: Look, draft_id: str) -> c.DraftContext:
    """Answer one draft with the exact bytes that would run, and what its object holds now."""
    stands = _standing(look, draft_id)
    known = stands.draft
    workflow = known_workflow(look.view, known.workflow)
    run = look.view.need(r.Run, known.run)
    why_not_decide = _why_not_decide(look, workflow)
    decidable = known.state in RELEASABLE and not why_not_decide
    return c.DraftContext(
        # It looks into another system: whatever happens elsewhere is no reason to look again.
        frame=look.frame(f"Draft of {known.tool}", "drafts", watch=f"call:{known.id}"),
        standing=stands,
        workflow=workflow,
        run=run,
        why_not_release=_why_not_release(look, stands, run),
        why_not_decide=why_not_decide,
        fields=argument_fields(known.args) if decidable and _may_edit(look, known) else (),
    )


def _standing(look: Look, draft_id: str, *, systems: bool = True) -> Standing:
    connected = look.systems if systems else {}
    return standing(look.view, look.manifests, connected, draft=draft_id, now=look.now)


def _why_not_release(look: Look, stands: Standing, run: r.Run) -> str:
    if look.person in (stands.draft.requested_by, run.by):
        return "You asked for this call yourself; another person has to release it."
    if look.person.id not in stands.approvers:
        return f"It can be released by {listed(stands.approvers)}."
    return ""


def _why_not_decide(look: Look, workflow: r.Workflow) -> str:
    owners = tuple(dict.fromkeys(workflow.owners.values()))
    if look.person.id in (*owners, *administrators(look.view, look.now)):
        return ""
    return f"It can be edited or discarded by {listed(owners)}."


def _may_edit(look: Look, known: r.Draft) -> bool:
    manifest = look.manifests.current(look.view, known.workflow).manifest
    if known.tool not in manifest.tools:
        return False
    gate = manifest.gate_of(known.tool)
    return gate is None or gate.edits
