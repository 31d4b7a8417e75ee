"""Templates of what is sent to a place: ``{id}`` within text, or a value of any kind where the template stands alone.

A name in braces stands for one of the given values, ``{content.due}`` for a field of it. A template alone keeps the value's type,
within other text it becomes text, and the key ``**`` spreads an object into the mapping around it. Braces around anything else
are left as they are. In a path every value is quoted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import quote

from stopwork.incidents.images import Nothing, field_path, same, value_at
from stopwork.kernel.canonical import revive
from stopwork.kernel.errors import Invalid
from stopwork.ledger.records import Image, ObjectRef

_TEMPLATE: Final = re.compile(r"\{([a-z]+)((?:\.[^{}]+)?)\}")
#: Some servers take a quoted slash, or a backslash, for a step.
_BETWEEN_STEPS: Final = re.compile(r"[/\\]")
_SPREAD: Final = "**"


def filled(template: Any, values: Mapping[str, Any], ref: ObjectRef) -> Any:
    """Answer the template with its values; ``Invalid`` where there is none for a name."""
    if isinstance(template, Mapping):
        return _filled_mapping(template, values, ref)
    if isinstance(template, list | tuple):
        return [filled(item, values, ref) for item in template]
    if not isinstance(template, str):
        return template
    whole = _TEMPLATE.fullmatch(template)
    if whole is not None and whole[1] in values:
        return _value(whole, values, ref)
    return _spelled(template, values, ref, str)


def filled_path(template: str, values: Mapping[str, Any], ref: ObjectRef) -> str:
    """Answer a path with its values, each quoted whole; ``Invalid`` for one that would lead to another place in the tree."""

    def quoted(value: Any) -> str:
        text = str(value)
        if {".", ".."} & set(_BETWEEN_STEPS.split(text)):
            raise Invalid(
                f"{text!r} leads out of its place in {template}",
                hint="An object is named by what stands in its own address.",
                object=str(ref),
            )
        return quote(text, safe="")

    return _spelled(template, values, ref, quoted)


def changes(now: Image, target: Image) -> dict[str, Any]:
    """Answer the top-level fields of the target that differ from what is there, revived."""
    if not isinstance(now.content, dict) or not isinstance(target.content, dict):
        return {}
    return {
        key: revive(value)
        for key, value in target.content.items()
        if key not in now.content or not same(value, now.content[key])
    }


def _spelled(template: str, values: Mapping[str, Any], ref: ObjectRef, as_text: Callable[[Any], str]) -> str:
    def spelled(part: re.Match[str]) -> str:
        return as_text(_value(part, values, ref)) if part[1] in values else part[0]

    return _TEMPLATE.sub(spelled, template)


def _filled_mapping(template: Mapping[str, Any], values: Mapping[str, Any], ref: ObjectRef) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, inner in template.items():
        value = filled(inner, values, ref)
        if name != _SPREAD:
            found[name] = value
        elif isinstance(value, dict):
            found |= value
        else:
            raise Invalid(f"{inner!r} is not an object that could be spread", hint="Spread an object.")
    return found


def _value(template: re.Match[str], values: Mapping[str, Any], ref: ObjectRef) -> Any:
    name, path = template[1], template[2][1:]
    value = value_at(values[name], field_path(path))
    if isinstance(value, Nothing):
        raise Invalid(
            f"{template[0]} has no value for {ref}",
            hint="Name a field that the object has.",
            object=str(ref),
        )
    return value
