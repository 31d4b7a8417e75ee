"""One settings file: what stands in it, what it refers to, and how a mistake in it is named.

A credential never stands in such a file: a setting that holds one is ``env:NAME`` (an environment variable) or ``file:PATH`` (a file's
content, without the newline at its end; relative paths count from the folder of the settings file).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from stopwork.kernel.errors import Invalid
from stopwork.manifest.duration import Duration
from stopwork.settings.misfits import misfit_of

#: How a setting begins that stands for something which is kept elsewhere.
REFERRED: Final = ("env:", "file:")
REFER: Final = "Write `env:NAME` or `file:PATH` instead."
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")
_CREDENTIAL: Final = re.compile(r"authorization|cookie|key|token|secret", re.IGNORECASE)


def read(path: Path) -> Any:
    """Answer what a YAML or JSON file holds; an empty one is an empty mapping."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        found = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"{path} cannot be read: {error}", hint="Name a UTF-8 text file.") from error
    except (YAMLError, ValueError) as error:
        raise Invalid(f"{path} is not YAML: {error}", hint="Correct the line it names.") from error
    return {} if found is None else found


def holds_credential(header: str) -> bool:
    """Answer whether a header of this name holds a credential."""
    return _CREDENTIAL.search(header) is not None


class SettingsFile:
    """``name`` is what the file is called in an error, ``guide`` the page that describes it."""

    def __init__(self, name: str, *, guide: str, env: Mapping[str, str], folder: Path = Path()) -> None:
        self.name, self.guide, self.env, self.folder = name, guide, env, folder

    def wrong(self, field: str, what: str, hint: str = "") -> Invalid:
        """Answer the error for one field."""
        place = f"{self.name}, {field}" if field else self.name
        return Invalid(f"{place}: {what}", hint=hint or f"See {self.guide}.", field=field)

    def named(self, given: Any, *, most: int, place: str = "", taken: Collection[str] = ()) -> dict[str, Any]:
        """Answer what stands under which name, where its author chooses the names."""
        if not isinstance(given, Mapping) or len(given) > most:
            found = f"{len(given)} of them" if isinstance(given, Mapping) else "it is not a mapping"
            raise self.wrong(place, found, f"Write at most {most}, each as `name: {{…}}`; see {self.guide}.")
        for name in map(str, given):
            field = f"{place}.{name:.80}" if place else f"{name:.80}"
            if name in taken:
                raise self.wrong(field, "the name is taken", "Choose another: every server has that one.")
            if not _NAME.fullmatch(name):
                hint = "Use lower-case letters, digits, dots and dashes, at most 63."
                raise self.wrong(field, "the name is not one", hint)
        return {str(name): each for name, each in given.items()}

    def fitted(self, place: str, given: Any, kind: Any) -> Any:
        """Answer settings as the struct that they are to be, or as the one of several that their tag says."""
        try:
            return msgspec.convert(given, type=kind)
        except msgspec.ValidationError as error:
            misfit = misfit_of(place, given, kind, error)
            raise self.wrong(misfit.field, misfit.what, misfit.hint) from error

    def resolved(self, field: str, value: str) -> str:
        """Answer what ``env:`` or ``file:`` refers to, or the value itself; an error never shows a secret."""
        kind, colon, name = value.partition(":")
        if not colon or kind not in ("env", "file"):
            return value
        if kind == "env":
            if not self.env.get(name):
                hint = f"Set {name} for the server."
                raise self.wrong(field, f"the environment variable {name} is not set", hint)
            return self.env[name]
        try:
            return (self.folder / name).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            hint = "Let the server's user read it."
            raise self.wrong(field, f"the file {name} cannot be read", hint) from error

    def secret(self, field: str, value: str) -> str:
        """Answer the credential that a setting refers to; it never stands in the file."""
        if not value.startswith(REFERRED):
            raise self.wrong(field, "a credential stands in the file", REFER)
        return self.resolved(field, value)

    def seconds(self, field: str, text: str) -> float:
        """Answer a duration such as ``10m``."""
        try:
            return Duration.parse(text).total_seconds()
        except ValueError as error:
            raise self.wrong(field, str(error), "Write it as 20s, 10m, 1h or 1d.") from error

    @contextmanager
    def naming(self, place: str, *, about: str) -> Iterator[None]:
        """What is refused inside is refused as a field of ``place``: the one that it names, or ``about``."""
        try:
            yield
        except Invalid as error:
            field = str(error.fields.get("field", about))
            if field.startswith(f"{place}."):
                raise
            raise self.wrong(f"{place}.{field}", error.detail, error.hint) from error
