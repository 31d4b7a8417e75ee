"""The systems file: which systems this server can see and restore, written by its operator.

A mapping from a system's name to its kind and settings. A credential never stands in the file: a setting that holds one is
``env:NAME`` (an environment variable) or ``file:PATH`` (a file's content, without the newline at its end). What is named under
``source`` and ``invoke`` is Python code that runs with the server's rights, so the file belongs to the operator alone.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from stopwork.kernel.errors import Invalid
from stopwork.systems.base import System
from stopwork.systems.files import FilesSystem
from stopwork.systems.http import HttpSystem
from stopwork.systems.python import PythonSystem
from stopwork.systems.settings import (
    FilesSettings,
    HttpSettings,
    Kind,
    PythonSettings,
    Settings,
    SqlSettings,
    ToolSettings,
    settings_of,
    wrong,
)
from stopwork.systems.sql import SqlSystem
from stopwork.systems.tool import ToolSystem

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")
#: The addresses of databases that can say which rows a call has changed.
_CAPTURING: Final = ("sqlite:///", "postgresql://", "postgresql+")
#: The setting that a kind of system complains of when it is made and names none.
_ABOUT: Final[dict[type[Settings], str]] = {
    SqlSettings: "url",
    HttpSettings: "url",
    FilesSettings: "keep",
    PythonSettings: "source",
    ToolSettings: "invoke",
}


def load_systems(
    config: Mapping[str, Any], *, env: Mapping[str, str], folder: Path = Path()
) -> dict[str, System]:
    """Answer the configured systems by name.

    Relative paths count from ``folder``. Raises ``Invalid`` naming the field that is wrong; an object is not read yet.
    """
    if not isinstance(config, Mapping):
        raise Invalid("the systems file is not a mapping", hint="Write `name: {kind: sql, …}`.", field="")
    return {str(name): _system(str(name), settings, env, folder) for name, settings in config.items()}


def read_systems_file(path: Path, *, env: Mapping[str, str]) -> dict[str, System]:
    """Answer the systems of a YAML or JSON file; see :func:`load_systems`."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        config = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"{path} cannot be read: {error}", hint="Name a UTF-8 text file.") from error
    except YAMLError as error:
        raise Invalid(f"{path} is not YAML: {error}", hint="Correct the line it names.") from error
    return load_systems(config or {}, env=env, folder=path.parent)


def _system(name: str, settings: Any, env: Mapping[str, str], folder: Path) -> System:
    if not _NAME.fullmatch(name):
        raise wrong(name, "the name is not one", "Use lower-case letters, digits, dots and dashes.")
    known = settings_of(name, settings)
    try:
        return _built(name, known, env, folder)
    except Invalid as error:
        field = str(error.fields.get("field", _ABOUT[type(known)]))
        if field.startswith(f"{name}."):
            raise
        raise wrong(f"{name}.{field}", error.detail, error.hint) from error


def _built(name: str, settings: Kind, env: Mapping[str, str], folder: Path) -> System:
    match settings:
        case SqlSettings():
            url = resolved(f"{name}.url", settings.url, env, folder)
            if url == settings.url and urlsplit(url).password:
                raise wrong(f"{name}.url", "it holds a password", "Write `env:NAME` or `file:PATH` instead.")
            if "://" not in url:
                url = str(folder / url)
            elif settings.capture and not url.startswith(_CAPTURING):
                hint = (
                    "SQLite (as a path or sqlite:///PATH) and PostgreSQL can; write `scan: true` elsewhere."
                )
                raise wrong(f"{name}.capture", "true, and this database cannot say which rows changed", hint)
            return SqlSystem(
                name,
                url,
                settings.tables,
                scan=settings.scan,
                scan_rows_max=settings.scan_rows_max,
                capture=settings.capture,
            )
        case FilesSettings():
            return FilesSystem(
                name,
                folder / settings.root,
                keep=None if settings.keep is None else folder / settings.keep,
                ignore=settings.ignore,
                inline_bytes_max=settings.inline_bytes_max,
                scan=settings.scan,
                scan_objects_max=settings.scan_objects_max,
            )
        case HttpSettings():
            return HttpSystem(
                name,
                resolved(f"{name}.url", settings.url, env, folder),
                settings.types,
                headers={
                    each: resolved(f"{name}.headers.{each}", value, env, folder)
                    for each, value in settings.headers.items()
                },
                timeout_s=settings.timeout_s,
                scan=settings.scan,
                scan_objects_max=settings.scan_objects_max,
            )
        case PythonSettings():
            source = _made(name, settings, _options(name, settings.options, env, folder), folder)
            if callable(getattr(source, "replace", None)):
                return _ready(f"{name}.source", name, source)
            return PythonSystem(
                name,
                source.read,
                getattr(source, "write", None),
                getattr(source, "scan", None),
                getattr(source, "invoke", None),
            )
        case ToolSettings():
            invoke = _named(f"{name}.invoke", settings.invoke, folder)
            if options := _options(name, settings.options, env, folder):
                invoke = _called(f"{name}.invoke", invoke, options, settings.options)
            if not callable(invoke):
                raise wrong(f"{name}.invoke", "it is not a function", "Name a function of (tool, args).")
            return ToolSystem(name, invoke, settings.types)


