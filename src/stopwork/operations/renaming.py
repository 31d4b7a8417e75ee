"""A workflow or a tool under another name: what was held stays held.

A hold names what it covers. The same thing under a new name would be a way around it, by intent or by accident. A manifest that
says ``formerly`` takes the holds along; one that does not, and looks like a workflow that is held, has to be said to be another one.
So has a version that takes a tool out from under a hold, or names a new one where a held one was.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from stopwork.control.holds import covers
from stopwork.control.stages import LADDER
from stopwork.kernel.errors import Invalid
from stopwork.kernel.phrases import listed
from stopwork.ledger.events import HoldSet
from stopwork.ledger.records import Control, Hold, ManifestVersion, Scope, Workflow
from stopwork.ledger.words import EffectKind, ScopeKind, Stage
from stopwork.manifest.load import manifest_in
from stopwork.manifest.model import Manifest
from stopwork.manifest.problems import one_of
from stopwork.storage.transaction import Tx
from stopwork.storage.view import View


class Lookalike(Struct, frozen=True, kw_only=True):
    """What is held, and what a manifest could be a way around.

    With no ``tools`` it is a workflow that the new one could be another name of; else the version lets these tools of the workflow
    itself out from under the holds.
    """

    workflow: str
    holds: tuple[str, ...]
    tools: tuple[str, ...] = ()

    @property
    def told(self) -> str:
        """What is the matter, in a sentence without its full stop."""
        if self.tools:
            return f"{listed(self.holds)} would not cover {listed(self.tools)} in this version of {self.workflow}"
        return f"{self.workflow} does the same for the same people and is held by {listed(self.holds)}"

    @property
    def way_out(self) -> str:
        """What to do about it."""
        if self.tools:
            return "Keep the names and permissions that are held until the hold is lifted. If this is meant, say so: --another"
        return (
            f"If this is its new name, add to the manifest: formerly: {self.workflow}. "
            "If it is another workflow, say so: --another"
        )


class _Declared(Struct, frozen=True, kw_only=True):
    """A tool as a manifest declares it, in the words that a hold's scope is compared with."""

    workflow: str
    tool: str
    effect: EffectKind
    permission: str | None
    source: str | None
    source_class: str | None
    trigger: str = ""
    destinations: tuple[str, ...] = ()
    args: dict[str, Any] = {}


def escapes(view: View, before: Manifest, after: Manifest) -> tuple[Lookalike, ...]:
    """Answer the holds that cover less in the next version: a tool that they no longer cover, or a new one in the place of one that is gone."""
    return tuple(
        Lookalike(workflow=after.workflow, holds=(hold.id,), tools=tools)
        for hold in view.each(Hold, active=True)
        if (tools := tuple(_let_out(hold.scope, before, after)))
    )


def lookalikes(view: View, manifest: Manifest) -> tuple[Lookalike, ...]:
    """Answer the held workflows that do the same for the same people as a new manifest, which does not name them as its former name."""
    held: dict[str, list[str]] = {}
    for hold in view.each(Hold, active=True):
        workflow = _workflow_of(hold.scope)
        if workflow not in (None, manifest.workflow, manifest.formerly):
            held.setdefault(workflow, []).append(hold.id)
    return tuple(
        Lookalike(workflow=name, holds=tuple(ids))
        for name, ids in held.items()
        if (known := view.get(Workflow, name)) is not None and _alike(_manifest(view, known), manifest)
    )


def former(view: View, manifest: Manifest) -> Workflow | None:
    """Answer the workflow that the manifest says it was; ``Invalid`` when there was none of that name."""
    if manifest.formerly is None:
        return None
    known = view.get(Workflow, manifest.formerly)
    if known is None:
        names = [each.id for each in view.each(Workflow)]
        raise Invalid(
            f"formerly: there is no workflow {manifest.formerly!r}",
            hint=f"Did you mean {one_of(names, manifest.formerly)}? Without a former name leave the line out."
            if names
            else "Leave the line out: this is the first workflow here.",
            field="formerly",
            found=manifest.formerly,
        )
    return known


