"""Where the values of a call came from, as far as the run's records tell: by comparing values, which is a clue and no proof.

A value that stands in an earlier result, or within a text there, was in the run before the call; that the agent took it from there
nobody has seen. A value that stands nowhere was made by the agent. Values that are everywhere (yes, no, nothing, small numbers,
very short texts) tell nothing, and are said to.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from enum import StrEnum
from itertools import islice
from typing import Any, Final

from stopwork.ledger.records import Call, Edit, Record, Run, Step

MAX_VALUES: Final = 200
MAX_PLACES: Final = 20_000
MIN_TEXT_CHARS: Final = 4
SMALL_NUMBER: Final = 10


class OriginKind(StrEnum):
    """What a value's origin is; ``new`` is one that was nowhere before, ``unclear`` one that is too common to tell."""

    REVIEWER = "reviewer"
    TRIGGER = "trigger"
    RESULT = "result"
    STEP = "step"
    NEW = "new"
    UNCLEAR = "unclear"


class Origin(Record):
    """Where one value of the arguments was first seen in the run.

    ``field`` is its path. ``record`` is the call or step that held it, ``within`` whether it stood there inside a longer text.
    ``untrusted`` when it stood in anything that came from outside, there or elsewhere in the run.
    """

    field: str
    value: Any
    kind: OriginKind
    record: str | None = None
    what: str = ""
    source: str | None = None
    within: bool = False
    untrusted: bool = False


class _Place(Record):
    """One value that was in the run before the call."""

    value: Any
    kind: OriginKind
    record: str | None
    what: str
    source: str | None


def origins(
    args: dict[str, Any],
    *,
    run: Run,
    calls: Iterable[Call],
    steps: Iterable[Step],
    edits: Iterable[Edit] = (),
    untrusted: Collection[str] = (),
) -> tuple[Origin, ...]:
    """Answer the origin of each value of the arguments, at most :data:`MAX_VALUES`.

    ``calls`` and ``steps`` are those before the call, ``untrusted`` the names of the sources whose content is foreign.
    """
    places = list(islice(_places(run, calls, steps), MAX_PLACES))
    put_in = {}
    for edit in edits:
        before = dict(_leaves(edit.before))
        for field, value in _leaves(edit.after):
            if before.get(field, ...) != value:
                put_in[field] = edit
    return tuple(
        _edited(field, value, put_in[field]) if field in put_in else _found(field, value, places, untrusted)
        for field, value in islice(_leaves(args), MAX_VALUES)
    )


def _edited(field: str, value: Any, edit: Edit) -> Origin:
    return Origin(field=field, value=value, kind=OriginKind.REVIEWER, what=edit.person)


def _found(field: str, value: Any, places: list[_Place], untrusted: Collection[str]) -> Origin:
    if _is_common(value):
        return Origin(field=field, value=value, kind=OriginKind.UNCLEAR)
    exact = [place for place in places if type(place.value) is type(value) and place.value == value]
    within = [
        place
        for place in places
        if isinstance(value, str)
        and isinstance(place.value, str)
        and len(value) < len(place.value)
        and value in place.value
    ]
    if not exact and not within:
        return Origin(field=field, value=value, kind=OriginKind.NEW)
    first = (exact or within)[0]
    return Origin(
        field=field,
        value=value,
        kind=first.kind,
        record=first.record,
        what=first.what,
        source=first.source,
        within=not exact,
        untrusted=any(place.source in untrusted for place in (*exact, *within)),
    )


def _is_common(value: Any) -> bool:
    match value:
        case None | bool():
            return True
        case int() | float():
            return abs(value) < SMALL_NUMBER
        case str():
            return len(value) < MIN_TEXT_CHARS
        case _:
            return not value


def _places(run: Run, calls: Iterable[Call], steps: Iterable[Step]) -> Iterator[_Place]:
    """Answer the values that were in the run, those that came in first before the others."""
    for value in (run.trigger, run.trigger_id):
        yield _Place(value=value, kind=OriginKind.TRIGGER, record=run.id, what=run.trigger, source=None)
    both: list[Call | Step] = [*calls, *steps]
    for record in sorted(both, key=_when):
        kind, what, content = (
            (OriginKind.RESULT, record.tool, record.result)
            if isinstance(record, Call)
            else (OriginKind.STEP, record.name, record.facts)
        )
        for _field, value in _leaves(content):
            yield _Place(value=value, kind=kind, record=record.id, what=what, source=record.source)


def _when(record: Call | Step) -> datetime:
    return record.requested_at if isinstance(record, Call) else record.at


def _leaves(content: Any, field: str = "") -> Iterator[tuple[str, Any]]:
    """Answer every single value with its path; what is empty is one value."""
    if isinstance(content, dict) and content:
        for key, value in content.items():
            yield from _leaves(value, f"{field}.{key}" if field else str(key))
    elif isinstance(content, list) and content:
        for index, value in enumerate(content):
            yield from _leaves(value, f"{field}[{index}]")
    else:
        yield field, content
