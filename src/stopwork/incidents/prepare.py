"""Prepare: ten questions about a workflow before its next incident, answered from records and scored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from stopwork.detect.registry import DETECTORS
from stopwork.kernel.phrases import count_of, listed
from stopwork.ledger import records as r
from stopwork.ledger import words as w
from stopwork.manifest.alerts import REPORT_RULES
from stopwork.manifest.model import Criticality, Manifest

#: How many recent runs are looked at for complete run records.
RECENT_RUNS = 10
REQUIRED_ROLES = (w.Role.BUSINESS, w.Role.TECHNICAL, w.Role.BACKUP, w.Role.SECURITY)


class Readiness(Struct, frozen=True, kw_only=True):
    """One check: what was found and, where it failed, what to do."""

    check: w.PreparednessCheck
    state: w.CheckState
    found: str
    todo: str = ""


class Preparedness(Struct, frozen=True, kw_only=True):
    """All ten checks of one workflow; ``score`` is the share passed, in whole percent."""

    workflow: str
    checks: tuple[Readiness, ...]
    score: int
    at: datetime


class History(Struct, frozen=True, kw_only=True):
    """What the checks look at beside the manifest: the recent runs with their steps, the versions, and the latest pause test."""

    runs: tuple[r.Run, ...]
    steps: tuple[r.Step, ...]
    calls: tuple[r.Call, ...]
    versions: tuple[r.ManifestVersion, ...]
    pause_test: r.PauseTest | None = None
    pause_test_due: bool = False


def review(manifest: Manifest, history: History, now: datetime) -> Preparedness:
    """Answer how prepared the workflow is at ``now``."""
    checks = tuple(_CHECKS[check](manifest, history) for check in w.PreparednessCheck)
    passed = sum(each.state is w.CheckState.PASSED for each in checks)
    return Preparedness(
        workflow=manifest.workflow, checks=checks, score=round(100 * passed / len(checks)), at=now
    )


def _answer(check: w.PreparednessCheck, missing: Sequence[str], found: str, todo: str) -> Readiness:
    if not missing:
        return Readiness(check=check, state=w.CheckState.PASSED, found=found)
    return Readiness(
        check=check, state=w.CheckState.FAILED, found=f"Missing: {', '.join(missing[:8])}.", todo=todo
    )


def _owner_map(manifest: Manifest, history: History) -> Readiness:
    missing = [role.value for role in REQUIRED_ROLES if manifest.owners.holding(role) is None]
    return _answer(
        w.PreparednessCheck.OWNER_MAP, missing, "All four roles have a person.", "Name them under owners."
    )


def _pause_control(manifest: Manifest, history: History) -> Readiness:
    test, check = history.pause_test, w.PreparednessCheck.PAUSE_CONTROL
    todo = f"Prove it: stopwork pause-test {manifest.workflow}"
    if test is None:
        found = "Nobody has tested yet whether a pause stops it."
        return Readiness(check=check, state=w.CheckState.FAILED, found=found, todo=todo)
    at = f"{test.at:%Y-%m-%d %H:%M} UTC"
    if not test.passed:
        failed = [*(each.text for each in test.levels if each.state is w.CheckState.FAILED)]
        failed += [f"{name} did not confirm" for name in test.unconfirmed]
        found = f"The pause test of {at} failed: {listed(failed)}."
        return Readiness(check=check, state=w.CheckState.FAILED, found=found, todo=todo)
    if history.pause_test_due:
        found = f"Last tested on {at}; a test is due every {manifest.pause_test.every}."
        return Readiness(check=check, state=w.CheckState.FAILED, found=found, todo=todo)
    slowest_s = max((each.refused_after_s or 0.0 for each in test.levels), default=0.0)
    proved = [str(each.level) for each in test.levels if each.state is w.CheckState.PASSED]
    heard = test.points - len(test.silent)
    found = f"Tested on {at}: {listed(proved)} stopped a call within {1_000 * slowest_s:.1f} ms, " + (
        f"{count_of(heard, 'guard')} confirmed within {test.confirmed_after_s or 0.0:.1f} s."
        if heard
        else "no guard was connected."
    )
    return Readiness(check=check, state=w.CheckState.PASSED, found=found)


def _run_records(manifest: Manifest, history: History) -> Readiness:
    if not history.runs:
        return Readiness(
            check=w.PreparednessCheck.RUN_RECORDS,
            state=w.CheckState.FAILED,
            found="No run is recorded yet.",
            todo="Let the agent run once under the guard.",
        )
    missing = []
    ids = {run.id for run in history.runs}
    kinds = {(step.run, step.kind) for step in history.steps}
    called = {call.run for call in history.calls}
    for name, complete in (
        ("prompt", all(run.runtime.get("prompt") for run in history.runs)),
        ("model", all(run.runtime.get("model") for run in history.runs)),
        ("inputs", all((run, w.StepKind.RETRIEVAL) in kinds for run in ids)),
        ("tool calls", ids <= called),
        ("cost", all(run.unpriced == 0 and (run.tokens or run.cost_usd) for run in history.runs)),
        ("status", all(run.status is not w.RunStatus.ABANDONED for run in history.runs)),
    ):
        if not complete:
            missing.append(name)
    number = len(history.runs)
    return _answer(
        w.PreparednessCheck.RUN_RECORDS,
        missing,
        f"The last {number} {'run is' if number == 1 else 'runs are'} recorded completely.",
        "Report it with the run and its steps.",
    )


def _object_tracking(manifest: Manifest, history: History) -> Readiness:
    missing = [
        name
        for name, tool in manifest.tools.items()
        if tool.writes and (tool.object is None or not tool.idempotency)
    ]
    return _answer(
        w.PreparednessCheck.AFFECTED_OBJECT_TRACKING,
        missing,
        "Every writing tool names its object and its idempotency key.",
        "Declare object and idempotency for these tools.",
    )


def _approval_gates(manifest: Manifest, history: History) -> Readiness:
    missing = [
        name
        for name, tool in manifest.tools.items()
        if tool.writes and tool.risk is w.Risk.HIGH and manifest.gate_of(name) is None
    ]
    return _answer(
        w.PreparednessCheck.APPROVAL_GATES,
        missing,
        "Every writing tool of high risk asks first.",
        "Add a gate to these tools.",
    )


def _severity_matrix(manifest: Manifest, history: History) -> Readiness:
    missing = [
        name
        for name, declared in (
            ("data_classes", manifest.data_classes),
            ("impact", manifest.impact),
            ("affected_parties", manifest.affected_parties),
        )
        if not declared
    ]
    return _answer(
        w.PreparednessCheck.SEVERITY_MATRIX,
        missing,
        "Data classes, impact and affected parties are declared.",
        "Declare them, so that severity is proposed from facts.",
    )


def _alert_rules(manifest: Manifest, history: History) -> Readiness:
    served = {*(detector.name for detector in DETECTORS), *REPORT_RULES}
    lacking = {
        "missed_run": manifest.schedule is None,
        "stale_input": not any(source.fresh_within for source in manifest.sources.values()),
        "cost": manifest.budget.run_usd is None,
    }
    rules = manifest.alerts.__struct_fields__
    return _answer(
        w.PreparednessCheck.ALERT_RULES,
        [
            rule
            for rule in rules
            if rule not in served or lacking.get(rule) or not getattr(manifest.alerts, rule).enabled
        ],
        f"All {len(rules)} rules are on, and each has what it needs.",
        "Switch them on; missed_run needs a schedule, stale_input a source with fresh_within, cost a budget per run.",
    )


def _recovery_paths(manifest: Manifest, history: History) -> Readiness:
    missing = [name for name, tool in manifest.tools.items() if tool.writes and tool.undo is None]
    found = _answer(
        w.PreparednessCheck.RECOVERY_PATHS,
        missing,
        "Every writing tool says how it is undone, or that it cannot be.",
        "Declare undo for these tools.",
    )
    return replace(found, found=f"{found.found} {_inventory(manifest)}")


def _inventory(manifest: Manifest) -> str:
    """Say whether containment will know which credentials there are."""
    carried = {name for each in manifest.credentials.values() for name in each.permissions}
    used = dict.fromkeys(tool.permission for tool in manifest.tools.values() if tool.permission)
    left = [name for name in used if name not in carried]
    if not manifest.credentials:
        return "No credential is listed: an incident cannot say what to revoke, nor who else uses it."
    listed_ones = f"{count_of(len(manifest.credentials), 'credential')} listed"
    return f"{listed_ones}; none carries {listed(left)}." if left else f"{listed_ones}."


def _change_control(manifest: Manifest, history: History) -> Readiness:
    runtime = manifest.runtime
    missing = [
        name
        for name, declared in (
            ("prompt digest", runtime and runtime.prompt),
            ("model", runtime and runtime.model),
            ("a reason on every version", all(version.reason for version in history.versions)),
        )
        if not declared
    ]
    return _answer(
        w.PreparednessCheck.CHANGE_CONTROL,
        missing,
        f"{len(history.versions)} versions, each with a reason; prompt and model are pinned.",
        "Declare them under runtime.",
    )


def _tabletop_drill(manifest: Manifest, history: History) -> Readiness:
    often = "every quarter" if manifest.criticality is Criticality.HIGH else "once before production"
    return Readiness(
        check=w.PreparednessCheck.TABLETOP_DRILL,
        state=w.CheckState.FAILED,
        found="No drill is recorded.",
        todo=f"Rehearse an incident {often}.",
    )


_CHECKS: dict[w.PreparednessCheck, Callable[[Manifest, History], Readiness]] = {
    w.PreparednessCheck.OWNER_MAP: _owner_map,
    w.PreparednessCheck.PAUSE_CONTROL: _pause_control,
    w.PreparednessCheck.RUN_RECORDS: _run_records,
    w.PreparednessCheck.AFFECTED_OBJECT_TRACKING: _object_tracking,
    w.PreparednessCheck.APPROVAL_GATES: _approval_gates,
    w.PreparednessCheck.SEVERITY_MATRIX: _severity_matrix,
    w.PreparednessCheck.ALERT_RULES: _alert_rules,
    w.PreparednessCheck.RECOVERY_PATHS: _recovery_paths,
    w.PreparednessCheck.CHANGE_CONTROL: _change_control,
    w.PreparednessCheck.TABLETOP_DRILL: _tabletop_drill,
}