def first_stage(view: View, manifest: Manifest, before: Workflow | None) -> Stage:
    """Answer the stage in which a new workflow starts: a new name gives no autonomy back, and what is held comes back step by step."""
    stages = [manifest.stages.start]
    if before is not None:
        held = any(_workflow_of(hold.scope) == before.id for hold in view.each(Hold, active=True))
        stages += [before.stage, *([Stage.READ_ONLY] if held else ())]
    return min(stages, key=LADDER.index)


def take_holds_along(tx: Tx, workflow: str, before: str) -> None:
    """Set every hold of the former name on this one too, unless it is."""
    for hold in tuple(tx.each(Hold, active=True)):
        if _workflow_of(hold.scope) == before:
            _set_on(tx, hold, workflow)


def hold_successors(tx: Tx, hold: Hold) -> None:
    """Set a hold of a workflow on those too that had its name before."""
    before = _workflow_of(hold.scope)
    if before is None:
        return
    for successor in tuple(tx.each(Workflow)):
        if successor.formerly == before:
            _set_on(tx, hold, successor.id)


def _set_on(tx: Tx, hold: Hold, workflow: str) -> None:
    """Set the hold on another name. It stands by itself: what returns the former workflow does not return this one."""
    scope = _renamed(hold.scope, workflow)
    if any((each.scope, each.mode) == (scope, hold.mode) for each in tx.each(Hold, active=True)):
        return
    hold_id = tx.new_id("hold")
    tx.record(
        HoldSet(
            hold=hold_id,
            scope=scope,
            mode=hold.mode,
            reason=f"{hold.reason} (as {hold.id} on {_workflow_of(hold.scope)}, its former name)",
            epoch=tx.need(Control, "control").epoch + 1,
            workflow=workflow,
        )
    )
    hold_successors(tx, tx.need(Hold, hold_id))


def _let_out(scope: Scope, before: Manifest, after: Manifest) -> Iterator[str]:
    scope = replace(scope, item=None)
    held = _covered(scope, before)
    still = _covered(scope, after)
    gone = bool(held - after.tools.keys())
    for tool in after.tools:
        is_new = gone and tool not in before.tools
        if (tool in held or is_new) and tool not in still:
            yield tool


def _covered(scope: Scope, manifest: Manifest) -> set[str]:
    return {name for name in manifest.tools if covers(scope, _declared(manifest, name))}


def _declared(manifest: Manifest, name: str) -> _Declared:
    tool = manifest.tools[name]
    source = manifest.sources.get(tool.source) if tool.source else None
    return _Declared(
        workflow=manifest.workflow,
        tool=name,
        effect=tool.effect,
        permission=tool.permission,
        source=tool.source,
        source_class=source.trust if source else None,
    )


def _renamed(scope: Scope, workflow: str) -> Scope:
    if scope.kind is ScopeKind.WORKFLOW:
        return Scope(kind=scope.kind, name=workflow)
    return replace(scope, workflow=workflow)


def _alike(before: Manifest, after: Manifest) -> bool:
    """Whether both share an owner, and change things by the same tools or the same things by tools of other names.

    Where none changes anything, the tools are compared that read.
    """
    shared = set(before.owners.by_role().values()) & set(after.owners.by_role().values())
    return bool(shared) and (_deeds(before) == _deeds(after) or _reach(before) == _reach(after))


def _deeds(manifest: Manifest) -> set[str]:
    return {name for name, tool in manifest.tools.items() if tool.writes} or set(manifest.tools)


def _reach(manifest: Manifest) -> list[str]:
    """What the tools do to which objects, under which permissions, whatever they are called."""
    tools = [manifest.tools[name] for name in _deeds(manifest)]
    return sorted(
        f"{tool.effect} {tool.object.system + ' ' + tool.object.type if tool.object else ''} {tool.permission}"
        for tool in tools
    )


def _manifest(view: View, workflow: Workflow) -> Manifest:
    return manifest_in(view.need(ManifestVersion, f"{workflow.id}@{workflow.version}").text)


def _workflow_of(scope: Scope) -> str | None:
    return scope.name if scope.kind is ScopeKind.WORKFLOW else scope.workflow
