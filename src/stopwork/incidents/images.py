"""What changed between two images of an object, and how to put it back without losing what came later.

A *field* is a path through nested objects (JSON), written with dots: ``address.city``. A dot or a backslash that belongs to
a key is escaped with a backslash, an empty key is ``\\e``, and the object as a whole is the empty path. A list is one value:
two people who each append to a list have changed the same field, because no rule says in which order to keep both.
Equality is that of JSON: ``1`` is ``1.0``, but never ``true``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any, Final

from stopwork.ledger.records import Image, Record
from stopwork.ledger.words import EffectKind, ImageState, Operation

NO_FIELD: Final = {"absent": True}
"""How a field that is not there is shown among values, since ``null`` is a value of its own."""

NOT_SEEN: Final = {"unknown": True}
"""How a value is shown at which nobody looked."""

BEYOND: Final[dict[EffectKind, Operation]] = {
    EffectKind.SEND: Operation.SENT,
    EffectKind.PAY: Operation.PAID,
    EffectKind.APPROVE: Operation.APPROVED,
    EffectKind.TRIGGER: Operation.TRIGGERED,
}
"""What leaves the system for good, by the declared kind of effect."""

_DECLARED: Final[dict[EffectKind, Operation]] = {
    EffectKind.CREATE: Operation.CREATED,
    EffectKind.UPDATE: Operation.MODIFIED,
    EffectKind.DELETE: Operation.DELETED,
    **BEYOND,
}

Path = tuple[str, ...]


class Nothing(Enum):
    """The two ways in which a path leads to no value."""

    MISSING = "the object around it is there, the field is not"
    DETACHED = "the object around it is not there either"


MISSING: Final = Nothing.MISSING
DETACHED: Final = Nothing.DETACHED


class Change(Record):
    """One field's value before and after; ``MISSING`` where the field was not there."""

    before: Any
    after: Any

    def shown(self) -> list[Any]:
        """Answer ``[before, after]`` as plain JSON."""
        return [NO_FIELD if value is MISSING else value for value in (self.before, self.after)]


class Merged(Record):
    """What an object becomes when a change is taken back, and which fields could not be.

    ``restored`` fields get their earlier value, ``already`` fields have it, ``conflicts`` hold a third value that
    somebody put there later; ``target`` leaves those as they are.
    """

    target: Image
    restored: tuple[str, ...] = ()
    already: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()


