"""Pausing, holds and approvals: where people stop the work and answer its questions."""

from __future__ import annotations

import json
from typing import Any, Final

from stopwork.incidents import pause as pausing
from stopwork.incidents.pause import Impact, Proposal
from stopwork.kernel.errors import Invalid
from stopwork.ledger import records as r
from stopwork.ledger import words as w
from stopwork.operations import points
from stopwork.operations.approval_evidence import evidence
from stopwork.operations.manifests import known_workflow, pending_version
from stopwork.operations.proposing import offers
from stopwork.server.pages import contexts as c
from stopwork.server.pages.builders.look import MAX_PENDING, Look, approval_row, hold_row, pending_approvals
from stopwork.server.pages.builders.workflow import paging

MAX_LISTED: Final = 50
MAX_WORKFLOWS: Final = 100
_FACTS: Final = ("tool", "trigger", "source", "permission", "destination")


def pause(look: Look, *, reason: str = "", problem: str = "") -> c.PauseContext:
    """Answer the holds to choose from; ``workflow``, ``incident``, ``risk`` and names of what is dangerous stand in the address."""
    view = look.view
    incident = view.need(r.Incident, look.query["incident"]) if look.query.get("incident") else None
    name = incident.workflow if incident else look.query.get("workflow", "")
    workflow = known_workflow(view, name) if name else None
    risk = _risk(look.query.get("risk", ""))
    return c.PauseContext(
        frame=look.frame("Pause", watch="none"),
        options=_options(look, workflow, incident, risk) if workflow else _wide_options(look),
        workflow=workflow,
        incident=incident,
        tools=tuple(look.manifests.current(view, workflow.id).manifest.tools) if workflow else (),
        risk=risk,
        tool=look.query.get("tool", ""),
        reason=reason,
        problem=problem,
    )


def chosen_hold(value: str, workflow: str) -> tuple[r.Scope, w.HoldMode]:
    """Answer what an option of the pause page stands for; ``Invalid`` for anything else."""
    kind_word, _, rest = value.partition(":")
    mode_word, _, rest = rest.partition(":")
    name, _, item = rest.partition("\x1f")
    try:
        kind, mode = w.ScopeKind(kind_word), w.HoldMode(mode_word)
    except ValueError:
        raise Invalid("choose what to stop", hint="Pick one of the scopes.", field="hold") from None
    alone = kind in (w.ScopeKind.EVERYTHING, w.ScopeKind.WORKFLOW)
    within = None if alone else workflow or None
    return r.Scope(kind=kind, name=name, workflow=within, item=item or None), mode


def holds(look: Look) -> c.HoldsContext:
    """Answer the active holds, and those that were lifted last."""
    view = look.view
    after = look.query.get("after") or None
    lifted = view.find(r.Hold, active=False, order="-id", limit=MAX_LISTED + 1, after=after)
    return c.HoldsContext(
        frame=look.frame("Holds", "holds"),
        active=tuple(hold_row(look, each) for each in view.each(r.Hold, active=True, order="-id")),
        lifted=tuple(lifted[:MAX_LISTED]),
        paging=paging(look, "/holds", [each.id for each in lifted], MAX_LISTED),
    )


def hold(look: Look, hold_id: str) -> c.HoldContext:
    """Answer one hold with its three sets: closed, in flight, not confirmed."""
    view = look.view
    known = view.need(r.Hold, hold_id)
    workflow = known.scope.name if known.scope.kind is w.ScopeKind.WORKFLOW else known.scope.workflow
    live = points.live(view, now=look.now, workflow=workflow)
    return c.HoldContext(
        frame=look.frame(str(known.scope), "holds"),
        row=hold_row(look, known),
        confirmed=tuple(point for point in live if point.epoch >= known.epoch),
        incident=view.get(r.Incident, known.incident) if known.incident else None,
        why_not_lift="You set this hold yourself; a second person has to lift it."
        if known.set_by == look.person
        else "",
    )


def approvals(look: Look) -> c.ApprovalsContext:
    """Answer the questions: this visitor's, other people's, and the latest answers."""
    rows = pending_approvals(look)
    settled = [state for state in w.ApprovalState if state is not w.ApprovalState.PENDING]
    after = look.query.get("after") or None
    decided = look.view.find(
        r.Approval, state=settled, order="-requested_at", limit=MAX_LISTED + 1, after=after
    )
    return c.ApprovalsContext(
        frame=look.frame("Approvals", "approvals"),
        waiting=tuple(row for row in rows if not row.why_not),
        others=tuple(row for row in rows if row.why_not),
        decided=tuple(decided[:MAX_LISTED]),
        paging=paging(look, "/approvals", [each.id for each in decided], MAX_LISTED),
        more=len(rows) >= MAX_PENDING,
        versions=tuple(
            pending for each in look.view.each(r.Workflow) if (pending := pending_version(look.view, each.id))
        ),
    )


