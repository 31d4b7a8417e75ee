"""What a detector remembers by name: bounded, in the order of age, and cheap to change without losing what was there before.

A detector folds thousands of entries a second, and each changes one line of a table of thousands. So nothing is copied: the newest table
of a line of descent holds the lines, and each older one only what has been changed since (Baker, "Shallow binding makes functional arrays
fast", 1991). Whoever goes back to an older one, because what came of it could not be kept, pays for it once.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import ItemsView, Iterable, Iterator, Mapping, ValuesView
from typing import Any, Final, Generic, TypeVar, get_args, overload

import msgspec

V = TypeVar("V")
D = TypeVar("D")

_GONE: Final[Any] = object()
_blank: Final[Any] = object.__new__


class Table(Mapping[str, V], Generic[V]):
    """Lines by name, the oldest first. It never changes: whatever is put in or taken out makes another table."""

    __slots__ = ("_age", "_before", "_forgotten", "_lines", "_name", "_newer")

    def __init__(self, lines: Mapping[str, V] | None = None) -> None:
        # Each line with its age, which is what an older table finds its order by.
        self._lines: OrderedDict[str, tuple[int, V]] | None = OrderedDict(
            (name, (age, line)) for age, (name, line) in enumerate((lines or {}).items())
        )
        self._age = len(self._lines)

    def put(self, name: str, line: V, *, at_most: int) -> Table[V]:
        """Answer the table with this line as its newest; beyond ``at_most`` the oldest is forgotten."""
        lines = self._lines
        if lines is None:
            lines = self._own()
        newer: Table[V] = _blank(Table)
        newer._age = age = self._age + 1
        if not lines:
            # Much begins with the one empty table, and that has nothing to hand over.
            newer._lines = OrderedDict(((name, (age, line)),))
            return newer
        newer._lines = lines
        self._lines, self._newer, self._name = None, newer, name
        if name in lines:
            self._before, self._forgotten = lines[name], None
            lines[name] = (age, line)
            lines.move_to_end(name)
        else:
            self._before = _GONE
            lines[name] = (age, line)
            self._forgotten = lines.popitem(last=False) if len(lines) > at_most else None
        return newer

    def without(self, name: str) -> Table[V]:
        """Answer the table without this line."""
        lines = self._lines
        if lines is None:
            lines = self._own()
        if name not in lines:
            return self
        newer: Table[V] = _blank(Table)
        newer._lines, newer._age = lines, self._age
        self._before, self._forgotten = lines.pop(name), None
        self._lines, self._newer, self._name = None, newer, name
        return newer

    def without_any(self, names: Iterable[str]) -> Table[V]:
        """Answer the table without these lines."""
        left = self
        for name in names:
            left = left.without(name)
        return left

    def _own(self) -> OrderedDict[str, tuple[int, V]]:
        """Answer this table's lines; where they have gone to a newer one, make them anew from what was changed."""
        if self._lines is not None:
            return self._lines
        older: list[Table[V]] = []
        newest: Table[V] = self
        while newest._lines is None:
            older.append(newest)
            newest = newest._newer
        lines = dict(newest._lines)  # noqa: SLF001 - one of its own kind
        for each in reversed(older):
            each._undo(lines)  # noqa: SLF001 - another one
        self._lines = OrderedDict(sorted(lines.items(), key=lambda item: item[1][0]))
        del self._newer
        return self._lines

    def _undo(self, lines: dict[str, tuple[int, V]]) -> None:
        """Make a newer table's lines those of this one, out of their order."""
        if self._before is _GONE:
            del lines[self._name]
        else:
            lines[self._name] = self._before
        if self._forgotten is not None:
            name, aged = self._forgotten
            lines[name] = aged

    @overload
    def get(self, name: str, /) -> V | None: ...
    @overload
    def get(self, name: str, /, default: V | D) -> V | D: ...
    def get(self, name: str, /, default: Any = None) -> Any:
        lines = self._lines
        if lines is None:
            lines = self._own()
        aged = lines.get(name)
        return default if aged is None else aged[1]

    def items(self) -> ItemsView[str, V]:
        return self._copied().items()

    def values(self) -> ValuesView[V]:
        return self._copied().values()

    def _copied(self) -> dict[str, V]:
        # Whoever looks through a table may put into it meanwhile.
        return {name: line for name, (_, line) in self._own().items()}

    def __getitem__(self, name: str) -> V:
        return self._own()[name][1]

    def __contains__(self, name: object) -> bool:
        lines = self._lines
        return name in (self._own() if lines is None else lines)

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._own()))

    def __reversed__(self) -> Iterator[str]:
        return reversed(list(self._own()))

    def __len__(self) -> int:
        lines = self._lines
        return len(self._own() if lines is None else lines)


def to_builtin(value: Any) -> Any:
    """Answer a table as what msgspec can write."""
    if isinstance(value, Table):
        return dict(value)
    raise TypeError(f"{type(value).__qualname__} is no table")


def from_builtin(kind: Any, content: Any) -> Any:
    """Answer the table that msgspec has read: the other way of :func:`to_builtin`."""
    [line] = get_args(kind)
    return Table(msgspec.convert(content, dict[str, line], dec_hook=from_builtin))  # type: ignore[valid-type]