def same(one: Any, other: Any) -> bool:
    """Answer whether two JSON values are equal; ``True`` is not ``1``."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return bool(one == other)


def same_image(one: Image, other: Image) -> bool:
    """Answer whether two images show the same; an unknown image is the same as nothing, itself included."""
    if ImageState.UNKNOWN in (one.state, other.state):
        return False
    return one.state is other.state and same(one.content, other.content)


def operation_of(before: Image, after: Image, declared: EffectKind | None = None) -> Operation | None:
    """Answer what happened to an object, ``None`` for nothing.

    Images outrank the declaration, except for what leaves the object's system: a message that was sent stays ``sent``
    although all that is seen is a new row. Pass ``declared`` only for the object that the manifest names for the
    call; what a scan found besides it is known by its images alone.
    """
    if declared in BEYOND:
        return BEYOND[declared]
    if ImageState.UNKNOWN in (before.state, after.state):
        return _DECLARED.get(declared) if declared is not None else None
    if before.state is not after.state:
        return Operation.CREATED if before.state is ImageState.ABSENT else Operation.DELETED
    return None if same_image(before, after) else Operation.MODIFIED


def changed_fields(before: Image, after: Image) -> dict[str, Change]:
    """Answer each field that differs, by its path; the whole object where it came or went.

    Two images of which one is unknown have no comparable fields: ask for their ``state`` before you read an empty answer
    as *unchanged*.
    """
    return {field_name(path): change for path, change in _changes(before, after).items()}


def merge_back(before: Image, left: Image, now: Image) -> Merged:
    """Take the change from ``before`` to ``left`` back out of ``now``, field by field.

    A field is put back only where it still holds what was ``left``. Whatever else has changed since is kept.
    """
    changes = _changes(before, left)
    if ImageState.UNKNOWN in (before.state, left.state, now.state):
        return Merged(target=now, conflicts=("",))
    content = _content(now)
    restored, already, conflicts = [], [], []
    for path, change in changes.items():
        found = value_at(content, path)
        if _is(found, change.before):
            already.append(field_name(path))
        elif found is not DETACHED and _is(found, change.after):
            content = _with_value(content, path, change.before)
            restored.append(field_name(path))
        else:
            conflicts.append(field_name(path))
    target = Image.absent() if content is MISSING else Image.present(content)
    return Merged(target=target, restored=tuple(restored), already=tuple(already), conflicts=tuple(conflicts))


def field_name(path: Path) -> str:
    """Write a path with dots; the inverse of :func:`field_path`."""
    return ".".join(key.replace("\\", "\\\\").replace(".", "\\.") or "\\e" for key in path)


def field_path(name: str) -> Path:
    """Read a path written with dots; the inverse of :func:`field_name`."""
    if not name:
        return ()
    keys, key, letters = [], "", iter(name)
    for letter in letters:
        if letter == ".":
            keys.append(key)
            key = ""
        elif letter == "\\":
            escaped = next(letters, "")
            key += "" if escaped == "e" else escaped
        else:
            key += letter
    return (*keys, key)


def value_of(image: Image, name: str) -> Any:
    """Answer the value of one named field for display: ``NO_FIELD`` where there is none, ``NOT_SEEN`` where nobody looked."""
    if image.state is ImageState.UNKNOWN:
        return NOT_SEEN
    found = value_at(_content(image), field_path(name))
    return NO_FIELD if isinstance(found, Nothing) else found


def with_fields(content: Any, fields: Mapping[str, Any]) -> Any:
    """Answer a copy of the content with each named field set; what is around a field is made where it is not there."""
    for name, value in fields.items():
        content = _with_value(content if isinstance(content, dict) else {}, field_path(name), value)
    return content


def value_at(content: Any, path: Path) -> Any:
    """Answer the value at a path, or ``MISSING``, or ``DETACHED`` when not even its parent is there."""
    for depth, key in enumerate(path):
        if not isinstance(content, dict):
            return DETACHED
        if key not in content:
            return MISSING if depth == len(path) - 1 else DETACHED
        content = content[key]
    return content


def texts(content: Any) -> Iterator[str]:
    """Yield every text and every whole number in the content, as text: what it may name other objects by."""
    if isinstance(content, dict):
        content = list(content.values())
    if isinstance(content, list):
        for value in content:
            yield from texts(value)
    elif isinstance(content, str | int):
        yield str(content)


def _content(image: Image) -> Any:
    return image.content if image.state is ImageState.PRESENT else MISSING


def _changes(before: Image, after: Image) -> dict[Path, Change]:
    if ImageState.UNKNOWN in (before.state, after.state):
        return {}
    changes: dict[Path, Change] = {}
    _compare(_content(before), _content(after), (), changes)
    return changes


def _compare(before: Any, after: Any, path: Path, changes: dict[Path, Change]) -> None:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in before | after:
            _compare(before.get(key, MISSING), after.get(key, MISSING), (*path, key), changes)
    elif not _is(before, after):
        changes[path] = Change(before=before, after=after)


def _is(found: Any, value: Any) -> bool:
    """A field whose surroundings are gone is as good as missing where it should be missing, and equals nothing else."""
    if isinstance(found, Nothing) or isinstance(value, Nothing):
        return isinstance(found, Nothing) and isinstance(value, Nothing)
    return same(found, value)


def _with_value(content: Any, path: Path, value: Any) -> Any:
    """Answer a copy of ``content`` with one field set, or removed for ``MISSING``."""
    if not path:
        return value
    key, rest = path[0], path[1:]
    copy = dict(content) if isinstance(content, dict) else {}
    changed = _with_value(copy.get(key, MISSING), rest, value)
    if changed is MISSING:
        copy.pop(key, None)
    else:
        copy[key] = changed
    return copy
