"""The credentials of the story's workflow: one that others use as well, and one of its own."""

from __future__ import annotations

from stopwork.manifest.credentials import CredentialKind
from stopwork.operations.inventory import ListedCredential

CREDENTIALS = (
    ListedCredential(
        name="crm-token",
        known_as="crm-integration",
        kind=CredentialKind.SECRET,
        system="crm",
        permissions=("crm.accounts.write", "crm.tasks.write"),
        tools=(),
        triggers=(),
        holder="kim@acme.test",
        note=None,
        hooks=("revoke-crm-token",),
        others=("invoices", "onboarding"),
    ),
    ListedCredential(
        name="mailbox",
        known_as="mailbox",
        kind=CredentialKind.OAUTH_GRANT,
        system=None,
        permissions=("mail.send",),
        tools=(),
        triggers=(),
        holder=None,
        note=None,
        hooks=(),
        others=(),
    ),
)