def approval(look: Look, approval_id: str) -> c.ApprovalContext:
    """Answer one question with the exact bytes it is about."""
    found = evidence(look.view, look.manifests, look.systems, approval=approval_id)
    known = found.approval
    row = approval_row(look, known)
    changeable = known.editable and not row.why_not and not found.stale
    return c.ApprovalContext(
        # It looks into another system: whatever happens elsewhere is no reason to look again.
        frame=look.frame(known.title, "approvals", watch=f"call:{known.call}" if known.call else "all"),
        row=row,
        evidence=found if found.will_run else None,
        fields=argument_fields(found.will_run.args) if found.will_run and changeable else (),
        call=look.view.get(r.Call, known.call) if known.call else None,
        workflow=look.view.get(r.Workflow, known.workflow),
        more=sum(not row.why_not and row.approval.id != known.id for row in pending_approvals(look)),
    )


def argument_fields(args: dict[str, Any]) -> tuple[c.ArgumentField, ...]:
    """Answer the arguments as a form shows them."""
    kinds = {str: "text", bool: "choice", int: "number", float: "number"}
    return tuple(
        c.ArgumentField(
            name=name,
            kind=kinds.get(type(value), "json"),
            text=value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2),
        )
        for name, value in args.items()
    )


def _risk(word: str) -> w.PauseRisk | None:
    try:
        return w.PauseRisk(word) if word else None
    except ValueError:
        risks = ", ".join(w.PauseRisk)
        raise Invalid(f"there is no risk {word!r}", hint=f"Choose one of: {risks}.", field="risk") from None


def _options(
    look: Look, workflow: r.Workflow, incident: r.Incident | None, risk: w.PauseRisk | None
) -> tuple[c.PauseOption, ...]:
    facts = {name: look.query[name] for name in _FACTS if look.query.get(name)}
    offered = offers(
        look.view,
        look.manifests,
        workflow=workflow.id,
        now=look.now,
        incident=incident.id if incident else None,
        risk=risk,
        facts=facts,
    )
    return tuple(
        _option(each.proposal, each.impact, first=each.recommended, held=each.held) for each in offered
    )


def _wide_options(look: Look) -> tuple[c.PauseOption, ...]:
    """Answer the scopes that need no workflow to be chosen first: each workflow, and everything."""
    workflows = look.view.find(r.Workflow, limit=MAX_WORKFLOWS)
    since = look.now - pausing.LOOK_BACK
    every = look.view.count(r.Call, requested_at_from=since)
    options = []
    for each in workflows:
        manifest = look.manifests.version(look.view, each.id, each.version).manifest
        own = look.view.count(r.Call, workflow=each.id, requested_at_from=since)
        proposal = Proposal(
            scope=r.Scope(kind=w.ScopeKind.WORKFLOW, name=each.id),
            mode=w.HoldMode.BLOCK,
            stops=f"every call of {each.title}",
            keeps_running="all other workflows",
        )
        due = pausing.runs_due(manifest, look.now)
        options.append(
            _option(
                proposal, Impact(calls_stopped=own, calls_kept=every - own, runs_stopped=due), first=False
            )
        )
    if workflows:
        everything = Proposal(
            scope=r.Scope(kind=w.ScopeKind.EVERYTHING),
            mode=w.HoldMode.BLOCK,
            stops="every call of every agent",
            keeps_running="nothing that is guarded",
        )
        due = sum(option.impact.runs_stopped for option in options)
        options.append(
            _option(everything, Impact(calls_stopped=every, calls_kept=0, runs_stopped=due), first=False)
        )
    return tuple(options)


def _option(proposal: Proposal, impact: Impact, *, first: bool, held: r.Hold | None = None) -> c.PauseOption:
    scope = proposal.scope
    return c.PauseOption(
        value=f"{scope.kind}:{proposal.mode}:{scope.name}" + (f"\x1f{scope.item}" if scope.item else ""),
        proposal=proposal,
        impact=impact,
        recommended=first,
        held=held,
    )
