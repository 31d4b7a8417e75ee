"""The anchors file: where this server's checkpoints are kept, written by its operator.

A mapping from an anchor's name to its kind and settings. A credential never stands in the file: a setting that holds one is
``env:NAME`` (an environment variable) or ``file:PATH`` (a file's content, without the newline at its end).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import msgspec
from msgspec import Struct

from stopwork.anchors.base import Anchor
from stopwork.anchors.file import FileAnchor
from stopwork.anchors.mail import MailAnchor
from stopwork.anchors.store import StoreAnchor
from stopwork.anchors.timestamp import TimestampAnchor
from stopwork.anchors.webhook import WebhookAnchor
from stopwork.anchors.witness import WitnessAnchor
from stopwork.kernel.addresses import one_address
from stopwork.kernel.clock import Clock
from stopwork.kernel.errors import Invalid
from stopwork.ledger.words import AnchorKind
from stopwork.manifest.duration import Duration
from stopwork.notify.outlet import Outlet
from stopwork.systems.load import resolved

MAX_ANCHORS: Final = 20
#: The duty looks at every anchor so often.
SHORTEST_S: Final = 15.0
#: How often a place is used that says nothing else. Between two visits the history since the first can still be written anew.
EVERY: Final[MappingProxyType[AnchorKind, str]] = MappingProxyType(
    {
        AnchorKind.FILE: "10m",
        AnchorKind.WEBHOOK: "10m",
        AnchorKind.MAIL: "1d",
        AnchorKind.STORE: "10m",
        AnchorKind.TIMESTAMP: "1h",
        AnchorKind.WITNESS: "10m",
    }
)
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,47}")

#: Makes the anchors of an installation, from how its mail leaves and its clock.
Anchors = Callable[[Outlet, Clock], tuple[Anchor, ...]]


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """What every kind has; ``every`` is a duration such as ``10m``."""

    every: str | None = None


class FileSettings(Settings, frozen=True, kw_only=True, tag="file"):
    """A file that is only added to; see :mod:`stopwork.anchors.file`."""

    path: str


class WebhookSettings(Settings, frozen=True, kw_only=True, tag="webhook"):
    """Another system's address; see :mod:`stopwork.anchors.webhook`."""

    url: str
    secret: str


class MailSettings(Settings, frozen=True, kw_only=True, tag="mail"):
    """People who keep a mail."""

    to: tuple[str, ...]


class StoreSettings(Settings, frozen=True, kw_only=True, tag="store"):
    """``options`` are those of obstore's S3 store: region, endpoint, access_key_id, secret_access_key, …"""

    url: str
    options: dict[str, str] = {}


class TimestampSettings(Settings, frozen=True, kw_only=True, tag="timestamp"):
    """``roots`` is a file of certificates in PEM."""

    url: str
    roots: str


class WitnessSettings(Settings, frozen=True, kw_only=True, tag="witness"):
    """A witness and its key; see :mod:`stopwork.anchors.witness`."""

    url: str
    key: str


Kind = FileSettings | WebhookSettings | MailSettings | StoreSettings | TimestampSettings | WitnessSettings


