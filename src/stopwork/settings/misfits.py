"""Where settings do not fit, what is wrong there and what may stand there instead.

A mistake is named by its field, down to the key, with the value that stands there and the way out: the word that was probably meant,
or what may stand there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Final

import msgspec
from msgspec import Struct, inspect

_AT: Final = re.compile(r"^(?P<what>.*?)(?: - at (?:`key` in )?`\$\.?(?P<path>.*)`)?$", re.DOTALL)
_STEP: Final = re.compile(r"([^.\[\]]+)|\[(\d+|\.\.\.)\]")
_UNKNOWN: Final = re.compile(r"unknown field `(.*)`")
_MISSING: Final = re.compile(r"missing required field `(.*)`")
#: What a person puts there, where a credential belongs, may be one.
_SECRET: Final = re.compile(r"\.(url|secret|headers|options|env|body)\b")
_SHOWN_CHARS: Final = 60


class Misfit(Struct, frozen=True, kw_only=True):
    """One mistake. ``hint`` is the way out; without one it is written in the guide."""

    field: str
    what: str
    hint: str = ""


def misfit_of(place: str, given: Any, kind: Any, error: msgspec.ValidationError) -> Misfit:
    """Answer the first mistake in settings that were to be of a kind: a struct, or one of several by its tag.

    ``place`` is the field that they are, ``error`` what was said of them.
    """
    if not isinstance(given, Mapping):
        return Misfit(field=place, what=f"{_shown(given)} is no mapping of settings")
    shape = inspect.type_info(kind)
    if isinstance(shape, inspect.UnionType):
        tagged = {str(each.tag): each for each in shape.types if isinstance(each, inspect.StructType)}
        tag = next(str(each.tag_field) for each in tagged.values())
        if not isinstance(given.get(tag), str) or given[tag] not in tagged:
            what = f"{_shown(given[tag])} is not one" if tag in given else "it is missing"
            return Misfit(field=_joined(place, tag), what=what, hint=f"Write one of {', '.join(tagged)}.")
        shape = tagged[given[tag]]
    path, said = _located(given, kind, str(error))
    value: Any = given
    expected: inspect.Type | None = shape
    for step in path:
        value, expected = value[step], _inner(expected, step)
    field = _joined(place, *path)
    if unknown := _UNKNOWN.search(said):
        fields = _fields(expected)
        near = get_close_matches(unknown[1], fields, n=1)
        hint = f"Write `{near[0]}`, if that is meant." if near else f"It has {', '.join(fields)}."
        return Misfit(field=_joined(field, unknown[1]), what="there is no such setting", hint=hint)
    if missing := _MISSING.search(said):
        return Misfit(field=_joined(field, missing[1]), what="it is missing")
    found = "what stands there" if _SECRET.search(field) else _shown(value)
    return Misfit(
        field=field,
        what=f"{found} does not fit: {said[:1].lower()}{said[1:]}",
        hint=next(filter(None, map(_hint, _either(expected))), ""),
    )


def _joined(*steps: Any) -> str:
    return ".".join(str(each) for each in steps if each != "")


def _located(given: Any, kind: Any, error: str) -> tuple[list[Any], str]:
    """Answer where the mistake is and what it is; a key that the message leaves open is found by trying each."""
    found = _AT.match(error)
    what, spelled = (found["what"], found["path"] or "") if found else (error, "")
    path: list[Any] = []
    for step in (word or inner for word, inner in _STEP.findall(spelled)):
        inside: Any = given
        for known in path:
            inside = inside[known]
        if step == "...":
            path.append(next(key for key in inside if _fails(_only(given, path, key), kind)))
        else:
            path.append(step if isinstance(inside, Mapping) else int(step))
    return path, what


def _fails(given: Any, kind: Any) -> bool:
    try:
        msgspec.convert(given, type=kind)
    except msgspec.ValidationError:
        return True
    return False


def _only(given: Any, path: list[Any], key: Any) -> Any:
    """Answer the same settings with this key as the only one at that place."""
    if not path:
        return {key: given[key]}
    within = _only(given[path[0]], path[1:], key)
    if isinstance(given, Mapping):
        return {**given, path[0]: within}
    return [within if number == path[0] else each for number, each in enumerate(given)]


def _either(kind: inspect.Type | None) -> tuple[inspect.Type | None, ...]:
    return kind.types if isinstance(kind, inspect.UnionType) else (kind,)


def _inner(kind: inspect.Type | None, step: Any) -> inspect.Type | None:
    """Answer the type of what stands at one step further in."""
    for each in _either(kind):
        match each:
            case inspect.StructType(fields=fields):
                return next((field.type for field in fields if field.encode_name == step), None)
            case inspect.DictType(value_type=inner):
                return inner
            case inspect.VarTupleType(item_type=inner) | inspect.ListType(item_type=inner):
                return inner
    return None


def _fields(kind: inspect.Type | None) -> list[str]:
    structs = (each for each in _either(kind) if isinstance(each, inspect.StructType))
    return [field.encode_name for each in structs for field in each.fields]


def _hint(kind: inspect.Type | None) -> str:
    match kind:
        case inspect.StructType():
            return f"Write a mapping with {', '.join(_fields(kind))}."
        case inspect.VarTupleType() | inspect.ListType():
            return "Write a list, such as [id]."
        case inspect.DictType():
            return "Write a mapping."
        case inspect.BoolType():
            return "Write true or false."
        case inspect.IntType() | inspect.FloatType():
            return "Write a number above zero." if kind.ge or kind.gt == 0 else "Write a number."
        case inspect.StrType():
            return "Write text."
        case inspect.EnumType(cls=words):
            return f"Write one of {', '.join(str(each.value) for each in words)}."
        case inspect.LiteralType(values=values):
            return f"Write one of {', '.join(map(str, values))}."
    return ""


def _shown(value: Any) -> str:
    """Answer a value in few words; what is long may be a secret and is not repeated."""
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= _SHOWN_CHARS else f"a {type(value).__name__}"
