"""Which credentials an agent works with: what each one opens, who holds it, and by which name other workflows know it.

It is an inventory: names, and never a value. Containment goes by it, and finds by the names who else uses the same credential.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from stopwork.manifest.parts import MAX_ENTRIES, Address, Part, Slug, ToolName, Words, says


class CredentialKind(StrEnum):
    """What a credential is, by what has to be done to make it safe."""

    SECRET = "secret"  # noqa: S105 - a kind, not a secret
    OAUTH_GRANT = "oauth_grant"
    BROWSER_SESSION = "browser_session"
    WEBHOOK = "webhook"


class Credential(Part, frozen=True):
    """One credential that the agent works with; its value stands nowhere here."""

    kind: Annotated[CredentialKind, says("What has to be done with it: rotate, reduce, end, or disable.")]
    system: Annotated[Slug | None, says("The system that it opens.", "crm")] = None
    permissions: Annotated[
        tuple[ToolName, ...],
        says(
            "The permissions of tools that it carries. A call with one of these has used it.",
            ["crm.accounts.write"],
            max_length=MAX_ENTRIES,
        ),
    ] = ()
    tools: Annotated[
        tuple[ToolName, ...],
        says(
            "Tools that use it besides. With neither these nor permissions, every tool of its system does.",
            ["crm.search"],
            max_length=MAX_ENTRIES,
        ),
    ] = ()
    triggers: Annotated[
        tuple[Slug, ...],
        says("The triggers that come in through it.", ["crm-webhook"], max_length=MAX_ENTRIES),
    ] = ()
    id: Annotated[
        Slug | None,
        says(
            "The name that it has everywhere; left out, the one it stands under. Where another workflow says the same, of the same system, it is the same one.",
            "crm-integration",
        ),
    ] = None
    holder: Annotated[Address | None, says("Who can revoke or rotate it.")] = None
    note: Annotated[Words | None, says("What else one has to know.", "Issued in the CRM's admin area.")] = (
        None
    )
    hooks: Annotated[
        tuple[Slug, ...],
        says(
            "Hooks of the server, by name, that make it safe.", ["rotate-crm-token"], max_length=MAX_ENTRIES
        ),
    ] = ()

    def known_as(self, name: str) -> str:
        """Answer the name that this credential has everywhere; ``name`` is the one it stands under."""
        return self.id or name