def read_anchors_file(path: Path, *, env: Mapping[str, str]) -> Anchors:
    """Answer what makes the anchors of a YAML or JSON file; see :func:`load_anchors`."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        config = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"{path} cannot be read: {error}", hint="Name a UTF-8 text file.") from error
    except YAMLError as error:
        raise Invalid(f"{path} is not YAML: {error}", hint="Correct the line it names.") from error
    return load_anchors(config or {}, env=env, folder=path.parent)


def load_anchors(config: Any, *, env: Mapping[str, str], folder: Path = Path()) -> Anchors:
    """Answer what makes the configured anchors. Relative paths count from ``folder``.

    Raises ``Invalid`` naming the field that is wrong; what it answers does so for what only shows when an anchor is made.
    """
    if not isinstance(config, Mapping) or len(config) > MAX_ANCHORS:
        raise Invalid(
            f"the anchors file is not a mapping of at most {MAX_ANCHORS} anchors",
            hint="Write `name: {kind: file, path: …}`.",
            field="",
        )
    known = {str(name): _settings(str(name), given) for name, given in config.items()}

    def make(outlet: Outlet, clock: Clock) -> tuple[Anchor, ...]:
        maker = _Maker(env, folder, outlet, clock)
        return tuple(maker.made(name, settings) for name, settings in known.items())

    return make


def _settings(name: str, given: Any) -> Kind:
    if not _NAME.fullmatch(name):
        raise _wrong(name, "the name is not one", "Use lower-case letters, digits, dots and dashes.")
    try:
        settings: Kind = msgspec.convert(given, type=Kind)
    except msgspec.ValidationError as error:
        what, _, at = str(error).partition(" - at `$")
        hint = f"An anchor has a kind ({', '.join(AnchorKind)}) and its settings; see the how-to on anchors."
        raise _wrong(f"{name}{at.rstrip('`')}", f"{what[:1].lower()}{what[1:]}", hint) from error
    return settings


class _Maker:
    """Makes anchors from their settings and from what the installation has."""

    def __init__(self, env: Mapping[str, str], folder: Path, outlet: Outlet, clock: Clock) -> None:
        self._env, self._folder, self._outlet, self._clock = env, folder, outlet, clock

    def made(self, name: str, settings: Kind) -> Anchor:
        try:
            return self._made(name, settings, _every_s(name, settings))
        except Invalid as error:
            field = str(error.fields.get("field", "key"))
            if field.startswith(f"{name}."):
                raise
            raise _wrong(f"{name}.{field}", error.detail, error.hint) from error

    def _made(self, name: str, settings: Kind, every_s: float) -> Anchor:
        match settings:
            case FileSettings(path=path):
                return FileAnchor(name, self._folder / path, every_s=every_s)
            case WebhookSettings():
                if not settings.secret.startswith(("env:", "file:")):
                    hint = "Write `env:NAME` or `file:PATH` instead."
                    raise _wrong(f"{name}.secret", "it stands in the file", hint)
                return WebhookAnchor(
                    name,
                    self._resolved(f"{name}.url", settings.url),
                    secret=self._resolved(f"{name}.secret", settings.secret),
                    clock=self._clock,
                    every_s=every_s,
                )
            case MailSettings(to=to):
                people = [one_address(each, "to") for each in to]
                if not people:
                    raise _wrong(f"{name}.to", "it is empty", "Write addresses: [dana@acme.test].")
                return MailAnchor(name, people, outlet=self._outlet, clock=self._clock, every_s=every_s)
            case StoreSettings():
                options = {
                    key: self._resolved(f"{name}.options.{key}", each)
                    for key, each in settings.options.items()
                }
                return StoreAnchor(name, settings.url, options, every_s=every_s)
            case TimestampSettings():
                url = self._resolved(f"{name}.url", settings.url)
                return TimestampAnchor(name, url, self._folder / settings.roots, every_s=every_s)
            case WitnessSettings():
                return WitnessAnchor(
                    name, self._resolved(f"{name}.url", settings.url), settings.key, every_s=every_s
                )

    def _resolved(self, field: str, value: str) -> str:
        return resolved(field, value, self._env, self._folder, wrong=_wrong)


def _every_s(name: str, settings: Kind) -> float:
    kind = AnchorKind(str(settings.__struct_config__.tag))
    try:
        every_s = Duration.parse(settings.every or EVERY[kind]).total_seconds()
    except ValueError as error:
        raise _wrong(f"{name}.every", str(error), "Write it as 10m, 1h or 1d.") from error
    if every_s < SHORTEST_S:
        raise _wrong(f"{name}.every", f"{settings.every} is too often", f"Write at least {SHORTEST_S:.0f}s.")
    return every_s


def _wrong(field: str, what: str, hint: str) -> Invalid:
    return Invalid(f"anchors file, {field}: {what}", hint=hint, field=field)
