"""The intake file: how other tools come in, written by the operator of a server.

``webhooks`` maps what tools send to reports, ``agents`` maps the names that traces give to workflows. A secret never stands in the file: it
is ``env:NAME`` or ``file:PATH``.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from stopwork.kernel.errors import Invalid
from stopwork.operations.webhooks import Webhook, WebhookSettings

MAX_WEBHOOKS: Final = 200
#: How a secret of Standard Webhooks begins; between 24 and 64 bytes in base64 follow.
SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - how secrets begin, and none
SECRET_BYTES: Final = range(24, 65)
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")


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
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        given = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"{path} cannot be read: {error}", hint="Name a UTF-8 text file.") from error
    except YAMLError as error:
        raise Invalid(f"{path} is not YAML: {error}", hint="Correct the line it names.") from error
    return ways_of(given or {}, env=env, folder=path.parent)


def ways_of(given: object, *, env: Mapping[str, str] | None, folder: Path = Path()) -> Ways:
    """Answer the same of what such a file holds."""
    try:
        settings = msgspec.convert(given, IntakeSettings)
    except msgspec.ValidationError as error:
        raise Invalid(
            f"intake file: {error}", hint="It holds `webhooks:` and `agents:`; see the how-to on reports."
        ) from error
    if len(settings.webhooks) > MAX_WEBHOOKS:
        raise _wrong("webhooks", f"{len(settings.webhooks)} of them", f"At most {MAX_WEBHOOKS}.")
    return Ways(
        webhooks={name: _webhook(name, each, env, folder) for name, each in settings.webhooks.items()},
        agents=settings.agents,
    )


def _webhook(name: str, settings: WebhookSettings, env: Mapping[str, str] | None, folder: Path) -> Webhook:
    if not _NAME.fullmatch(name) or name == "alertmanager":
        raise _wrong(
            f"webhooks.{name[:80]}",
            "the name is not one",
            "Use small letters, digits, dots and dashes; alertmanager is taken.",
        )
    signed = settings.secret and env is not None
    return Webhook(name, settings, _key(name, settings.secret, env or {}, folder) if signed else None)


def _key(name: str, secret: str, env: Mapping[str, str], folder: Path) -> bytes:
    field = f"webhooks.{name}.secret"
    kind, _, where = secret.partition(":")
    if kind == "env" and where:
        found = env.get(where, "")
    elif kind == "file" and where:
        try:
            found = (folder / where).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise _wrong(
                field, f"the file {where} cannot be read", "Let the server's user read it."
            ) from error
    else:
        raise _wrong(field, "a secret stands in the file", "Write `env:NAME` or `file:PATH` instead.")
    try:
        key = base64.b64decode(found.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not found.startswith(SECRET_PREFIX) or len(key) not in SECRET_BYTES:
        raise _wrong(
            field,
            f"what {secret} holds is no webhook secret",
            f"It is {SECRET_PREFIX} and 24 to 64 bytes in base64.",
        )
    return key


def _wrong(field: str, what: str, hint: str) -> Invalid:
    return Invalid(f"intake file, {field}: {what}", hint=hint, field=field)
