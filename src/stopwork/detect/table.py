"""What a detector remembers by name: bounded, in the order of age, and cheap to change without losing what was there before.

A detector folds thousands of entries a second, and each changes one line of a table of thousands. So nothing is copied: the newest table
of a line of descent holds the lines, and each older one only what has been changed since (Baker, "Shallow binding makes functional arrays
fast", 1991). Whoever goes back to an older one, because what came of it could not be kept, pays for it once.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import ItemsView, Iterable, Iterator, Mapping, ValuesView
from itertools import chain
from typing import Any, Final, Generic, TypeVar, get_args, overload

import msgspec

V = TypeVar("V")
D = TypeVar("D")

_GONE: Final[Any] = object()


class Table(Mapping[str, V], Generic[V]):
    """Lines by name, the oldest first. It never changes: whatever is put in or taken out makes another table."""

    __slots__ = ("_age", "_lines", "_since")

    def __init__(self, lines: Mapping[str, V] | None = None) -> None:
        # Each line with its age, which is what an older table finds its order by.
        self._lines: OrderedDict[str, tuple[int, V]] | None = OrderedDict(
            (name, (age, line)) for age, (name, line) in enumerate((lines or {}).items())
        )
        self._age = len(self._lines)
        # Where the lines have gone to a newer table: that one, and what these names were before it came of this one.
        self._since: tuple[Table[V], tuple[tuple[str, Any], ...]] | None = None

    def put(self, name: str, line: V, *, at_most: int) -> Table[V]:
        """Answer the table with this line as its newest; beyond ``at_most`` the oldest is forgotten."""
        lines = self._lines
        if lines is None:
            lines = self._own()
        newer: Table[V] = Table.__new__(Table)
        newer._since = None
        if not lines:
            # Much begins with the one empty table, and that has nothing to hand over.
            newer._lines, newer._age = OrderedDict(((name, (1, line)),)), 1
            return newer
        before = lines.get(name, _GONE)
        newer._lines, newer._age = lines, self._age + 1
        lines[name] = (newer._age, line)
        if before is not _GONE:
            lines.move_to_end(name)
        elif len(lines) > at_most:
            self._lines, self._since = None, (newer, ((name, before), lines.popitem(last=False)))
            return newer
        self._lines, self._since = None, (newer, ((name, before),))
        return newer

    def without(self, name: str) -> Table[V]:
        """Answer the table without this line."""
        lines = self._own()
        if name not in lines:
            return self
        newer: Table[V] = Table.__new__(Table)
        newer._lines, newer._age, newer._since = lines, self._age, None
        self._lines, self._since = None, (newer, ((name, lines.pop(name)),))
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
        changes: list[tuple[tuple[str, Any], ...]] = []
        newest: Table[V] = self
        while newest._since is not None:
            newest, changed = newest._since
            changes.append(changed)
        lines: dict[str, tuple[int, V]] = dict(newest._lines or {})  # noqa: SLF001 - one of its own kind
        for name, before in chain.from_iterable(reversed(changes)):
            if before is _GONE:
                del lines[name]
            else:
                lines[name] = before
        self._lines = OrderedDict(sorted(lines.items(), key=lambda item: item[1][0]))
        self._since = None
        return self._lines

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
        return name in self._own()

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._own()))

    def __reversed__(self) -> Iterator[str]:
        return reversed(list(self._own()))

    def __len__(self) -> int:
        return len(self._own())


def to_builtin(value: Any) -> Any:
    """Answer a table as what msgspec can write."""
    if isinstance(value, Table):
        return dict(value)
    raise TypeError(f"{type(value).__qualname__} is no table")


def from_builtin(kind: Any, content: Any) -> Any:
    """Answer the table that msgspec has read: the other way of :func:`to_builtin`."""
    [line] = get_args(kind)
    return Table(msgspec.convert(content, dict[str, line], dec_hook=from_builtin))  # type: ignore[valid-type]
