"""An environment made of pydantic models as a system of Stopwork: what a user who runs such an assistant would write.

Each type of object is then one line: where the environment keeps it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, get_args

from pydantic import BaseModel

from benchmarks.worlds.truth import OWN
from stopwork.systems.python import PythonSystem


class Shelf:
    """A dictionary or a list of models that carry their id in the field ``key``, or a dictionary of text."""

    def __init__(self, path: str, key: str = "id_") -> None:
        self.path = path
        self._parent, _, self._name = path.rpartition(".")
        self._key = key

    def items(self, environment: Any) -> Iterator[tuple[str, Any]]:
        """Yield id and content of each object."""
        return ((key, _plain(item)) for key, item in self._entries(environment))

    def read(self, environment: Any, key: str) -> Any:
        """Answer the content of an object, or ``None``."""
        return next((_plain(item) for name, item in self._entries(environment) if name == key), None)

    def write(self, environment: Any, key: str, content: Any) -> None:
        """Make, change or, for ``None``, remove an object.

        A changed object is a new one: the old one may stand elsewhere too, a deleted mail in the trash, an event in the mail that
        announced it. The seed gets the new one as well, since it shares its objects with the place.
        """
        parent = _at(environment, self._parent)
        shelf, seed = getattr(parent, self._name), getattr(parent, f"initial_{self._name}", [])
        model = get_args(type(parent).model_fields[self._name].annotation)[-1]
        made = content if content is None or model is str else model.model_validate(content)
        if isinstance(shelf, dict):
            shelf.pop(key, None) if made is None else shelf.update({key: made})
        else:
            self._put(shelf, key, made)
        if made is not None and any(self._id(item) == key for item in seed):
            self._put(seed, key, made)

    def _put(self, items: list[Any], key: str, made: Any) -> None:
        """Put an object into a list, in the place of the one with this id if it is there."""
        at = next((at for at, item in enumerate(items) if self._id(item) == key), len(items))
        items[at : at + 1] = [] if made is None else [made]

    def _id(self, item: Any) -> str:
        return str(getattr(item, self._key))

    def _entries(self, environment: Any) -> Iterator[tuple[str, Any]]:
        shelf = _at(environment, self.path)
        if isinstance(shelf, dict):
            return iter(shelf.items())
        return ((self._id(item), item) for item in shelf)


class Single:
    """The fields of a model that are an object by themselves, all of them if none is named; it is never made or removed."""

    def __init__(self, path: str, *fields: str) -> None:
        self.path = path
        self._fields = set(fields) or None

    def items(self, environment: Any) -> Iterator[tuple[str, Any]]:
        """Yield the one object."""
        yield OWN, self.read(environment, OWN)

    def read(self, environment: Any, key: str) -> Any:
        """Answer its content; ``None`` under any other name."""
        return (
            _at(environment, self.path).model_dump(mode="json", include=self._fields) if key == OWN else None
        )

    def write(self, environment: Any, key: str, content: Any) -> None:
        """Change the fields."""
        if key != OWN or content is None:
            raise ValueError(f"{self.path} cannot be made or removed")
        found = _at(environment, self.path)
        wanted = type(found).model_validate(found.model_dump() | content)
        for name in content:
            setattr(found, name, getattr(wanted, name))


Places = dict[str, Shelf | Single]


#: The one system of every world here; what a call let go of beyond it (a mail that went out) is no object of it.
WORLD: Final = "env"


def system_over(environment: Callable[[], Any], places: Places, *, scans: bool = True) -> PythonSystem:
    """Answer the system ``env`` that reads, writes and scans whatever environment is the present one."""

    def read(kind: str, key: str) -> Any:
        return places[kind].read(environment(), key)

    def write(kind: str, key: str, content: Any) -> None:
        places[kind].write(environment(), key, content)

    def scan() -> Iterator[tuple[str, str, Any]]:
        here = environment()
        return ((kind, key, content) for kind, place in places.items() for key, content in place.items(here))

    return PythonSystem(WORLD, read, write, scan if scans else None)


def _at(environment: Any, path: str) -> Any:
    found: Any = environment
    for name in path.split("."):
        found = getattr(found, name)
    return found


def _plain(item: Any) -> Any:
    return item.model_dump(mode="json") if isinstance(item, BaseModel) else item
