"""What the systems file may say of each kind of system, and where that contradicts itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from stopwork.settings.file import REFER, REFERRED, holds_credential
from stopwork.systems.files import INLINE_BYTES_MAX, SCAN_OBJECTS_MAX
from stopwork.systems.http import TIMEOUT_S, Resource
from stopwork.systems.sql import SCAN_ROWS_MAX, Table
from stopwork.systems.tool import Handling

_PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")
_NAMES: Final = re.compile(r"id|part\.[1-9][0-9]*|(content|changes)(\..+)?")
Positive = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(gt=0)]


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """What every kind has: its name, and no field that is not known."""


class SqlSettings(Settings, frozen=True, kw_only=True, tag="sql"):
    """A database; see :mod:`stopwork.systems.sql`."""

    url: str
    tables: dict[str, Table]
    scan: bool = False
    scan_rows_max: Positive = SCAN_ROWS_MAX
    capture: bool = False


class PythonSettings(Settings, frozen=True, kw_only=True, tag="python"):
    """An object with ``read`` and, where it can, ``write``, ``scan`` and ``invoke``; or a function that makes one.

    An object with ``replace`` is taken for a whole :class:`~stopwork.systems.base.System` and used as it is.

    ``source`` is ``package.module:name`` or ``path/to/file.py:name``; ``options`` are the function's arguments.
    """

    source: str
    options: dict[str, Any] = {}


class FilesSettings(Settings, frozen=True, kw_only=True, tag="files"):
    """What lies below a folder; see :mod:`stopwork.systems.files`."""

    root: str
    keep: str | None = None
    ignore: tuple[str, ...] = ()
    inline_bytes_max: Positive = INLINE_BYTES_MAX
    scan: bool = True
    scan_objects_max: Positive = SCAN_OBJECTS_MAX


class HttpSettings(Settings, frozen=True, kw_only=True, tag="http"):
    """A map of an HTTP interface; see :mod:`stopwork.systems.http`."""

    url: str
    types: dict[str, Resource]
    headers: dict[str, str] = {}
    timeout_s: Seconds = TIMEOUT_S
    scan: bool = False
    scan_objects_max: Positive = SCAN_OBJECTS_MAX


class ToolSettings(Settings, frozen=True, kw_only=True, tag="tool"):
    """The agent's own tools, called through the function that ``invoke`` names; see :mod:`stopwork.systems.tool`."""

    invoke: str
    types: dict[str, Handling]
    options: dict[str, Any] = {}


Kind = SqlSettings | FilesSettings | HttpSettings | PythonSettings | ToolSettings


def contradictions(settings: Kind) -> Iterator[tuple[str, str, str]]:
    """Yield each mistake that only shows when the settings are seen together: field, what is wrong, the way out."""
    match settings:
        case SqlSettings(tables=tables):
            for kind, table in tables.items():
                if not table.key:
                    yield f"tables.{kind}.key", "it is empty", "Name the columns that make the id."
        case HttpSettings():
            yield from _of_map(settings)
        case ToolSettings() if not settings.types:
            yield "types", "it is empty", "Say for each type of object which tool reads it."


def _of_map(settings: HttpSettings) -> Iterator[tuple[str, str, str]]:
    if not settings.types:
        yield "types", "it is empty", "Say for each type of object how it is read."
    if settings.scan and not any(way.list for way in settings.types.values()):
        yield "scan", "true, and no type can be listed", "Give a type a `list`, or leave `scan` out."
    for header, value in settings.headers.items():
        if holds_credential(header) and not value.startswith(REFERRED):
            yield f"headers.{header}", "a credential stands in the file", REFER
    for kind, way in settings.types.items():
        paths = {"read": way.read} | {
            f"{task}.path": call.path
            for task, call in (("create", way.create), ("update", way.update), ("delete", way.delete))
            if call is not None
        }
        for field, path in paths.items():
            for name in _PLACEHOLDER.findall(path):
                if not _NAMES.fullmatch(name):
                    hint = "Write {id}, or {part.1} for the first part of an id such as acme/7."
                    yield f"types.{kind}.{field}", f"{{{name}}} stands for nothing", hint
        if "{" not in way.read:
            hint = "Write where in the address the id stands: /tickets/{id}."
            yield f"types.{kind}.read", f"{way.read!r} is the same for every object", hint
        if way.list and way.list.paging and not (way.list.paging.next or way.list.paging.param):
            hint = "Write `next:` (a field with the next address, or link) or `param:`."
            yield f"types.{kind}.list.paging", "it does not say how the next page is asked for", hint
