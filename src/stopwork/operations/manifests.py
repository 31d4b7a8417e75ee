"""Manifests in force: applying a version, proposing it where a second person has to sign, and the compiled form of each version.

A manifest may declare ``change_control``. While it is in force, a version that gives the agent more room is only proposed: it waits
for a second person (:mod:`stopwork.operations.versions`), and the version in force stays. What only tightens is in force at once.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

import msgspec
from msgspec import Struct

from stopwork.kernel.canonical import digest_of
from stopwork.kernel.errors import Conflict, Denied, Invalid, NotFound
from stopwork.kernel.phrases import listed
from stopwork.ledger.events import (
    Entry,
    ManifestApplied,
    ManifestProposed,
)
from stopwork.ledger.records import ManifestVersion, Workflow
from stopwork.ledger.words import PrincipalKind, Role, VersionState
from stopwork.manifest.compiled import CompiledManifest, compile_manifest
from stopwork.manifest.diff import Change, diff, gives_room
from stopwork.manifest.load import Loaded, load, manifest_in
from stopwork.operations import renaming
from stopwork.operations.people import administrators, refuse_agent, require_owner
from stopwork.storage.transaction import Tx
from stopwork.storage.view import View

MAX_COMPILED: Final = 256
#: What decides about everything else: who owns the workflow, and whether anything is enforced.
_OWNERS_ONLY: Final = frozenset({"owners", "mode"})


class Manifests:
    """Compiled manifests by version; a version never changes, so each is compiled once."""

    def __init__(self) -> None:
        self._compiled: dict[str, CompiledManifest] = {}
        self._digests: dict[str, Mapping[str, str]] = {}
        self._lock = threading.Lock()

    def version(self, view: View, workflow: str, version: int) -> CompiledManifest:
        """Answer one version; ``NotFound`` when it was never applied."""
        key = f"{workflow}@{version}"
        with self._lock:
            if (known := self._compiled.get(key)) is not None:
                return known
        compiled = compile_manifest(manifest_in(view.need(ManifestVersion, key).text))
        with self._lock:
            if len(self._compiled) >= MAX_COMPILED:
                self._compiled.clear()
            self._compiled[key] = compiled
        return compiled

    def digests(self, view: View, workflow: str, version: int) -> Mapping[str, str]:
        """Answer the digests of what a run goes by and the server knows: the manifest's bytes, and the schedule in it."""
        key = f"{workflow}@{version}"
        with self._lock:
            if (known := self._digests.get(key)) is not None:
                return known
        found = {"manifest": view.need(ManifestVersion, key).digest}
        if (schedule := self.version(view, workflow, version).manifest.schedule) is not None:
            found["schedule"] = digest_of(msgspec.to_builtins(schedule, enc_hook=str))
        with self._lock:
            if len(self._digests) >= MAX_COMPILED:
                self._digests.clear()
            self._digests[key] = found
        return found

    def forget(self, entries: Sequence[Entry]) -> None:
        """Forget the versions that these entries applied: they were rolled back, and the number may get another text."""
        with self._lock:
            for entry in entries:
                if isinstance(entry.event, ManifestApplied | ManifestProposed):
                    for kept in (self._compiled, self._digests):
                        kept.pop(f"{entry.event.workflow}@{entry.event.version}", None)

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
    """What applying a text would do, or has done.

    ``in_force`` is the version in force, 0 where there is none; ``changes`` are against it. ``unchanged`` when the text is that version, or
    the one that is proposed already, byte for byte. ``proposed`` when the version waits, or would wait, for one of ``signers``: then
    ``loosens`` are the fields that they have to look at. ``lookalikes`` are held workflows that a new one could be another name of.
    """

    loaded: Loaded
    workflow: str
    version: int
    in_force: int
    unchanged: bool
    changes: tuple[Change, ...]
    proposed: bool = False
    approver: Role | None = None
    signers: tuple[str, ...] = ()
    loosens: tuple[str, ...] = ()
    lookalikes: tuple[renaming.Lookalike, ...] = ()


def preview(
    view: View, text: str, *, author: str = "", now: datetime | None = None, filename: str = "stopwork.yaml"
) -> Preview:
    """Answer what applying ``text`` would change; ``Invalid`` lists every problem in it."""
    loaded = load(text, filename=filename)
    manifest = loaded.manifest
    name = manifest.workflow
    renaming.former(view, manifest)
    known = view.get(Workflow, name)
    if known is None:
        return Preview(
            loaded=loaded,
            workflow=name,
            version=1,
            in_force=0,
            unchanged=False,
            changes=(),
            lookalikes=renaming.lookalikes(view, manifest),
        )
    before = view.need(ManifestVersion, f"{name}@{known.version}")
    present = manifest_in(before.text)
    pending = pending_version(view, name)
    again = pending is not None and pending.digest == loaded.digest
    unchanged = before.digest == loaded.digest
    room = gives_room(present, manifest) if present.change_control and not unchanged else ()
    approver = present.change_control.approver if present.change_control and room else None
    return Preview(
        loaded=loaded,
        workflow=name,
        version=known.version if unchanged else pending.version if pending and again else _next(view, name),
        in_force=known.version,
        unchanged=unchanged or again,
        changes=diff(present, manifest),
        proposed=approver is not None,
        approver=approver,
        signers=signers(view, known, approver, author=author, now=now) if approver else (),
        loosens=tuple(change.field for change in room),
        lookalikes=() if unchanged else renaming.escapes(view, present, manifest),
    )