def _ready(field: str, name: str, system: System) -> System:
    """Answer an object that keeps the whole promise of a system by itself."""
    if getattr(system, "name", None) != name or not hasattr(system, "scans"):
        raise wrong(field, "it is a system of another name", f"Give it name={name!r} and a `scans`.")
    return system


def _options(name: str, options: Mapping[str, Any], env: Mapping[str, str], folder: Path) -> dict[str, Any]:
    return {
        key: resolved(f"{name}.options.{key}", value, env, folder) if isinstance(value, str) else value
        for key, value in options.items()
    }


def resolved(
    field: str,
    value: str,
    env: Mapping[str, str],
    folder: Path,
    *,
    wrong: Callable[[str, str, str], Invalid] = wrong,
) -> str:
    """Answer what ``env:`` or ``file:`` refers to, or the value itself; an error never shows a secret. ``wrong`` words it."""
    kind, colon, name = value.partition(":")
    if not colon or kind not in ("env", "file"):
        return value
    if kind == "env":
        if not env.get(name):
            raise wrong(field, f"the environment variable {name} is not set", f"Set {name} for the server.")
        return env[name]
    try:
        return (folder / name).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise wrong(field, f"the file {name} cannot be read", "Let the server's user read it.") from error


def _made(name: str, settings: PythonSettings, options: Mapping[str, Any], folder: Path) -> Any:
    field = f"{name}.source"
    found = _named(field, settings.source, folder)
    if not hasattr(found, "read") or isinstance(found, type):
        if not callable(found):
            raise wrong(
                field, "it has no `read`", "Name an object with read(type, id), or a function that makes one."
            )
        found = _called(field, found, options, settings.options)
    elif options:
        raise wrong(field, "it is an object and takes no options", "Name the function that makes it.")
    if not callable(getattr(found, "read", None)):
        raise wrong(field, "what it makes has no `read`", "Give it read(type, id).")
    return found


def _called(
    field: str, function: Callable[..., Any], options: Mapping[str, Any], written: Mapping[str, Any]
) -> Any:
    """Call the operator's function with the options as they were resolved from what is written."""
    try:
        return function(**options)
    except Exception as error:  # noqa: BLE001 - whatever the operator's function raises
        text = f"{type(error).__name__}: {error}"
        for key, value in options.items():
            if value != written[key]:  # it was resolved: a secret must not be repeated
                text = text.replace(str(value), "…")
        raise wrong(field, f"making it failed: {text}", "Check its `options`.") from None


def _named(field: str, source: str, folder: Path) -> Any:
    module_name, colon, attribute = source.rpartition(":")
    if not colon or not module_name or not attribute:
        raise wrong(
            field, f"{source!r} names nothing", "Write `package.module:name` or `path/to/file.py:name`."
        )
    try:
        module = (
            _file(folder / module_name)
            if module_name.endswith(".py")
            else importlib.import_module(module_name)
        )
        return getattr(module, attribute)
    except Exception as error:  # whatever the operator's module raises while it is imported
        raise wrong(
            field,
            f"{source} cannot be loaded: {type(error).__name__}: {error}",
            "See that it imports by itself.",
        ) from error


def _file(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(f"stopwork_system_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ImportError(str(path))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
