"""Re-enable: eleven checks, computed where the records can tell, and a ladder that is climbed one rung at a time.

Nobody jumps from failure to full autonomy: holds are lifted only onto the first stage, each further stage needs a
clean run on the one before, and every step up is signed by the business owner.
"""

from __future__ import annotations

from msgspec import Struct

from stopwork.control.stages import above
from stopwork.incidents.case import Case
from stopwork.incidents.followup import exceptions, taken_back
from stopwork.incidents.scope import uncovered
from stopwork.kernel.errors import Conflict, Denied
from stopwork.kernel.phrases import listed
from stopwork.ledger import records as r
from stopwork.ledger import words as w
from stopwork.manifest.model import Manifest

FIRST_STAGE = w.Stage.READ_ONLY

#: What a person may answer where records cannot: an attestation, or an exception with its reason.
ATTESTABLE = frozenset(
    {
        w.ReenableCheck.TESTS_ADDED,
        w.ReenableCheck.MONITORING_UPDATED,
        w.ReenableCheck.RUNBOOK_UPDATED,
    }
)
EXCEPTABLE = frozenset(
    {
        w.ReenableCheck.RECORDS_CORRECTED,
        w.ReenableCheck.PERMISSIONS_REDUCED,
        w.ReenableCheck.CONTROL_PATCHED,
    }
)
GOOD = frozenset({w.CheckState.PASSED, w.CheckState.ATTESTED, w.CheckState.EXCEPTED})


class CheckView(Struct, frozen=True, kw_only=True):
    """One check as it stands: ``how`` a person can answer it, or ``computed`` when only records count."""

    check: w.ReenableCheck
    state: w.CheckState
    why: str
    how: str
    records: tuple[str, ...] = ()
    by: str = ""


def checks(case: Case) -> tuple[CheckView, ...]:
    """Answer the eleven checks in order."""
    return tuple(_view(case, check) for check in w.ReenableCheck)


def _view(case: Case, check: w.ReenableCheck) -> CheckView:
    state, why, records = _COMPUTED[check](case)
    how = "attest" if check in ATTESTABLE else "except" if check in EXCEPTABLE else "computed"
    if check is w.ReenableCheck.OWNER_APPROVED:
        how = "sign"
    answered = next((each for each in case.checks if each.check is check), None)
    if answered is not None and check is w.ReenableCheck.OWNER_APPROVED and _outdated(case, answered):
        answered = None
    if answered is not None and state not in GOOD:
        if check is w.ReenableCheck.OWNER_APPROVED:
            return CheckView(
                check=check, state=w.CheckState.PASSED, why=answered.note, how=how, by=answered.by.id
            )
        return CheckView(check=check, state=answered.state, why=answered.note, how=how, by=answered.by.id)
    return CheckView(check=check, state=state, why=why, how=how, records=records)


def _outdated(case: Case, answered: r.Check) -> bool:
    """Answer whether a hold was set after the owner signed: the signature was for another state of things."""
    return case.incident.held_at is not None and answered.at < case.incident.held_at


Finding = tuple[w.CheckState, str, tuple[str, ...]]


def _paused(case: Case) -> Finding:
    holds = [hold for hold in case.holds if hold.active and _is_on(hold, case.workflow.id)]
    if holds:
        held = ", ".join(str(hold.scope) for hold in holds)
        return w.CheckState.PASSED, f"Held: {held}", tuple(hold.id for hold in holds)
    if case.workflow.stage is not w.Stage.NORMAL or case.incident.reenabled_at is not None:
        return w.CheckState.PASSED, f"Narrowed to the stage {_words(case.workflow.stage)}.", ()
    return w.CheckState.FAILED, "Nothing is held and the workflow runs with full autonomy.", ()


def _is_on(hold: r.Hold, workflow: str) -> bool:
    scope = hold.scope
    if scope.kind is w.ScopeKind.WORKFLOW:
        return scope.name == workflow
    return scope.workflow in (None, workflow)


def _audit(case: Case) -> Finding:
    if case.audit is None:
        return w.CheckState.FAILED, "The side effects have not been audited.", ()
    if left_out := uncovered(case):
        return w.CheckState.FAILED, f"The newest audit is not complete: {left_out}.", (case.audit.id,)
    gaps = sum(len(answer.missing) for answer in case.audit.answers)
    known = f"; {gaps} gaps are named in it" if gaps else ""
    return w.CheckState.PASSED, f"{case.audit.objects} objects listed{known}.", (case.audit.id,)


