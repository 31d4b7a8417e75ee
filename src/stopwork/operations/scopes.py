"""Scopes: what may be held, and by whom.

A name that nothing bears would be a hold that holds nothing, with a promise on it. So a name has to be declared by a manifest in
force, or borne by one of the latest calls, as that of an undeclared tool is.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec.structs import replace

from stopwork.control.holds import CLASS_PREFIX, covers
from stopwork.kernel.errors import Conflict, Denied, Invalid
from stopwork.ledger.records import Call, Hold, Incident, ManifestVersion, Scope, Workflow
from stopwork.ledger.words import HoldMode, PrincipalKind, ScopeKind
from stopwork.manifest.load import manifest_in
from stopwork.manifest.model import Manifest, Trust
from stopwork.manifest.problems import one_of
from stopwork.operations.manifests import known_workflow
from stopwork.storage.transaction import Tx

#: An agent may stop its own work, not bury everybody else's decisions under thousands of holds.
MAX_HOLDS_OF_AN_AGENT: Final = 20
#: So many of a workflow's latest calls are looked at for a name that no manifest declares.
LATEST_CALLS: Final = 1_000
MAX_ITEM_CHARS: Final = 500
_NAMED: Final = frozenset({ScopeKind.TRIGGER, ScopeKind.TOOL, ScopeKind.PERMISSION, ScopeKind.SOURCE})


def workflow_of(scope: Scope) -> str | None:
    """Answer the one workflow that the scope lies in, if it lies in one."""
    return scope.name if scope.kind is ScopeKind.WORKFLOW else scope.workflow


def require_holdable(tx: Tx, scope: Scope) -> None:
    """Raise ``Invalid`` when the scope names nothing, ``Denied`` when it is not the actor's to hold."""
    if scope.kind is ScopeKind.EVERYTHING:
        if scope.name or scope.workflow:
            raise Invalid("everything has no name", hint="Leave name and workflow out.", field="scope.name")
    elif not scope.name:
        raise Invalid(f"a hold on a {scope.kind} needs its name", hint="Say which one.", field="scope.name")
    _require_item(scope)
    workflow = workflow_of(scope)
    if tx.actor.kind is PrincipalKind.AGENT and workflow != tx.actor.id:
        raise Denied("an agent holds only its own workflow", hint="A person can hold any.", found=str(scope))
    if workflow is not None:
        known_workflow(tx, workflow)
    # What the duties hold they have from the records.
    if scope.kind in _NAMED and tx.actor.kind is not PrincipalKind.SYSTEM:
        _require_borne(tx, scope)


def require_room(tx: Tx, scope: Scope, mode: HoldMode, active: Iterable[Hold]) -> None:
    """Raise ``Denied`` when an agent has set too many holds; a block of its whole workflow always has room."""
    if tx.actor.kind is not PrincipalKind.AGENT or (scope.kind, mode) == (ScopeKind.WORKFLOW, HoldMode.BLOCK):
        return
    own = sum(hold.set_by == tx.actor for hold in active)
    if own >= MAX_HOLDS_OF_AN_AGENT:
        raise Denied(
            f"{tx.actor} has set {own} holds that are still active",
            hint="Hold the whole workflow, or ask a person.",
            expected=MAX_HOLDS_OF_AN_AGENT,
            found=own,
        )


def require_shared(scope: Scope, incident: Incident) -> None:
    """Raise ``Conflict`` when the scope lies in another workflow than the incident."""
    workflow = workflow_of(scope)
    if workflow not in (None, incident.workflow):
        raise Conflict(
            f"{incident.id} is about {incident.workflow}, the hold about {workflow}",
            hint="Set the hold without the incident, or open one for that workflow.",
            expected=incident.workflow,
            found=workflow,
        )


def _require_item(scope: Scope) -> None:
    if scope.item is None:
        return
    if scope.kind is not ScopeKind.SOURCE:
        raise Invalid(
            f"a {scope.kind} has no items",
            hint="Only an item of a source is put in quarantine.",
            field="scope.item",
        )
    if not scope.item.strip() or len(scope.item) > MAX_ITEM_CHARS:
        raise Invalid(
            "an item needs its id", hint="Name it as the calls that read it do.", field="scope.item"
        )


def _require_borne(tx: Tx, scope: Scope) -> None:
    workflows = [known_workflow(tx, scope.workflow)] if scope.workflow else list(tx.each(Workflow))
    declared: set[str] = set()
    for known in workflows:
        text = tx.need(ManifestVersion, f"{known.id}@{known.version}").text
        declared |= _declared(manifest_in(text), scope.kind)
    if scope.name in declared or any(_bears(tx, known, scope) for known in workflows):
        return
    where = f" of {scope.workflow}" if scope.workflow else ""
    raise Invalid(
        f"no {scope.kind}{where} is named {scope.name!r}",
        hint=f"Did you mean {one_of(declared, scope.name)}?" if declared else "None is declared.",
        field="scope.name",
        found=scope.name,
    )


def _declared(manifest: Manifest, kind: ScopeKind) -> set[str]:
    match kind:
        case ScopeKind.TOOL:
            return set(manifest.tools)
        case ScopeKind.PERMISSION:
            return {tool.permission for tool in manifest.tools.values() if tool.permission}
        case ScopeKind.TRIGGER:
            return set(manifest.accepted_triggers)
        case _:
            return {*manifest.sources, *(f"{CLASS_PREFIX}{trust}" for trust in Trust)}


def _bears(tx: Tx, workflow: Workflow, scope: Scope) -> bool:
    scope = replace(scope, item=None)
    latest = tx.find(Call, workflow=workflow.id, order="-requested_at", limit=LATEST_CALLS)
    return any(covers(scope, call) for call in latest)
