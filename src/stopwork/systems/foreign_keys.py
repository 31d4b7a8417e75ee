"""The foreign keys of a database as references between objects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from stopwork.incidents.images import field_name
from stopwork.incidents.references import Reference
from stopwork.ledger.records import Record


class ForeignKey(Record):
    """Columns of a table whose values name a row of another, or of the same, by its ``referred`` columns.

    A table is its schema, if that has to be said, and its name.
    """

    table: tuple[str | None, str]
    columns: tuple[str, ...]
    other: tuple[str | None, str]
    referred: tuple[str, ...]


def references(keys: Iterable[ForeignKey], type_of: Callable[[str | None, str], str]) -> Iterator[Reference]:
    """Yield the references that these keys are; ``type_of`` answers under which type the rows of a table are seen."""
    for key in keys:
        yield Reference(
            type=type_of(*key.table),
            fields=tuple(field_name((column,)) for column in key.columns),
            to=type_of(*key.other),
            named=tuple(field_name((column,)) for column in key.referred),
        )
