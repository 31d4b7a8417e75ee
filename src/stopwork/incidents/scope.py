"""The scope of an audit: the calls that it is about."""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from stopwork.incidents.case import Case
from stopwork.kernel.phrases import count_of, listed, moment
from stopwork.ledger import records as r


def within(case: Case, scope: r.AuditScope) -> Case:
    """Answer the case as far as it is in the scope: its calls, and the runs, steps, effects and approvals that go with them."""
    if not scope.narrowed:
        return case
    changed: dict[str, set[r.ObjectRef]] = {}
    for effect in case.effects:
        changed.setdefault(effect.call, set()).add(effect.object)
    calls = tuple(call for call in case.calls if _in(call, scope, changed.get(call.id, set())))
    kept = {call.id for call in calls}
    runs = {call.run for call in calls} | set(scope.runs)
    return replace(
        case,
        runs=tuple(run for run in case.runs if run.id in runs),
        steps=tuple(step for step in case.steps if step.run in runs and _in_time(step.at, scope)),
        calls=calls,
        effects=tuple(effect for effect in case.effects if effect.call in kept),
        approvals=tuple(approval for approval in case.approvals if approval.call in kept),
    )


def _in(call: r.Call, scope: r.AuditScope, changed: set[r.ObjectRef]) -> bool:
    return (
        (not scope.runs or call.run in scope.runs)
        and (not scope.versions or call.version in scope.versions)
        and (not scope.tools or call.tool in scope.tools)
        and (not scope.objects or not changed.isdisjoint(scope.objects))
        and _in_time(call.requested_at, scope)
    )


def _in_time(at: datetime, scope: r.AuditScope) -> bool:
    since, until = scope.since, scope.until
    return (since is None or at >= since) and (until is None or at < until)


def described(scope: r.AuditScope) -> str:
    """Answer the scope in a few words."""
    parts = [
        listed(scope.runs) and f"of {listed(scope.runs)}",
        listed(map(str, scope.versions)) and f"under version {listed(map(str, scope.versions))}",
        f"since {moment(scope.since)}" if scope.since else "",
        f"until {moment(scope.until)}" if scope.until else "",
        listed(scope.tools) and f"by {listed(scope.tools)}",
        listed(map(str, scope.objects)) and f"that changed {listed(map(str, scope.objects))}",
    ]
    said = " ".join(filter(None, parts))
    if not scope.named:
        said = f"of the incident's runs {said}".rstrip()
    return f"calls {said}" + (", and what followed" if scope.followed else "")


def uncovered(case: Case) -> str:
    """Say what of the incident its newest audit leaves out; empty when it is about all of it, or there is none."""
    if case.audit is None:
        return ""
    added = [run.id for run in case.runs if run.id not in case.audit.runs]
    if case.audit.scope.narrowed:
        left = _calls_left_out(case, case.audit)
        return f"it is only about {described(case.audit.scope)}: {left} left out" if left else ""
    return f"{listed(added)} came in after the audit" if added else ""


def _calls_left_out(case: Case, audit: r.Audit) -> str:
    known = {call.id for call in within(case, audit.scope).calls}
    left = [call for call in case.calls if call.id not in known]
    return count_of(len(left), "call of the incident", "calls of the incident") if left else ""
