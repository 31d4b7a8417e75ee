"""What really is in an environment. Knows nothing of Stopwork.

An environment is a tree of pydantic models. A field that holds a dictionary, or a list of models with an id, is a *place*: each
entry is one object. What is left of a model is one object of its own. Fields called ``initial_…`` are the seed of a
place and share its objects, computed fields are views of one: neither is counted twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import BaseModel

from benchmarks.worlds.truth import OWN, Key, World

_IDS: Final = ("id_", "id", "email")


def projection(environment: BaseModel) -> World:
    """Answer every object as plain JSON that shares nothing with the environment."""
    world: World = {}
    for key, content in _objects(environment, ""):
        if key in world:
            raise ValueError(f"two objects are called {key}")
        world[key] = content
    return world


def without_ids(world: World) -> dict[str, list[str]]:
    """Answer the objects of each place by content alone: ids that were given out at run time are left out, at every depth."""
    places: dict[str, list[str]] = {}
    for (place, _), content in world.items():
        places.setdefault(place, []).append(repr(_without_ids(content)))
    return {place: sorted(contents) for place, contents in places.items()}


def _objects(model: BaseModel, path: str) -> Iterator[tuple[Key, Any]]:
    rest: dict[str, Any] = {}
    for name in type(model).model_fields:
        if name.startswith("initial_"):
            continue
        value = getattr(model, name)
        place = f"{path}.{name}" if path else name
        if isinstance(value, BaseModel):
            yield from _objects(value, place)
        elif isinstance(value, Mapping):
            yield from (((place, str(key)), _plain(item)) for key, item in value.items())
        elif isinstance(value, list) and value and isinstance(value[0], BaseModel):
            yield from (((place, _id(item)), _plain(item)) for item in value)
        elif value != []:
            rest[name] = model.model_dump(mode="json", include={name})[name]
    if rest:
        yield (path, OWN), rest


def _id(item: BaseModel) -> str:
    return next(str(getattr(item, name)) for name in _IDS if name in type(item).model_fields)


def _plain(item: Any) -> Any:
    return item.model_dump(mode="json") if isinstance(item, BaseModel) else item


def _without_ids(content: Any) -> Any:
    if isinstance(content, dict):
        return {
            key: _without_ids(value) for key, value in sorted(content.items()) if key not in ("id_", "id")
        }
    if isinstance(content, list):
        return [_without_ids(value) for value in content]
    return content