def _records_corrected(case: Case) -> Finding:
    if case.audit is not None and case.audit.objects == 0:
        return w.CheckState.PASSED, "No object was changed.", ()
    if case.plan is None:
        return w.CheckState.FAILED, "There is no recovery plan.", ()
    open_items = [i for i in case.items if i.state not in (w.ItemState.VERIFIED, w.ItemState.ACCEPTED)]
    if open_items:
        return (
            w.CheckState.FAILED,
            f"{len(open_items)} of {len(case.items)} items are neither verified nor accepted.",
            tuple(item.id for item in open_items),
        )
    if again := taken_back(case.items):
        return (
            w.CheckState.FAILED,
            f"The repairs of {len(again)} of {len(case.items)} were taken back: they hold what the agent left.",
            tuple(item.id for item in again),
        )
    if case.plan.state not in (w.PlanState.PROPOSED, w.PlanState.FINISHED):
        return w.CheckState.FAILED, f"{case.plan.id} is {case.plan.state} and not over.", (case.plan.id,)
    left = exceptions(case.items)
    signers = listed(dict.fromkeys(item.approved_by for item in left if item.approved_by))
    signed = f"; {len(left)} left as they are, signed by {signers}" if left else ""
    return (
        w.CheckState.PASSED,
        f"All {len(case.items)} items are read back or accepted{signed}.",
        (case.plan.id, *(item.id for item in left)),
    )


def _root_cause(case: Case) -> Finding:
    if case.incident.root_cause:
        return w.CheckState.PASSED, case.incident.root_cause, ()
    return w.CheckState.FAILED, "No root cause is recorded.", ()


def _control_patched(case: Case) -> Finding:
    if case.workflow.version > case.incident.version:
        version = f"{case.workflow.id}@{case.workflow.version}"
        return w.CheckState.PASSED, f"{version} replaces version {case.incident.version}.", (version,)
    return w.CheckState.FAILED, f"Version {case.incident.version} of the manifest is still in force.", ()


def _permissions(case: Case) -> Finding:
    before = case.manifests.get(case.incident.version)
    if before is None or case.workflow.version == case.incident.version:
        return w.CheckState.FAILED, "The permissions are those of the incident.", ()
    narrower = _narrower(before, case.current)
    if narrower:
        return w.CheckState.PASSED, "Narrowed: " + ", ".join(narrower) + ".", ()
    return w.CheckState.FAILED, "The new version permits what the old one did.", ()


def _narrower(before: Manifest, after: Manifest) -> list[str]:
    found = [f"{name} removed" for name in before.tools if name not in after.tools]
    for name, tool in after.tools.items():
        old = before.tools.get(name)
        if old is None:
            continue
        if tool.permission != old.permission:
            found.append(f"{name} uses {tool.permission or 'no permission'}")
        if tool.risk is w.Risk.BLOCKED and old.risk is not w.Risk.BLOCKED:
            found.append(f"{name} blocked")
        if after.gate_of(name) is not None and before.gate_of(name) is None:
            found.append(f"{name} gated")
        if tool.deny_when and not old.deny_when:
            found.append(f"{name} has a condition")
    return found


def _tests(case: Case) -> Finding:
    return w.CheckState.UNKNOWN, "Say which test now fails without the patch.", ()


def _monitoring(case: Case) -> Finding:
    before = case.manifests.get(case.incident.version)
    if before is not None and before.alerts != case.current.alerts:
        return w.CheckState.PASSED, "The alert rules changed with the new version.", ()
    return w.CheckState.UNKNOWN, "The alert rules are those of the incident.", ()


def _runbook(case: Case) -> Finding:
    return w.CheckState.UNKNOWN, "Say where the runbook is and what changed.", ()


def _owner(case: Case) -> Finding:
    return w.CheckState.UNKNOWN, f"{case.incident.business_owner} has not signed.", ()


def _first_run(case: Case) -> Finding:
    since = case.incident.reenabled_at
    if since is None:
        return w.CheckState.UNKNOWN, "The workflow is not running again yet.", ()
    clean = [
        run for run in case.later_runs if run.started_at >= since and run.status is w.RunStatus.SUCCEEDED
    ]
    if clean:
        return w.CheckState.PASSED, f"Run {clean[0].id} ended well after the return.", (clean[0].id,)
    return w.CheckState.UNKNOWN, "No run has ended well since the return.", ()


