"""Versions of a manifest: what each changed, who wrote it and who signed it; signing and declining what is proposed."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from stopwork.kernel.errors import Conflict, Denied, Invalid, NotFound
from stopwork.ledger.events import ManifestApproved, ManifestDeclined
from stopwork.ledger.records import Hold, ManifestVersion, Workflow
from stopwork.ledger.words import VersionState
from stopwork.manifest.compiled import compile_manifest
from stopwork.manifest.diff import Change, diff, gives_room
from stopwork.manifest.load import manifest_in
from stopwork.manifest.model import Manifest
from stopwork.operations import renaming
from stopwork.operations.manifests import Manifests, known_workflow, signers
from stopwork.operations.people import require_owner, require_person
from stopwork.storage.transaction import Tx
from stopwork.storage.view import View


class VersionView(Struct, frozen=True, kw_only=True):
    """A version with what it changes against the one it was made from; ``loosens`` are the fields that give the agent more room.

    ``signers`` are the people who may sign it while it is proposed. ``in_force`` says whether it is the workflow's now.
    """

    version: ManifestVersion
    in_force: bool
    basis: int | None
    changes: tuple[Change, ...]
    loosens: tuple[str, ...]
    signers: tuple[str, ...]


def told(view: View, manifests: Manifests, version: ManifestVersion, *, now: datetime) -> VersionView:
    """Answer a version as people look at it."""
    workflow = known_workflow(view, version.workflow)
    basis = version.basis or version.version - 1 or None
    changes: tuple[Change, ...] = ()
    loosens: tuple[str, ...] = ()
    if basis is not None:
        before = manifests.version(view, workflow.id, basis).manifest
        after = manifests.version(view, workflow.id, version.version).manifest
        changes = diff(before, after)
        loosens = tuple(change.field for change in gives_room(before, after))
    return VersionView(
        version=version,
        in_force=version.version == workflow.version,
        basis=basis,
        changes=changes,
        loosens=loosens,
        signers=_signers(view, workflow, version, now=now),
    )


def one(view: View, manifests: Manifests, *, workflow: str, version: int, now: datetime) -> VersionView:
    """Answer one version by its number; ``NotFound`` when there is none."""
    return told(view, manifests, _known(view, workflow, version), now=now)


def approve(tx: Tx, *, workflow: str, version: int, digest: str, note: str = "") -> ManifestVersion:
    """Sign a proposed version and put it in force: the exact text that was shown, by a second person with the role that it waits for."""
    person = require_person(tx, "sign a version")
    known, found = known_workflow(tx, workflow), _pending(tx, workflow, version)
    if person == found.by.id:
        raise Denied(
            f"{person} wrote version {version} of {workflow} and does not sign it as well",
            hint="A second person has to.",
            found=person,
        )
    allowed = _signers(tx, known, found, now=tx.now)
    if person not in allowed:
        raise Denied(
            f"{person} cannot sign version {version} of {workflow}",
            hint=f"Ask {' or '.join(allowed)}." if allowed else "Ask an administrator.",
            expected=list(allowed),
            found=person,
        )
    if (found.digest, found.basis) != (digest, known.version):
        raise Conflict(
            f"this is not the text of version {version} of {workflow} that waits to be signed",
            hint="Look at the difference again, then sign.",
            expected=found.digest,
            found=digest,
        )
    manifest = manifest_in(found.text)
    compile_manifest(manifest)
    _require_nothing_held_since(tx, known, found, manifest)
    tx.record(
        ManifestApproved(
            workflow=workflow,
            version=version,
            title=manifest.heading,
            mode=manifest.mode,
            owners=manifest.owners.by_role(),
            digest=found.digest,
            note=note.strip(),
            formerly=manifest.formerly,
        )
    )
    if (before := renaming.former(tx, manifest)) is not None:
        renaming.take_holds_along(tx, workflow, before.id)
    return tx.need(ManifestVersion, found.id)


def _require_nothing_held_since(
    tx: Tx, workflow: Workflow, version: ManifestVersion, manifest: Manifest
) -> None:
    """Raise ``Conflict`` when a hold that was set after the proposal would cover less in it: its author did not know."""
    present = manifest_in(tx.need(ManifestVersion, f"{workflow.id}@{workflow.version}").text)
    for escape in renaming.escapes(tx, present, manifest):
        if any(tx.need(Hold, hold).set_at > version.at for hold in escape.holds):
            raise Conflict(
                f"since version {version.version} was proposed something was held: {escape.told}",
                hint="Decline it, and propose it again when the hold is lifted, or with --another.",
                holds=list(escape.holds),
                tools=list(escape.tools),
            )


def decline(tx: Tx, *, workflow: str, version: int, reason: str) -> ManifestVersion:
    """Turn a proposed version down, as any owner may, its author too."""
    require_person(tx, "decline a version")
    require_owner(tx, known_workflow(tx, workflow), "decline a version")
    found = _pending(tx, workflow, version)
    if not reason.strip():
        raise Invalid(
            "a reason is needed", hint="Say in a sentence why it is declined, for its author.", field="reason"
        )
    tx.record(ManifestDeclined(workflow=workflow, version=version, reason=reason.strip()))
    return tx.need(ManifestVersion, found.id)


def _signers(view: View, workflow: Workflow, version: ManifestVersion, *, now: datetime) -> tuple[str, ...]:
    if version.state is not VersionState.PROPOSED or version.approver is None:
        return ()
    return signers(view, workflow, version.approver, author=version.by.id, now=now)


def _known(view: View, workflow: str, version: int) -> ManifestVersion:
    known_workflow(view, workflow)
    found = view.get(ManifestVersion, f"{workflow}@{version}")
    if found is None:
        raise NotFound(
            f"there is no version {version} of {workflow}",
            hint=f"List them: stopwork versions list {workflow}",
            workflow=workflow,
        )
    return found


def _pending(view: View, workflow: str, version: int) -> ManifestVersion:
    found = _known(view, workflow, version)
    if found.state is not VersionState.PROPOSED:
        ended = f" by {found.decided_by}: {found.note}" if found.decided_by and found.note else ""
        raise Conflict(
            f"version {version} of {workflow} does not wait to be signed: it is {found.state}{ended}",
            hint=f"List them: stopwork versions list {workflow}",
            found=found.state,
        )
    return found
