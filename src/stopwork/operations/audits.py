"""Audit: the twelve answers, computed from the records in a scope and kept as they were on that day."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final

from msgspec import Struct

from stopwork.incidents.affected import affected_objects
from stopwork.incidents.audit import answers
from stopwork.incidents.case import Case
from stopwork.incidents.completeness import completeness
from stopwork.incidents.scope import described, within
from stopwork.kernel.errors import Invalid
from stopwork.ledger.events import AuditCompleted
from stopwork.ledger.records import (
    Answer,
    Audit,
    AuditCompleteness,
    AuditFollowed,
    AuditScope,
    Call,
    Captured,
    Image,
    Incident,
    ManifestVersion,
    ObjectRef,
    Principal,
    Run,
)
from stopwork.ledger.words import ImageState
from stopwork.operations.cases import gather
from stopwork.operations.following import LINGER, followed
from stopwork.operations.installation import Installation
from stopwork.operations.looking import look
from stopwork.operations.manifests import Manifests
from stopwork.operations.people import refuse_agent, require_person
from stopwork.storage.transaction import Tx
from stopwork.storage.view import View

#: How many calls an audit takes in where its scope names versions or a time. What an incident's own runs did is never cut.
MAX_CALLS: Final = 50_000
THE_INCIDENT: Final = AuditScope()


def audit(
    installation: Installation, actor: Principal, *, incident: str, scope: AuditScope = THE_INCIDENT
) -> Audit:
    """Work the audit out in one snapshot, look at every object of which nobody saw what the calls left there, and record it.

    The writer only records: pauses and permits do not wait for it, however large the scope. ``tree_size`` says how much of the journal
    it goes by.
    """
    refuse_agent(actor, "complete an audit")
    found = installation.store.read(
        lambda view: worked_out(view, installation.manifests, incident=incident, scope=scope)
    )
    seen = look(installation.systems, found.unseen)
    return installation.store.write(lambda tx: record(tx, found, seen=seen), actor=actor)


class WorkedOut(Struct, frozen=True, kw_only=True):
    """An audit that is not on record yet. ``unseen`` are the objects of which nobody saw what the calls left there."""

    incident: Incident
    runs: tuple[str, ...]
    answers: tuple[Answer, ...]
    objects: int
    unseen: tuple[ObjectRef, ...]
    scope: AuditScope
    completeness: AuditCompleteness
    followed: AuditFollowed | None
    tree_size: int


def worked_out(
    view: View,
    manifests: Manifests,
    *,
    incident: str,
    scope: AuditScope = THE_INCIDENT,
) -> WorkedOut:
    """Compute the audit of an incident in a scope."""
    case, left_out = in_scope(view, manifests, incident, scope)
    affected = affected_objects(case)
    return WorkedOut(
        incident=case.incident,
        runs=tuple(run.id for run in case.runs),
        answers=answers(case),
        objects=sum(not each.transient for each in affected),
        unseen=tuple(each.object for each in affected if each.after.state is ImageState.UNKNOWN),
        scope=scope,
        completeness=completeness(case, left_out=left_out),
        followed=followed(view, manifests, case) if scope.followed else None,
        tree_size=view.last_seq(),
    )


def record(tx: Tx, found: WorkedOut, *, seen: Mapping[ObjectRef, Image] | None = None) -> Audit:
    """Record an audit that was worked out. It may be done again: the newest counts.

    ``seen`` is what objects hold now of which the records cannot tell what the calls left.
    """
    require_person(tx, "complete an audit")
    audit_id = tx.new_id("audit")
    tx.record(
        AuditCompleted(
            incident=found.incident.id,
            workflow=found.incident.workflow,
            audit=audit_id,
            runs=found.runs,
            answers=found.answers,
            objects=found.objects,
            seen=tuple(Captured(object=ref, image=image) for ref, image in (seen or {}).items()),
            scope=found.scope,
            completeness=found.completeness,
            followed=found.followed,
            tree_size=found.tree_size,
        )
    )
    return tx.need(Audit, audit_id)


def complete(tx: Tx, manifests: Manifests, *, incident: str, scope: AuditScope = THE_INCIDENT) -> Audit:
    """Work out and record the audit of a small incident within one transaction, without looking at any object."""
    return record(tx, worked_out(tx, manifests, incident=incident, scope=scope))


def audited(view: View, manifests: Manifests, incident: str) -> Case:
    """Answer the case as far as its newest audit is about it: what is listed as affected, and what a plan is proposed for."""
    case = gather(view, manifests, incident)
    if case.audit is None or not case.audit.scope.narrowed:
        return case
    return in_scope(view, manifests, incident, case.audit.scope)[0]


def in_scope(view: View, manifests: Manifests, incident: str, scope: AuditScope) -> tuple[Case, str]:
    """Answer the case in the scope, and what of the scope was too much to be looked at.

    ``Invalid`` for a scope that names what is not the workflow's, or a time that ends before it begins.
    """
    workflow = view.need(Incident, incident).workflow
    _require_sensible(view, workflow, scope)
    if not scope.named:
        return within(gather(view, manifests, incident), scope), ""
    if scope.runs:
        return within(gather(view, manifests, incident, runs=scope.runs), scope), ""
    calls = list(itertools.islice(_calls(view, workflow, scope), MAX_CALLS + 1))
    left_out = ""
    if len(calls) > MAX_CALLS:
        calls.pop()
        left_out = (
            f"Only the first {MAX_CALLS:,} {described(scope)} are looked at; "
            f"ask for a shorter time to see the others."
        )
    case = gather(view, manifests, incident, runs=(call.run for call in calls), calls=calls)
    return within(case, scope), left_out


def _calls(view: View, workflow: str, scope: AuditScope) -> Iterator[Call]:
    """Answer the calls of the workflow in the times that the scope is about, oldest first, each once."""
    told: set[str] = set()
    for since, until in _times(view, workflow, scope):
        asked = {"requested_at_from": since, "requested_at_before": until}
        between = {name: at for name, at in asked.items() if at is not None}
        for call in view.each(Call, workflow=workflow, order="requested_at", **between):
            if call.id not in told and (not scope.versions or call.version in scope.versions):
                told.add(call.id)
                yield call


def _times(view: View, workflow: str, scope: AuditScope) -> Iterator[tuple[datetime | None, datetime | None]]:
    if not scope.versions:
        yield scope.since, scope.until
        return
    for version in sorted(set(scope.versions)):
        began = _in_force(view, workflow, version)
        ends = [at for at in (_next_in_force(view, workflow, version), scope.until) if at is not None]
        yield max(filter(None, (began, scope.since)), default=None), min(ends, default=None)


def _in_force(view: View, workflow: str, version: int) -> datetime | None:
    found = view.need(ManifestVersion, f"{workflow}@{version}")
    return found.in_force_since or found.at


def _next_in_force(view: View, workflow: str, version: int) -> datetime | None:
    later = view.each(ManifestVersion, workflow=workflow, version_from=version + 1, order="version")
    return next((each.in_force_since + LINGER for each in later if each.in_force_since), None)


def _require_sensible(view: View, workflow: str, scope: AuditScope) -> None:
    for run in scope.runs:
        if view.need(Run, run).workflow != workflow:
            raise Invalid(
                f"{run} is no run of {workflow}",
                hint="An audit is about one workflow; ask --followed for what others did afterwards.",
                field="runs",
            )
    for version in scope.versions:
        if view.get(ManifestVersion, f"{workflow}@{version}") is None:
            raise Invalid(
                f"{workflow} has no version {version}",
                hint=f"See them: stopwork workflows show {workflow}",
                field="versions",
            )
    for tool in scope.tools:
        if view.first(Call, workflow=workflow, tool=tool) is None:
            raise Invalid(
                f"{workflow} has no call of {tool}",
                hint=f"See its calls: stopwork calls list --workflow {workflow}",
                field="tools",
            )
    if scope.since and scope.until and scope.until <= scope.since:
        raise Invalid("the time ends before it begins", hint="Exchange since and until.", field="until")
