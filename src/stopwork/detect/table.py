"""What a detector remembers by name: bounded, in the order of age, and cheap to change without losing what was there before.

A detector folds hundreds of entries a second, and each changes one line of a table of thousands. So a change copies only the lines that are
young; the old ones are shared by all tables that came of one, until there are enough young ones to be put together with them.
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, Mapping, ValuesView
from typing import Any, Final, Generic, TypeVar, get_args, overload

import msgspec

V = TypeVar("V")
D = TypeVar("D")

MOST_YOUNG: Final = 64
_GONE: Final[Any] = object()


class Table(Mapping[str, V], Generic[V]):
    """Lines by name, the oldest first. It never changes: whatever is put in or taken out makes another table."""

    __slots__ = ("_old", "_size", "_young")

    def __init__(self, lines: Mapping[str, V] | None = None) -> None:
        self._old: dict[str, V] = dict(lines or {})
        # What stands here counts, and not what the old ones say; a line that is gone stands here as such.
        self._young: dict[str, Any] = {}
        self._size = len(self._old)

    def put(self, name: str, line: V, *, at_most: int) -> Table[V]:
        """Answer the table with this line as its newest; beyond ``at_most`` the oldest is forgotten."""
        young = self._young.copy()
        young.pop(name, None)
        young[name] = line
        changed = self._with(young, self._size + (name not in self))
        return changed if len(changed) <= at_most else changed.without(next(iter(changed)))

    def without(self, name: str) -> Table[V]:
        """Answer the table without this line."""
        if name not in self:
            return self
        young = self._young.copy()
        young.pop(name, None)
        if name in self._old:
            young[name] = _GONE
        return self._with(young, self._size - 1)

    def without_any(self, names: Iterable[str]) -> Table[V]:
        """Answer the table without these lines."""
        left = self
        for name in names:
            left = left.without(name)
        return left

    def _with(self, young: dict[str, Any], size: int) -> Table[V]:
        changed: Table[V] = Table.__new__(Table)
        changed._old, changed._young, changed._size = self._old, young, size
        if len(young) > MOST_YOUNG:
            changed._old, changed._young = changed._lines(), {}
        return changed

    def _lines(self) -> dict[str, V]:
        if not self._young:
            return self._old
        lines = self._old.copy()
        for name, line in self._young.items():
            lines.pop(name, None)
            if line is not _GONE:
                lines[name] = line
        return lines

    @overload
    def get(self, name: str, /) -> V | None: ...
    @overload
    def get(self, name: str, /, default: V | D) -> V | D: ...
    def get(self, name: str, /, default: Any = None) -> Any:
        line = self._young[name] if name in self._young else self._old.get(name, default)
        return default if line is _GONE else line

    def items(self) -> ItemsView[str, V]:
        return self._lines().items()

    def values(self) -> ValuesView[V]:
        return self._lines().values()

    def __getitem__(self, name: str) -> V:
        line = self.get(name, _GONE)
        if line is _GONE:
            raise KeyError(name)
        return line

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.get(name, _GONE) is not _GONE

    def __iter__(self) -> Iterator[str]:
        yield from (name for name in self._old if name not in self._young)
        yield from (name for name, line in self._young.items() if line is not _GONE)

    def __reversed__(self) -> Iterator[str]:
        return reversed(self._lines())

    def __len__(self) -> int:
        return self._size


def to_builtin(value: Any) -> Any:
    """Answer a table as what msgspec can write."""
    if isinstance(value, Table):
        return dict(value)
    raise TypeError(f"{type(value).__qualname__} is no table")


def from_builtin(kind: Any, content: Any) -> Any:
    """Answer the table that msgspec has read: the other way of :func:`to_builtin`."""
    [line] = get_args(kind)
    return Table(msgspec.convert(content, dict[str, line], dec_hook=from_builtin))  # type: ignore[valid-type]
