"""The anchors file: where this server's checkpoints are kept, written by its operator.

A mapping from an anchor's name to its kind and settings. A credential never stands in the file: a setting that holds one is
``env:NAME`` (an environment variable) or ``file:PATH`` (a file's content, without the newline at its end).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from msgspec import Struct

from stopwork.anchors.base import Anchor, Readable
from stopwork.anchors.file import FileAnchor
from stopwork.anchors.mail import MailAnchor
from stopwork.anchors.store import StoreAnchor
from stopwork.anchors.timestamp import TimestampAnchor
from stopwork.anchors.webhook import WebhookAnchor
from stopwork.anchors.witness import WitnessAnchor
from stopwork.kernel.addresses import one_address
from stopwork.kernel.clock import Clock
from stopwork.ledger.words import AnchorKind
from stopwork.notify.outlet import Outlet
from stopwork.settings.file import SettingsFile, read

MAX_ANCHORS: Final = 20
#: The duty looks at every anchor so often.
SHORTEST_S: Final = 15.0
#: What to do about a place that Stopwork cannot read back.
NOT_ASKED: Final = (
    "Get a checkpoint from there (a mail, the webhook's receiver, the witness's operator), save it, and give it with --checkpoint FILE. "
    "A time-stamp is in every bundle; openssl ts checks it."
)
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

#: Makes the anchors of an installation, from how its mail leaves and its clock.
Anchors = Callable[[Outlet, Clock], tuple[Anchor, ...]]


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """What every kind has; ``every`` is a duration such as ``10m``."""

    every: str | None = None

    @property
    def kind(self) -> AnchorKind:
        """What kind of place it is."""
        return AnchorKind(str(self.__struct_config__.tag))


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


ReadableKind = FileSettings | StoreSettings
Kind = FileSettings | WebhookSettings | MailSettings | StoreSettings | TimestampSettings | WitnessSettings


def read_anchors_file(path: Path, *, env: Mapping[str, str]) -> Anchors:
    """Answer what makes the anchors of a YAML or JSON file; see :func:`load_anchors`."""
    return load_anchors(read(path), env=env, folder=path.parent)


def load_anchors(config: Any, *, env: Mapping[str, str], folder: Path = Path()) -> Anchors:
    """Answer what makes the configured anchors. Relative paths count from ``folder``.

    Raises ``Invalid`` naming the field that is wrong; what it answers does so for what only shows when an anchor is made.
    """
    file = _file(env, folder)
    known = _known(file, config)

    def make(outlet: Outlet, clock: Clock) -> tuple[Anchor, ...]:
        maker = _Maker(file, outlet, clock)
        return tuple(maker.made(name, settings) for name, settings in known.items())

    return make


class ReadBack(Struct, frozen=True, kw_only=True):
    """The checkpoints that anchors keep, by the anchor's name, and the anchors that are of a kind which cannot be asked for them."""

    kept: dict[str, Sequence[str]]
    others: dict[str, AnchorKind]


def read_back(path: Path, origin: str, *, env: Mapping[str, str], names: Collection[str] = ()) -> ReadBack:
    """Ask the anchors of a file for the checkpoints that they keep of a log: those of these names, or all that can be asked.

    Raises ``Invalid`` for a name that is none or of a kind that cannot be asked, ``Unavailable`` where a place does not answer.
    """
    file = _file(env, path.parent)
    known = _known(file, read(path))
    if strange := sorted(set(names) - known.keys()):
        raise file.wrong(strange[0], "there is no such anchor", f"It names {', '.join(known) or 'none'}.")
    chosen = {name: settings for name, settings in known.items() if not names or name in names}
    others = {name: each.kind for name, each in chosen.items() if not isinstance(each, ReadableKind)}
    if names and others:
        name, kind = next(iter(others.items()))
        raise file.wrong(name, f"a {kind} cannot be asked for what it keeps", NOT_ASKED)
    kept = {
        name: _readable(file, name, settings).kept(origin)
        for name, settings in chosen.items()
        if isinstance(settings, ReadableKind)
    }
    return ReadBack(kept=kept, others=others)


def _file(env: Mapping[str, str], folder: Path) -> SettingsFile:
    return SettingsFile("anchors file", guide="the how-to on anchors", env=env, folder=folder)


def _known(file: SettingsFile, config: Any) -> dict[str, Kind]:
    return {
        name: file.fitted(name, given, Kind) for name, given in file.named(config, most=MAX_ANCHORS).items()
    }


def _readable(file: SettingsFile, name: str, settings: ReadableKind) -> Readable:
    every_s = _every_s(file, name, settings)
    with file.naming(name, about="key"):
        match settings:
            case FileSettings(path=path):
                return FileAnchor(name, file.folder / path, every_s=every_s)
            case StoreSettings():
                options = {
                    key: file.resolved(f"{name}.options.{key}", each)
                    for key, each in settings.options.items()
                }
                return StoreAnchor(name, settings.url, options, every_s=every_s)


class _Maker:
    """Makes anchors from their settings and from what the installation has."""

    def __init__(self, file: SettingsFile, outlet: Outlet, clock: Clock) -> None:
        self._file, self._outlet, self._clock = file, outlet, clock

    def made(self, name: str, settings: Kind) -> Anchor:
        with self._file.naming(name, about="key"):
            return self._made(name, settings, _every_s(self._file, name, settings))

    def _made(self, name: str, settings: Kind, every_s: float) -> Anchor:
        resolved, folder = self._file.resolved, self._file.folder
        match settings:
            case FileSettings() | StoreSettings():
                return _readable(self._file, name, settings)
            case WebhookSettings():
                return WebhookAnchor(
                    name,
                    resolved(f"{name}.url", settings.url),
                    secret=self._file.secret(f"{name}.secret", settings.secret),
                    clock=self._clock,
                    every_s=every_s,
                )
            case MailSettings(to=to):
                people = [one_address(each, "to") for each in to]
                if not people:
                    raise self._file.wrong(f"{name}.to", "it is empty", "Write addresses: [dana@acme.test].")
                return MailAnchor(name, people, outlet=self._outlet, clock=self._clock, every_s=every_s)
            case TimestampSettings():
                url = resolved(f"{name}.url", settings.url)
                return TimestampAnchor(name, url, folder / settings.roots, every_s=every_s)
            case WitnessSettings():
                url = resolved(f"{name}.url", settings.url)
                return WitnessAnchor(name, url, settings.key, every_s=every_s)


def _every_s(file: SettingsFile, name: str, settings: Kind) -> float:
    every_s = file.seconds(f"{name}.every", settings.every or EVERY[settings.kind])
    if every_s < SHORTEST_S:
        hint = f"Write at least {SHORTEST_S:.0f}s."
        raise file.wrong(f"{name}.every", f"{settings.every} is too often", hint)
    return every_s
