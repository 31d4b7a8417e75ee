"""Filling: the facts of an item put where a hook's settings name them, so that none can become anything but a value.

``{target}`` stands for a fact. In an address it is quoted, in a JSON body it is a string, in a command it is one argument of its own
or part of one, and never the beginning of an option.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote

from stopwork.hooks.base import FACTS, Facts
from stopwork.kernel.errors import Invalid

_NAMED: Final = re.compile(r"\{([a-z_]+)\}")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_STEPS: Final = re.compile(r"[/\\]")


def names_in(template: Any) -> Iterator[str]:
    """Yield every name that stands in braces, however deep."""
    match template:
        case str():
            yield from _NAMED.findall(template)
        case Mapping():
            for key, value in template.items():
                yield from names_in(key)
                yield from names_in(value)
        case list() | tuple():
            for each in template:
                yield from names_in(each)


def require_facts(template: Any) -> None:
    """Raise ``Invalid`` for a name in braces that is no fact."""
    for name in names_in(template):
        if name not in FACTS:
            raise Invalid(
                f"{{{name}}} stands for nothing", hint=f"Write one of {{{'}, {'.join(FACTS)}}}.", field=name
            )


def argument(template: str, facts: Facts) -> str:
    """Answer one argument of a command; ``Invalid`` for a fact that would make it an option."""
    found = _filled(template, facts, str)
    if found.startswith("-") and not template.startswith("-"):
        raise Invalid(f"{found!r} would be taken for an option", hint="Put `--` or a word before it.")
    return found


def address(template: str, facts: Facts) -> str:
    """Answer an address in which every fact is quoted whole; ``Invalid`` for one that leads to another place."""

    def quoted(value: str) -> str:
        if {".", ".."} & set(_STEPS.split(value)):
            raise Invalid(f"{value!r} leads out of its place", hint="Do it by hand.")
        return quote(value, safe="")

    return _filled(template, facts, quoted)


def filled(template: Any, facts: Facts) -> Any:
    """Answer JSON content with its facts; a fact is text, whatever stands in it."""
    match template:
        case str():
            return _filled(template, facts, str)
        case Mapping():
            return {key: filled(value, facts) for key, value in template.items()}
        case list() | tuple():
            return [filled(each, facts) for each in template]
    return template


def _filled(template: str, facts: Facts, spelled: Callable[[str], str]) -> str:
    words = facts.words()

    def value(name: re.Match[str]) -> str:
        found = words[name[1]]
        if _CONTROL.search(found):
            raise Invalid(f"the {name[1]} of this item holds control characters", hint="Do it by hand.")
        return spelled(found)

    return _NAMED.sub(value, template)