_COMPUTED = {
    w.ReenableCheck.PAUSED_OR_NARROWED: _paused,
    w.ReenableCheck.AUDIT_COMPLETE: _audit,
    w.ReenableCheck.RECORDS_CORRECTED: _records_corrected,
    w.ReenableCheck.ROOT_CAUSE_KNOWN: _root_cause,
    w.ReenableCheck.CONTROL_PATCHED: _control_patched,
    w.ReenableCheck.PERMISSIONS_REDUCED: _permissions,
    w.ReenableCheck.TESTS_ADDED: _tests,
    w.ReenableCheck.MONITORING_UPDATED: _monitoring,
    w.ReenableCheck.RUNBOOK_UPDATED: _runbook,
    w.ReenableCheck.OWNER_APPROVED: _owner,
    w.ReenableCheck.FIRST_RUN_MONITORED: _first_run,
}


def require_answerable(case: Case, check: w.ReenableCheck, person: str) -> w.CheckState:
    """Answer the state that a person's answer to this check gets; ``Denied`` or ``Conflict`` when it is not theirs to give."""
    if check is w.ReenableCheck.OWNER_APPROVED:
        if person != case.incident.business_owner:
            raise Denied(
                f"only the business owner {case.incident.business_owner} signs the return",
                hint="Ask them; the technical owner alone cannot re-enable.",
            )
        open_checks = [
            view.check
            for view in checks(case)
            if view.state not in GOOD
            and view.check not in (w.ReenableCheck.OWNER_APPROVED, w.ReenableCheck.FIRST_RUN_MONITORED)
        ]
        if open_checks:
            raise Conflict(
                "the owner signs last: " + ", ".join(open_checks) + " still open",
                hint="Answer these checks first.",
                open=[str(check) for check in open_checks],
            )
        return w.CheckState.PASSED
    if check in ATTESTABLE:
        return w.CheckState.ATTESTED
    if check in EXCEPTABLE:
        if person != case.incident.business_owner:
            raise Denied(
                f"an exception to {check} is signed by the business owner {case.incident.business_owner}",
                hint="Ask them, or do what the check asks for.",
            )
        return w.CheckState.EXCEPTED
    raise Conflict(f"{check} follows from the records", hint="Do what it asks for; it answers itself.")


class StageStep(Struct, frozen=True, kw_only=True):
    """The next rung: ``blocked`` names what is missing, and is empty when the owner may take it."""

    before: w.Stage
    after: w.Stage | None
    blocked: str


def next_step(case: Case) -> StageStep:
    """Answer the next stage upwards and what it still needs."""
    stage = case.workflow.stage
    waiting = [each.id for each in case.others if each.paused_at is not None and each.reenabled_at is None]
    if waiting:
        after = FIRST_STAGE if case.incident.reenabled_at is None else above(stage)
        blocked = f"{listed(waiting)} of the same workflow has not returned yet."
        return StageStep(before=stage, after=after, blocked=blocked)
    if case.incident.reenabled_at is None:
        open_checks = [
            str(view.check)
            for view in checks(case)
            if view.state not in GOOD and view.check is not w.ReenableCheck.FIRST_RUN_MONITORED
        ]
        blocked = f"Open checks: {', '.join(open_checks)}." if open_checks else ""
        return StageStep(before=stage, after=FIRST_STAGE, blocked=blocked)
    if stage is w.Stage.NORMAL:
        return StageStep(before=stage, after=None, blocked="The workflow has its full autonomy back.")
    after = above(stage)
    since = case.workflow.stage_since or case.incident.reenabled_at
    runs = [
        run for run in case.later_runs if run.started_at >= since and run.status is not w.RunStatus.RUNNING
    ]
    if not runs:
        return StageStep(
            before=stage,
            after=after,
            blocked=f"A run on the stage {_words(stage)} comes first: start the agent, or wait for its schedule.",
        )
    if runs[-1].status is not w.RunStatus.SUCCEEDED:
        return StageStep(before=stage, after=after, blocked=f"The last run on this stage {runs[-1].status}.")
    return StageStep(before=stage, after=after, blocked="")


def _words(stage: w.Stage) -> str:
    return stage.value.replace("_", " ")


def require_raise(case: Case, person: str) -> w.Stage:
    """Answer the stage that ``person`` may now raise to; ``Denied`` for anyone but the business owner, ``Conflict`` too early."""
    if person != case.incident.business_owner:
        raise Denied(
            f"only the business owner {case.incident.business_owner} gives autonomy back",
            hint="Ask them; lowering a stage is free to anyone.",
        )
    step = next_step(case)
    if step.after is None or step.blocked:
        raise Conflict(
            f"the stage cannot be raised: {step.blocked}", hint="The incident page shows what is open."
        )
    return step.after
