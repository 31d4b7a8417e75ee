"""A workflow's page and a run's page."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from stopwork.control import stages
from stopwork.ledger import records as r
from stopwork.ledger import words as w
from stopwork.manifest.model import Gate, Tool
from stopwork.operations import comparing, pause_tests, points, preparedness, returning
from stopwork.operations.inventory import inventory
from stopwork.operations.manifests import known_workflow
from stopwork.server.pages import contexts as c
from stopwork.server.pages.builders.look import OPEN_STATUSES, Look, concerns, field_changes, hold_row
from stopwork.server.pages.vocabulary import label

RUNS_A_PAGE: Final = 25
CALLS_A_PAGE: Final = 200
STEPS_A_PAGE: Final = 500
OBSERVED_FOR: Final = timedelta(days=7)
MAX_INCIDENTS: Final = 20
OBSERVED_CALLS: Final = 2_000


def workflow(look: Look, workflow_id: str) -> c.WorkflowContext:
    """Answer one workflow; ``NotFound`` when no manifest declares it."""
    view = look.view
    known = known_workflow(view, workflow_id)
    compiled = look.manifests.version(view, known.id, known.version)
    holds = [hold for hold in view.each(r.Hold, active=True) if concerns(hold.scope, known.id)]
    status = look.query.get("status", "")
    wanted = {"status": status} if status in set(w.RunStatus) else {}
    runs = view.find(
        r.Run,
        workflow=known.id,
        order="-started_at",
        limit=RUNS_A_PAGE + 1,
        after=look.query.get("after") or None,
        **wanted,
    )
    here = f"/workflows/{known.id}"
    return c.WorkflowContext(
        frame=look.frame(known.title, watch=f"workflow:{known.id}"),
        workflow=known,
        manifest=view.need(r.ManifestVersion, f"{known.id}@{known.version}"),
        versions=tuple(
            sorted(view.each(r.ManifestVersion, workflow=known.id), key=lambda it: it.version, reverse=True)
        ),
        tools=tuple(
            _tool(name, tool, compiled.manifest.gate_of(name), holds)
            for name, tool in compiled.manifest.tools.items()
        ),
        runs=tuple(runs[:RUNS_A_PAGE]),
        filters=(
            look.chosen(
                "status", "Result", [("", "any"), *((each.value, label(each)) for each in w.RunStatus)]
            ),
        ),
        paging=paging(look, here, [run.id for run in runs], RUNS_A_PAGE),
        holds=tuple(hold_row(look, hold) for hold in holds),
        incidents=tuple(
            each.id
            for each in view.find(
                r.Incident,
                workflow=known.id,
                status=OPEN_STATUSES,
                practice=False,
                order="-opened_at",
                limit=MAX_INCIDENTS,
            )
        ),
        preparedness=preparedness.assess(view, look.manifests, workflow=known.id, now=look.now),
        stages=ladder(known.stage),
        no_raise=_no_raise(look, known),
        credentials=inventory(view, look.manifests, known.id),
        points=tuple(points.live(view, now=look.now, workflow=known.id)),
        next_pause_test=pause_tests.due_at(view, look.manifests, known)
        if known.mode is w.Mode.ENFORCE
        else None,
        observed=comparing.enforcement(
            view, workflow=known.id, since=look.now - OBSERVED_FOR, most=OBSERVED_CALLS
        )
        if known.mode is w.Mode.OBSERVE
        else None,
    )


def _no_raise(look: Look, workflow: r.Workflow) -> str:
    owner = workflow.owners.get(w.Role.BUSINESS, "")
    return returning.blocks_raise(look.view, workflow) or (
        "" if look.person.id == owner else f"{owner} can give it"
    )


def run(look: Look, run_id: str) -> c.RunContext:
    """Answer one run with a page of its calls, and the steps between them."""
    view = look.view
    known = view.need(r.Run, run_id)
    after = look.query.get("after") or None
    calls = view.find(r.Call, run=run_id, order="requested_at", limit=CALLS_A_PAGE + 1, after=after)
    shown = calls[:CALLS_A_PAGE]
    bounds: dict[str, Any] = {}
    if after and shown:
        bounds["at_from"] = shown[0].requested_at
    if len(calls) > CALLS_A_PAGE:
        bounds["at_before"] = calls[CALLS_A_PAGE].requested_at
    steps = view.find(r.Step, run=run_id, order="at", limit=STEPS_A_PAGE + 1, **bounds)
    moments = [
        c.Moment(at=call.requested_at, call=row) for call, row in zip(shown, _calls(look, shown), strict=True)
    ]
    moments += [c.Moment(at=step.at, step=step) for step in steps[:STEPS_A_PAGE]]
    incidents = list(view.each(r.Incident, workflow=known.workflow, order="-opened_at"))
    return c.RunContext(
        frame=look.frame("Run", watch=f"run:{run_id}"),
        run=known,
        workflow=known_workflow(view, known.workflow),
        moments=tuple(sorted(moments, key=lambda moment: moment.at)),
        paging=paging(look, f"/runs/{run_id}", [call.id for call in calls], CALLS_A_PAGE),
        more_steps=len(steps) > STEPS_A_PAGE,
        incident=next((each for each in incidents if run_id in each.runs), None),
        other_attempts=tuple(
            each
            for each in view.each(r.Run, trigger_id=known.trigger_id, order="started_at")
            if each.id != run_id and each.workflow == known.workflow
        ),
    )


def paging(look: Look, path: str, ids: list[str], size: int) -> c.Paging:
    """Answer where a list stands; ``ids`` holds one more than a page when there is a next one."""
    return c.Paging(
        shown=min(len(ids), size),
        newest=look.address(path, after="") if look.query.get("after") else None,
        older=look.address(path, after=ids[size - 1]) if len(ids) > size else None,
    )


def ladder(stage: w.Stage | None) -> tuple[c.StageStep, ...]:
    """Answer the stages from the least autonomy to the most; ``None`` stands before the first."""
    here = stages.LADDER.index(stage) if stage else -1
    return tuple(
        c.StageStep(
            stage=each,
            current=index == here,
            passed=index < here,
            allows=f"{_capital(stages.MEANING[each])}.",
        )
        for index, each in enumerate(stages.LADDER)
    )


def _calls(look: Look, calls: list[r.Call]) -> list[c.CallRow]:
    effects: dict[str, list[r.Effect]] = {}
    if calls:
        for effect in look.view.each(r.Effect, call=tuple(call.id for call in calls), order="at"):
            effects.setdefault(effect.call, []).append(effect)
    return [
        c.CallRow(
            call=call,
            effects=tuple(
                c.EffectRow(effect=effect, fields=field_changes(effect.before, effect.after))
                for effect in effects.get(call.id, ())
            ),
            approval=look.view.get(r.Approval, call.approval) if call.approval else None,
            draft=_draft(look, call),
        )
        for call in calls
    ]


def _draft(look: Look, call: r.Call) -> r.Draft | None:
    """Answer the draft that the call was stored as, or that it carries out."""
    if call.draft is not None:
        return look.view.get(r.Draft, call.draft)
    return look.view.get(r.Draft, call.id) if call.verdict is w.Verdict.DRAFT else None


def _tool(name: str, tool: Tool, gate: Gate | None, holds: list[r.Hold]) -> c.ToolRow:
    names = {w.ScopeKind.TOOL: name, w.ScopeKind.PERMISSION: tool.permission}
    return c.ToolRow(
        name=name,
        effect=tool.effect,
        risk=tool.risk,
        permission=tool.permission or "",
        object=f"{tool.object.system} / {tool.object.type}" if tool.object else "",
        gate=_gate(gate) if gate else "",
        undo=_undo(tool),
        held_by=next((hold for hold in holds if names.get(hold.scope.kind) == hold.scope.name), None),
    )


def _gate(gate: Gate) -> str:
    when = "always" if gate.when == "true" else f"when {gate.when}"
    people = ", ".join(label(role).lower() for role in gate.approvers)
    return f"{when}: {gate.quorum} of {people}" if gate.quorum > 1 else f"{when}: {people}"


def _undo(tool: Tool) -> str:
    if tool.undo is None:
        return ""
    if tool.undo.system:
        return f"the system {tool.undo.system}"
    return f"the tool {tool.undo.tool}" if tool.undo.tool else f"nothing: {tool.undo.none}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