def apply(
    tx: Tx,
    text: str,
    *,
    reason: str,
    filename: str = "stopwork.yaml",
    expected_version: int | None = None,
    another: bool = False,
) -> Preview:
    """Make ``text`` the version in force, or propose it where a second person has to sign; the same text again changes nothing.

    Anyone may introduce a workflow; from then on its owners change it, so that nobody makes themselves its owner.
    ``expected_version`` is the version the caller saw: ``Conflict`` when another one has been applied since. ``another`` says that what
    is new, a workflow or a tool, is not one that is held, under a new name.
    """
    refuse_agent(tx.actor, "change what an agent is allowed to do")
    found = preview(tx, text, author=tx.actor.id, now=tx.now, filename=filename)
    if expected_version is not None and expected_version != found.in_force:
        raise Conflict(
            f"version {found.in_force} of {found.workflow} is in force, not {expected_version}",
            hint="Look at the difference again, then apply.",
            expected=expected_version,
            found=found.in_force,
        )
    if found.unchanged:
        return found
    known = tx.get(Workflow, found.workflow)
    if known is not None:
        require_owner(tx, known, "change what it may do")
        # Where the business owner signs anyway, every owner may propose.
        if found.approver is not Role.BUSINESS:
            _require_owner_of_change(tx, known, found.changes)
    if not reason.strip():
        raise Invalid(
            "a reason is needed", hint="Say in a sentence why this version is applied.", field="reason"
        )
    if not another:
        _require_another(found)
    compile_manifest(found.loaded.manifest)
    if found.approver is not None:
        _propose(tx, found, text, reason.strip())
    else:
        _put_in_force(tx, found, text, reason.strip())
    return found


def pending_version(view: View, workflow: str) -> ManifestVersion | None:
    """Answer the version that waits to be signed; there is one at most, and it is the newest."""
    newest = view.first(ManifestVersion, workflow=workflow, order="-version")
    return newest if newest is not None and newest.state is VersionState.PROPOSED else None


def signers(
    view: View, workflow: Workflow, role: Role, *, author: str, now: datetime | None
) -> tuple[str, ...]:
    """Answer who may sign what ``author`` proposed: who has the role; else the backup; else the administrators."""
    for person in (workflow.owners.get(role), workflow.owners.get(Role.BACKUP)):
        if person and person != author:
            return (person,)
    return tuple(person for person in (administrators(view, now) if now else ()) if person != author)


def _next(view: View, workflow: str) -> int:
    newest = view.first(ManifestVersion, workflow=workflow, order="-version")
    return newest.version + 1 if newest is not None else 1


def _require_another(found: Preview) -> None:
    if found.lookalikes:
        held = found.lookalikes[0]
        raise Conflict(
            held.told,
            hint=held.way_out,
            workflow=held.workflow,
            holds=list(held.holds),
            tools=list(held.tools),
        )


def _despite(found: Preview) -> tuple[str, ...]:
    return tuple(hold for each in found.lookalikes for hold in each.holds)


def _propose(tx: Tx, found: Preview, text: str, reason: str) -> None:
    if found.approver is None or not found.signers:
        raise Conflict(
            f"nobody but {tx.actor} could sign this version of {found.workflow}",
            hint="Let another owner propose it, or ask an administrator to name a backup.",
            found=tx.actor.id,
        )
    waiting = pending_version(tx, found.workflow)
    tx.record(
        ManifestProposed(
            workflow=found.workflow,
            version=found.version,
            text=text,
            digest=found.loaded.digest,
            reason=reason,
            basis=found.in_force,
            approver=found.approver,
            loosens=found.loosens,
            supersedes=waiting.version if waiting else None,
            despite=_despite(found),
        )
    )


def _put_in_force(tx: Tx, found: Preview, text: str, reason: str) -> None:
    manifest = found.loaded.manifest
    before = renaming.former(tx, manifest)
    waiting = pending_version(tx, found.workflow)
    tx.record(
        ManifestApplied(
            workflow=found.workflow,
            version=found.version,
            title=manifest.heading,
            mode=manifest.mode,
            stage=renaming.first_stage(tx, manifest, before),
            owners=manifest.owners.by_role(),
            text=text,
            digest=found.loaded.digest,
            reason=reason,
            basis=found.in_force or None,
            supersedes=waiting.version if waiting else None,
            formerly=manifest.formerly,
            despite=_despite(found),
        )
    )
    if before is not None:
        renaming.take_holds_along(tx, found.workflow, before.id)


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
