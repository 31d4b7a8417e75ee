"""What the systems file may say of each kind of system, and what is wrong where it says something else.

A mistake is named by its field, down to the key, with the value that stands there and the way out: the word that was probably meant,
or what may stand there instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct, inspect

from stopwork.kernel.errors import Invalid
from stopwork.systems.files import INLINE_BYTES_MAX, SCAN_OBJECTS_MAX
from stopwork.systems.http import TIMEOUT_S, Resource
from stopwork.systems.sql import SCAN_ROWS_MAX, Table
from stopwork.systems.tool import Handling

_AT: Final = re.compile(r"^(?P<what>.*?)(?: - at `\$\.?(?P<path>.*)`)?$", re.DOTALL)
_STEP: Final = re.compile(r"([^.\[\]]+)|\[(\d+|\.\.\.)\]")
_UNKNOWN: Final = re.compile(r"unknown field `(.*)`")
_MISSING: Final = re.compile(r"missing required field `(.*)`")
_PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")
_NAMES: Final = re.compile(r"id|part\.[1-9][0-9]*|(content|changes)(\..+)?")
_CREDENTIAL: Final = re.compile(r"authorization|cookie|key|token|secret", re.IGNORECASE)
_SECRET: Final = re.compile(r"\.(url|headers|options)\b")
_SHOWN_CHARS: Final = 60

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

#: What each kind of system is made of, by the word for it.
KINDS: Final = {
    "sql": SqlSettings,
    "files": FilesSettings,
    "http": HttpSettings,
    "python": PythonSettings,
    "tool": ToolSettings,
}


def wrong(field: str, what: str, hint: str) -> Invalid:
    """Answer the error for one field of the systems file."""
    return Invalid(f"systems file, {field}: {what}", hint=hint, field=field)


def settings_of(name: str, given: Any) -> Kind:
    """Answer the settings of one system; ``Invalid`` for the first mistake in them."""
    if not isinstance(given, Mapping):
        raise wrong(
            name, f"{_shown(given)} is no mapping of settings", "Write `kind:` and what belongs to it."
        )
    if given.get("kind") not in KINDS:
        said = f"{_shown(given['kind'])} is no kind of system" if "kind" in given else "`kind` is missing"
        raise wrong(f"{name}.kind", said, f"Write one of {', '.join(KINDS)}.")
    try:
        known: Kind = msgspec.convert(given, type=Kind)
    except msgspec.ValidationError as error:
        raise _mistake(name, given, error) from error
    for field, what, hint in _contradictions(known):
        raise wrong(f"{name}.{field}", what, hint)
    return known


# --- what has the wrong shape ------------------------------------------------------------------


def _mistake(name: str, given: Mapping[str, Any], error: msgspec.ValidationError) -> Invalid:
    path, what = _located(given, error)
    value, kind = given, inspect.type_info(KINDS[given["kind"]])
    for step in path:
        value, kind = value[step], _inner(kind, step)
    field = ".".join((name, *map(str, path)))
    if unknown := _UNKNOWN.search(what):
        fields = _fields(kind)
        near = get_close_matches(unknown[1], fields, n=1)
        hint = f"Write `{near[0]}`, if that is meant." if near else f"It has {', '.join(fields)}."
        return wrong(f"{field}.{unknown[1]}", "there is no such setting", hint)
    if missing := _MISSING.search(what):
        hint = f"Add `{missing[1]}:`; see the how-to on writing a system."
        return wrong(f"{field}.{missing[1]}", "it is missing", hint)
    # What a person put where a credential belongs may be one.
    said = "what stands there" if _SECRET.search(field) else _shown(value)
    return wrong(field, f"{said} does not fit: {what[:1].lower()}{what[1:]}", _expected(kind))


def _located(given: Mapping[str, Any], error: msgspec.ValidationError) -> tuple[list[Any], str]:
    """Answer where the mistake is and what it is; a key that the message leaves open is found by trying each."""
    found = _AT.match(str(error))
    what, spelled = (found["what"], found["path"] or "") if found else (str(error), "")
    steps = [word or inner for word, inner in _STEP.findall(spelled)]
    path: list[Any] = []
    for step in steps:
        inside: Any = given
        for known in path:
            inside = inside[known]
        if step != "...":
            path.append(step if isinstance(inside, Mapping) else int(step))
            continue
        path.append(next(key for key in inside if _fails(given, path, key)))
    return path, what


def _fails(given: Mapping[str, Any], path: list[Any], key: Any) -> bool:
    """Answer whether the settings are still wrong with this key as the only one at that place."""
    try:
        msgspec.convert(_only(given, path, key), type=Kind)
    except msgspec.ValidationError:
        return True
    return False


def _only(given: Any, path: list[Any], key: Any) -> Any:
    if not path:
        return {key: given[key]}
    return {name: _only(inner, path[1:], key) if name == path[0] else inner for name, inner in given.items()}


def _inner(kind: Any, step: Any) -> Any:
    """Answer the type of what stands at one step further in."""
    for each in kind.types if isinstance(kind, inspect.UnionType) else (kind,):
        match each:
            case inspect.StructType(fields=fields):
                return next((field.type for field in fields if field.encode_name == step), None)
            case inspect.DictType(value_type=inner):
                return inner
            case inspect.VarTupleType(item_type=inner) | inspect.ListType(item_type=inner):
                return inner
    return None


def _fields(kind: Any) -> list[str]:
    for each in kind.types if isinstance(kind, inspect.UnionType) else (kind,):
        if isinstance(each, inspect.StructType):
            return [field.encode_name for field in each.fields]
    return []


def _expected(kind: Any) -> str:
    for each in kind.types if isinstance(kind, inspect.UnionType) else (kind,):
        match each:
            case inspect.StructType():
                return f"Write a mapping with {', '.join(_fields(each))}."
            case inspect.VarTupleType() | inspect.ListType():
                return "Write a list, such as [id]."
            case inspect.DictType():
                return "Write a mapping."
            case inspect.BoolType():
                return "Write true or false."
            case inspect.IntType() | inspect.FloatType():
                return "Write a number above zero." if each.ge or each.gt == 0 else "Write a number."
            case inspect.StrType():
                return "Write text."
            case inspect.LiteralType(values=values):
                return f"Write one of {', '.join(map(str, values))}."
    return "See the how-to on writing a system."


def _shown(value: Any) -> str:
    """Answer a value in few words; what is long may be a secret and is not repeated."""
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= _SHOWN_CHARS else f"a {type(value).__name__}"


# --- what contradicts itself ---------------------------------------------------------------------


def _contradictions(settings: Kind) -> Iterator[tuple[str, str, str]]:
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
        if _CREDENTIAL.search(header) and not value.startswith(("env:", "file:")):
            hint = "Write `env:NAME` or `file:PATH`: no credential stands in this file."
            yield f"headers.{header}", "it holds a credential", hint
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
