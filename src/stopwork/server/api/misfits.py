"""What to do about a body or a query that does not fit: a field that takes one of a few words names them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec

#: Where in what was sent the misfit is: ``$.scope.kind``.
_AT_FIELD: Final = re.compile(r"`\$((?:\.\w+|\[[^]]*\])+)`")


def hint_of(kind: Any, error: msgspec.ValidationError) -> str:
    """Answer the values that the field may have, where it is one of named values; and where all is described."""
    found = _AT_FIELD.search(str(error))
    values = _values_at(msgspec.inspect.type_info(kind), re.findall(r"\.(\w+)", found[1])) if found else ()
    named = f"Possible here: {', '.join(values)}. " if values else ""
    return f"{named}Compare with /v1/openapi.json."


def _values_at(kind: msgspec.inspect.Type, path: Sequence[str]) -> tuple[str, ...]:
    match kind:
        case msgspec.inspect.UnionType(types=types):
            return tuple(value for each in types for value in _values_at(each, path))
        case msgspec.inspect.Metadata(type=inner):
            return _values_at(inner, path)
        case msgspec.inspect.CollectionType(item_type=inner):
            return _values_at(inner, path)
        case msgspec.inspect.StructType(fields=fields) if path:
            inside = (each for each in fields if each.encode_name == path[0])
            return tuple(value for each in inside for value in _values_at(each.type, path[1:]))
        case msgspec.inspect.EnumType(cls=cls) if not path:
            return tuple(str(each.value) for each in cls)
        case msgspec.inspect.LiteralType(values=values) if not path:
            return tuple(map(str, values))
        case _:
            return ()
