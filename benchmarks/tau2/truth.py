"""What really is in a world, and what a call really did to it. Knows nothing of Stopwork.

Each side of a world is a database: a model whose fields are dictionaries or lists of records, each record one object, or
models that are one object by themselves.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from typing import Any

from pydantic import BaseModel

from benchmarks.worlds.truth import OWN, Key, World

_SIDES = ("tools", "user_tools")

Deed = tuple[Key, str, str, str]
"""An object, the path of a field in it, and its value before and after."""


def projection(environment: Any) -> World:
    """Answer every object of both sides as plain JSON that shares nothing with the environment."""
    world: World = {}
    for side in _SIDES:
        kit = getattr(environment, side)
        if kit is None:
            continue
        for name in type(kit.db).model_fields:
            place = f"{side}.db.{name}"
            for key, item in _objects(getattr(kit.db, name)):
                if (place, key) in world:
                    raise ValueError(f"two objects are called {key} in {place}")
                world[place, key] = _content(item.model_dump_json())
    return world


def without(world: World, ids: Collection[str]) -> World:
    """Answer the world with these ids taken out of it, wherever they stand; objects that had one as their name are told by content."""
    plain: World = {}
    for (place, key), content in world.items():
        text = json.dumps(content, sort_keys=True)
        for each in ids:
            text = text.replace(each, "new")
        named = key if key not in ids else f"new {text}"
        plain[place, named] = text
    return plain


def deeds(before: World, after: World) -> set[Deed]:
    """Answer each field that differs between two worlds, with both values."""
    found: set[Deed] = set()
    for key in before.keys() | after.keys():
        if before.get(key) != after.get(key):
            one, other = (_fields(world.get(key)) for world in (before, after))
            found |= {
                (key, path, one.get(path, "nothing"), other.get(path, "nothing"))
                for path in one.keys() | other.keys()
                if one.get(path) != other.get(path)
            }
    return found


@lru_cache(maxsize=50_000)
def _content(text: str) -> Any:
    """Answer what the text says. Most objects are as they were at the last look: these are one and the same, and nobody changes them."""
    return json.loads(text)


def _objects(value: Any) -> Iterator[tuple[str, BaseModel]]:
    match value:
        case BaseModel():
            yield OWN, value
        case Mapping():
            yield from ((str(key), item) for key, item in value.items())
        case list():
            # The first field of every record in a list is its id.
            yield from ((str(getattr(item, next(iter(type(item).model_fields)))), item) for item in value)
        case _:
            raise TypeError(f"{value!r} is no place for objects")


def _fields(content: Any) -> dict[str, str]:
    return {} if content is None else dict(_flat(content, ""))


def _flat(content: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(content, dict) and content:
        for name, value in content.items():
            yield from _flat(value, f"{path}.{name}")
    else:
        yield path, json.dumps(content, sort_keys=True)
