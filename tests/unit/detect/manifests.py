"""Manifests for tests, made from a few words."""

from __future__ import annotations

from typing import Any

import msgspec

from stopwork.manifest.duration import Duration
from stopwork.manifest.model import Manifest

OWNERS = {
    "business": "dana@acme.test",
    "technical": "lee@acme.test",
    "backup": "kim@acme.test",
    "security": "sec@acme.test",
}
TOOLS: dict[str, dict[str, Any]] = {
    "crm.list_accounts": {"effect": "read", "risk": "low", "permission": "crm.accounts.read"},
    "crm.update_account": {
        "effect": "update",
        "permission": "crm.accounts.write",
        "object": {"system": "crm", "type": "account", "id": "args.account_id"},
        "undo": {"system": "crm"},
    },
    "crm.create_task": {
        "effect": "create",
        "permission": "crm.tasks.write",
        "object": {"system": "crm", "type": "task", "id": "result.id"},
        "undo": {"system": "crm"},
    },
    "mail.send": {"effect": "send", "risk": "high", "permission": "mail.send", "external": True},
}


def manifest(**changes: Any) -> Manifest:
    """Answer the renewal manifest with these top-level keys changed; durations are written as in a manifest."""
    document = {
        "workflow": "weekly-renewal-risk",
        "title": "Weekly renewal risk prep",
        "owners": OWNERS,
        "tools": TOOLS,
        **changes,
    }
    return msgspec.convert(document, Manifest, dec_hook=_duration)


def _duration(_kind: type[Any], text: str) -> Duration:
    return Duration.parse(text)
