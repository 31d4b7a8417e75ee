"""``NAME=VALUE`` on the command line: JSON, or text as it stands; text stays text where text is held."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import click


def assigned(
    changes: Iterable[str], held: Mapping[str, Any] = {}, *, option: str = "--set"
) -> dict[str, Any]:
    """Answer what is given another value; ``held`` is what stands there now."""
    found: dict[str, Any] = {}
    for change in changes:
        name, equals, given = change.partition("=")
        if not equals or not name:
            raise click.UsageError(f"{option} takes NAME=VALUE, not {change!r}.")
        found[name] = given if isinstance(held.get(name), str) else _value(given)
    return found


def _value(given: str) -> Any:
    try:
        return json.loads(given)
    except ValueError:
        return given
