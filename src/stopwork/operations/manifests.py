"""Manifests in force: applying a version, and the compiled form of each version."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from stopwork.kernel.errors import Conflict, Denied, Invalid, NotFound
from stopwork.kernel.phrases import listed
from stopwork.ledger.events import Entry, ManifestApplied
from stopwork.ledger.records import ManifestVersion, Workflow
from stopwork.ledger.words import PrincipalKind, Role
from stopwork.manifest.compiled import CompiledManifest, compile_manifest
from stopwork.manifest.diff import Change, diff
from stopwork.manifest.load import Loaded, load
from stopwork.operations.people import administrators, require_owner
from stopwork.storage.transaction import Tx
from stopwork.storage.view import View

MAX_COMPILED: Final = 256
#: What decides about everything else: who owns the workflow, and whether anything is enforced.
_OWNERS_ONLY: Final = frozenset({"owners", "mode"})


class Manifests:
    """Compiled manifests by version; a version never changes, so each is compiled once."""

    def __init__(self) -> None:
        self._compiled: dict[str, CompiledManifest] = {}
        self._lock = threading.Lock()

    def version(self, view: View, workflow: str, version: int) -> CompiledManifest:
        """Answer one version; ``NotFound`` when it was never applied."""
        key = f"{workflow}@{version}"
        with self._lock:
            if (known := self._compiled.get(key)) is not None:
                return known
        compiled = compile_manifest(load(view.need(ManifestVersion, key).text).manifest)
        with self._lock:
            if len(self._compiled) >= MAX_COMPILED:
                self._compiled.clear()
            self._compiled[key] = compiled
        return compiled

    def forget(self, entries: Sequence[Entry]) -> None:
        """Forget the versions that these entries applied: they were rolled back, and the number may get another text."""
        with self._lock:
            for entry in entries:
                if isinstance(entry.event, ManifestApplied):
                    self._compiled.pop(f"{entry.event.workflow}@{entry.event.version}", None)

    def current(self, view: View, workflow: str) -> CompiledManifest:
        """Answer the version in force; ``NotFound`` when the workflow is not known."""
        return self.version(view, workflow, known_workflow(view, workflow).version)


def known_workflow(view: View, workflow: str) -> Workflow:
    """Answer the workflow's record; ``NotFound`` says how to make one."""
    record = view.get(Workflow, workflow)
    if record is None:
        raise NotFound(
            f"there is no workflow {workflow!r}",
            hint="Apply its manifest first: stopwork apply stopwork.yaml",
            workflow=workflow,
        )
    return record


class Preview(Struct, frozen=True, kw_only=True):
    """What applying a text would do; ``unchanged`` when it is the version in force, byte for byte."""

    loaded: Loaded
    workflow: str
    version: int
    unchanged: bool
    changes: tuple[Change, ...]


def preview(view: View, text: str, *, filename: str = "stopwork.yaml") -> Preview:
    """Answer what applying ``text`` would change; ``Invalid`` lists every problem in it."""
    loaded = load(text, filename=filename)
    name = loaded.manifest.workflow
    known = view.get(Workflow, name)
    if known is None:
        return Preview(loaded=loaded, workflow=name, version=1, unchanged=False, changes=())
    before = view.need(ManifestVersion, f"{name}@{known.version}")
    unchanged = before.digest == loaded.digest
    return Preview(
        loaded=loaded,
        workflow=name,
        version=known.version if unchanged else known.version + 1,
        unchanged=unchanged,
        changes=tuple(diff(load(before.text).manifest, loaded.manifest)),
    )


def apply(
    tx: Tx, text: str, *, reason: str, filename: str = "stopwork.yaml", expected_version: int | None = None
) -> Preview:
    """Make ``text`` the version in force; the same text again changes nothing.

    Anyone may introduce a workflow; from then on its owners change it, so that nobody makes themselves its owner.
    ``expected_version`` is the version the caller saw: ``Conflict`` when another one has been applied since.
    """
    if tx.actor.kind is PrincipalKind.AGENT:
        raise Denied("an agent cannot change what it is allowed to do", hint="A person applies manifests.")
    found = preview(tx, text, filename=filename)
    in_force = found.version if found.unchanged else found.version - 1
    if expected_version is not None and expected_version != in_force:
        raise Conflict(
            f"version {in_force} of {found.workflow} is in force, not {expected_version}",
            hint="Look at the difference again, then apply.",
            expected=expected_version,
            found=in_force,
        )
    if found.unchanged:
        return found
    if (known := tx.get(Workflow, found.workflow)) is not None:
        require_owner(tx, known, "change what it may do")
        _require_owner_of_change(tx, known, found.changes)
    if not reason.strip():
        raise Invalid(
            "a reason is needed", hint="Say in a sentence why this version is applied.", field="reason"
        )
    manifest = found.loaded.manifest
    compile_manifest(manifest)
    tx.record(
        ManifestApplied(
            workflow=found.workflow,
            version=found.version,
            title=manifest.heading,
            mode=manifest.mode,
            stage=manifest.stages.start,
            owners=manifest.owners.by_role(),
            text=text,
            digest=found.loaded.digest,
            reason=reason.strip(),
        )
    )
    return found


def _require_owner_of_change(tx: Tx, workflow: Workflow, changes: Sequence[Change]) -> None:
    """Raise ``Denied`` when the change loosens control, or says who owns it, and the business owner does not make it."""
    owner = workflow.owners.get(Role.BUSINESS)
    if tx.actor.kind is PrincipalKind.SYSTEM or tx.actor.id in (owner, *administrators(tx, tx.now)):
        return
    grave = [each.field for each in changes if each.loosens or each.field.partition(".")[0] in _OWNERS_ONLY]
    if grave:
        raise Denied(
            f"{listed(grave)}: such a change is the business owner's to make",
            hint=f"Ask {owner} or an administrator to apply it; a change that only tightens is any owner's.",
            expected=owner,
            found=tx.actor.id,
            fields=grave,
        )
