"""The systems file: which systems this server can see and restore, written by its operator.

A mapping from a system's name to its kind and settings. A credential never stands in the file: a setting that holds one is
``env:NAME`` (an environment variable) or ``file:PATH`` (a file's content, without the newline at its end). What is named under
``source`` and ``invoke`` is Python code that runs with the server's rights, so the file belongs to the operator alone.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from stopwork.settings.file import REFER, SettingsFile, read
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
    contradictions,
)
from stopwork.systems.sql import SqlSystem
from stopwork.systems.tool import ToolSystem

MAX_SYSTEMS: Final = 500
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
    file = SettingsFile("systems file", guide="the how-to on writing a system", env=env, folder=folder)
    return {name: _system(file, name, given) for name, given in file.named(config, most=MAX_SYSTEMS).items()}


def read_systems_file(path: Path, *, env: Mapping[str, str]) -> dict[str, System]:
    """Answer the systems of a YAML or JSON file; see :func:`load_systems`."""
    return load_systems(read(path), env=env, folder=path.parent)


def _system(file: SettingsFile, name: str, given: Any) -> System:
    settings: Kind = file.fitted(name, given, Kind)
    for field, what, hint in contradictions(settings):
        raise file.wrong(f"{name}.{field}", what, hint)
    with file.naming(name, about=_ABOUT[type(settings)]):
        return _built(file, name, settings)


def _built(file: SettingsFile, name: str, settings: Kind) -> System:
    folder = file.folder
    match settings:
        case SqlSettings():
            url = file.resolved(f"{name}.url", settings.url)
            if url == settings.url and urlsplit(url).password:
                raise file.wrong(f"{name}.url", "it holds a password", REFER)
            if "://" not in url:
                url = str(folder / url)
            elif settings.capture and not url.startswith(_CAPTURING):
                hint = (
                    "SQLite (as a path or sqlite:///PATH) and PostgreSQL can; write `scan: true` elsewhere."
                )
                raise file.wrong(
                    f"{name}.capture", "true, and this database cannot say which rows changed", hint
                )
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
                file.resolved(f"{name}.url", settings.url),
                settings.types,
                headers={
                    each: file.resolved(f"{name}.headers.{each}", value)
                    for each, value in settings.headers.items()
                },
                timeout_s=settings.timeout_s,
                scan=settings.scan,
                scan_objects_max=settings.scan_objects_max,
            )
        case PythonSettings():
            source = _made(file, name, settings, _options(file, name, settings.options))
            if callable(getattr(source, "replace", None)):
                return _ready(file, f"{name}.source", name, source)
            return PythonSystem(
                name,
                source.read,
                getattr(source, "write", None),
                getattr(source, "scan", None),
                getattr(source, "invoke", None),
            )
        case ToolSettings():
            invoke = _named(file, f"{name}.invoke", settings.invoke)
            if options := _options(file, name, settings.options):
                invoke = _called(file, f"{name}.invoke", invoke, options, settings.options)
            if not callable(invoke):
                raise file.wrong(f"{name}.invoke", "it is not a function", "Name a function of (tool, args).")
            return ToolSystem(name, invoke, settings.types)


def _ready(file: SettingsFile, field: str, name: str, system: System) -> System:
    """Answer an object that keeps the whole promise of a system by itself."""
    if getattr(system, "name", None) != name or not hasattr(system, "scans"):
        raise file.wrong(field, "it is a system of another name", f"Give it name={name!r} and a `scans`.")
    return system


def _options(file: SettingsFile, name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: file.resolved(f"{name}.options.{key}", value) if isinstance(value, str) else value
        for key, value in options.items()
    }


def _made(file: SettingsFile, name: str, settings: PythonSettings, options: Mapping[str, Any]) -> Any:
    field = f"{name}.source"
    found = _named(file, field, settings.source)
    if not hasattr(found, "read") or isinstance(found, type):
        if not callable(found):
            raise file.wrong(
                field, "it has no `read`", "Name an object with read(type, id), or a function that makes one."
            )
        found = _called(file, field, found, options, settings.options)
    elif options:
        raise file.wrong(field, "it is an object and takes no options", "Name the function that makes it.")
    if not callable(getattr(found, "read", None)):
        raise file.wrong(field, "what it makes has no `read`", "Give it read(type, id).")
    return found


def _called(
    file: SettingsFile,
    field: str,
    function: Callable[..., Any],
    options: Mapping[str, Any],
    written: Mapping[str, Any],
) -> Any:
    """Call the operator's function with the options as they were resolved from what is written."""
    try:
        return function(**options)
    except Exception as error:  # noqa: BLE001 - whatever the operator's function raises
        text = f"{type(error).__name__}: {error}"
        for key, value in options.items():
            if value != written[key]:  # it was resolved: a secret must not be repeated
                text = text.replace(str(value), "…")
        raise file.wrong(field, f"making it failed: {text}", "Check its `options`.") from None


def _named(file: SettingsFile, field: str, source: str) -> Any:
    module_name, colon, attribute = source.rpartition(":")
    if not colon or not module_name or not attribute:
        raise file.wrong(
            field, f"{source!r} names nothing", "Write `package.module:name` or `path/to/file.py:name`."
        )
    try:
        module = (
            _module(file.folder / module_name)
            if module_name.endswith(".py")
            else importlib.import_module(module_name)
        )
        return getattr(module, attribute)
    except Exception as error:  # whatever the operator's module raises while it is imported
        raise file.wrong(
            field,
            f"{source} cannot be loaded: {type(error).__name__}: {error}",
            "See that it imports by itself.",
        ) from error


def _module(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(f"stopwork_system_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ImportError(str(path))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
