"""The credentials of a workflow, by name, and which other workflows use the same."""

from __future__ import annotations

from msgspec import Struct

from stopwork.incidents.inventory import sharers
from stopwork.ledger.records import ManifestVersion, Workflow
from stopwork.manifest.credentials import CredentialKind
from stopwork.manifest.load import manifest_in
from stopwork.manifest.model import Manifest
from stopwork.operations.manifests import Manifests
from stopwork.storage.view import View


class ListedCredential(Struct, frozen=True, kw_only=True):
    """A credential as the manifest in force has it; ``known_as`` is the name that it has everywhere, ``others`` use it as well."""

    name: str
    known_as: str
    kind: CredentialKind
    system: str | None
    permissions: tuple[str, ...]
    tools: tuple[str, ...]
    triggers: tuple[str, ...]
    holder: str | None
    note: str | None
    hooks: tuple[str, ...]
    others: tuple[str, ...]


def inventory(view: View, manifests: Manifests, workflow: str) -> tuple[ListedCredential, ...]:
    """Answer the workflow's credentials, in the order of its manifest."""
    manifest = manifests.current(view, workflow).manifest
    others = who_shares(view, workflow, manifest)
    return tuple(
        ListedCredential(
            name=name,
            known_as=each.known_as(name),
            kind=each.kind,
            system=each.system,
            permissions=each.permissions,
            tools=each.tools,
            triggers=each.triggers,
            holder=each.holder,
            note=each.note,
            hooks=each.hooks,
            others=others.get(name, ()),
        )
        for name, each in manifest.credentials.items()
    )


def who_shares(view: View, workflow: str, manifest: Manifest) -> dict[str, tuple[str, ...]]:
    """Answer which other workflows, by their manifests in force, use each credential of this one."""
    if not manifest.credentials:
        return {}
    found = {workflow: manifest}
    for other in view.each(Workflow):
        if other.id != workflow and other.version:
            text = view.need(ManifestVersion, f"{other.id}@{other.version}").text
            if "credentials" in text:  # reading a manifest takes long, and few name any
                found[other.id] = manifest_in(text)
    return sharers(workflow, found)
