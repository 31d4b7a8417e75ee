"""The intake file: how other tools come in, written by the operator of a server.

``webhooks`` maps what tools send to reports, ``agents`` maps the names that traces give to workflows. A secret never stands in the file: it
is ``env:NAME`` or ``file:PATH``.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from msgspec import Struct

from stopwork.operations.webhooks import Webhook, WebhookSettings
from stopwork.settings.file import SettingsFile, read

MAX_WEBHOOKS: Final = 200
#: How a secret of Standard Webhooks begins; between 24 and 64 bytes in base64 follow.
SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - how secrets begin, and none
SECRET_BYTES: Final = range(24, 65)


class IntakeSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the file may hold."""

    webhooks: dict[str, WebhookSettings] = {}
    agents: dict[str, str] = {}


class Ways(Struct, frozen=True, kw_only=True):
    """The ways in that an operator has set up, by name."""

    webhooks: dict[str, Webhook] = {}
    agents: dict[str, str] = {}


def read_intake_file(path: Path, *, env: Mapping[str, str] | None) -> Ways:
    """Answer the ways in of a YAML or JSON file; ``Invalid`` names the field that is wrong. Without ``env`` no secret is looked up."""
    return ways_of(read(path), env=env, folder=path.parent)


def ways_of(given: object, *, env: Mapping[str, str] | None, folder: Path = Path()) -> Ways:
    """Answer the same of what such a file holds."""
    file = SettingsFile("intake file", guide="the how-to on reports", env=env or {}, folder=folder)
    settings: IntakeSettings = file.fitted("", given, IntakeSettings)
    named = file.named(settings.webhooks, most=MAX_WEBHOOKS, place="webhooks", taken=("alertmanager",))
    return Ways(
        webhooks={
            name: Webhook(
                name, each, _key(file, name, each.secret) if each.secret and env is not None else None
            )
            for name, each in named.items()
        },
        agents=settings.agents,
    )


def _key(file: SettingsFile, name: str, secret: str) -> bytes:
    field = f"webhooks.{name}.secret"
    found = file.secret(field, secret).strip()
    try:
        key = base64.b64decode(found.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not found.startswith(SECRET_PREFIX) or len(key) not in SECRET_BYTES:
        hint = f"It is {SECRET_PREFIX} and 24 to 64 bytes in base64."
        raise file.wrong(field, f"what {secret} holds is no webhook secret", hint)
    return key
