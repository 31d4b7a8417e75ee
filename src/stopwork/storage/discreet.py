"""Reading for somebody from whom incidents are kept: what belongs to them is not there, and what is there does not name them."""

from __future__ import annotations

import functools
import re
from typing import Any, Final, TypeVar

import msgspec
from msgspec.structs import replace

from stopwork.ledger.events import Entry
from stopwork.ledger.records import Drift, Hold, Incident, LegalHold, Postmortem, Record, Signal, Workflow
from stopwork.ledger.records.controls import SET_BY
from stopwork.storage.connections import Cursor
from stopwork.storage.statements import Statement
from stopwork.storage.tables import TABLES
from stopwork.storage.view import Stored, View, decode, entry_of

R = TypeVar("R", bound=Record)

#: What stands where something that is kept private would be named.
UNSAID: Final = "a private incident"

#: Of these the id is that of an incident.
_NAMED_SO: Final = (Incident, Drift, LegalHold, Postmortem)
#: What looks like the id of an incident, whole: one may begin like another.
_AN_ID: Final = re.compile(r"AI-INC-[\d-]*\d")
_TELLING: Final = tuple(each.encode() for each in ("AI-INC-", SET_BY))


def belongs(kind: type[Record]) -> bool:
    """Answer whether a record of this kind is a part of an incident, or only may be connected with one."""
    if kind in _NAMED_SO or kind is Signal:
        return True
    return str(kind.__annotations__.get("incident", "")) == "str"


def may_tell(said: bytes) -> bool:
    """Answer whether somewhere in it an incident may be named, or the reason of a hold."""
    return any(each in said for each in _TELLING)


class DiscreetView(View):
    """A view in which some incidents are not.

    Their records are left out, of lists and counts as well, and so are their journal entries. Records that are connected with one and
    concern everybody, such as a hold, are there without the connection and without its reason; that is left out of what the hold has
    answered calls, too.
    """

    def __init__(self, view: View, hidden: frozenset[str]) -> None:
        super().__init__(view._connection)  # noqa: SLF001 - one snapshot, seen by two
        self._whole = view
        self._hidden = hidden
        self._names = sorted(hidden)

    def _run(self, statement: Statement, values: dict[str, Any]) -> Cursor:
        return self._whole.run(statement, values)

    def decoded(self, kind: type[R], body: bytes) -> R | None:
        record = decode(kind, body)
        if belongs(kind) and self._incident(record) in self._hidden:
            return None
        discreet = self._unnamed(body)
        return self._loose(record if discreet == body else decode(kind, discreet))

    def find(
        self, kind: type[R], /, *, order: str = "id", limit: int, after: str | None = None, **conditions: Any
    ) -> list[R]:
        return super().find(kind, order=order, limit=limit, after=after, **conditions, **self._but(kind))

    def count(self, kind: type[Record], /, **conditions: Any) -> int:
        return super().count(kind, **conditions, **self._but(kind))

    def told(self, row: Stored) -> Entry | None:
        entry = entry_of(row.body)
        about = getattr(entry.event, "incident", None)
        if about is None and (named := getattr(entry.event, "signal", None)):
            signal = self._whole.get(Signal, named)
            about = signal.incident if signal else None
        if about in self._hidden:
            return None
        discreet = self._unnamed(row.body)
        return entry if discreet == row.body else entry_of(discreet)

    def shows(self, row: Stored) -> bool:
        """Answer whether a row can be passed on as it is stored: it belongs to nothing hidden, and names nothing hidden."""
        return self.told(row) is not None and self._unnamed(row.body) == row.body

    def _but(self, kind: type[Record]) -> dict[str, Any]:
        if not belongs(kind):
            return {}
        column = "id" if kind in _NAMED_SO else "incident"
        return {f"{column}_not": tuple(self._names)} if column in TABLES[kind].c else {}

    def unsaid(self, text: str, *, stored: bool = False) -> str:
        """Answer a text in which nothing hidden is named, and no reason of its holds; ``stored`` where it spells records or entries."""
        text = _AN_ID.sub(lambda found: UNSAID if found[0] in self._hidden else found[0], text)
        for reason, instead in self._reasons if SET_BY in text else ():
            text = (
                text.replace(_within_json(reason), _within_json(instead))
                if stored
                else text.replace(reason, instead)
            )
        return text

    def _unnamed(self, body: bytes) -> bytes:
        return self.unsaid(body.decode(), stored=True).encode() if may_tell(body) else body

    @functools.cached_property
    def _reasons(self) -> tuple[tuple[str, str], ...]:
        """What is said of the hidden incidents' holds wherever one has stopped something, and what is said instead."""
        holds = self._whole.each(Hold, incident=tuple(self._names))
        return tuple(
            {each.set_by_and_why: replace(each, reason=UNSAID).set_by_and_why for each in holds}.items()
        )

    def _incident(self, record: Record) -> str | None:
        return record.id if isinstance(record, _NAMED_SO) else getattr(record, "incident", None)

    def _loose(self, record: R) -> R:
        """Answer a record without its connection with what is hidden."""
        changes: dict[str, Any] = {}
        for name in record.__struct_fields__:
            value = getattr(record, name)
            if value == UNSAID:
                changes[name] = None
            elif isinstance(value, tuple) and UNSAID in value:
                changes[name] = tuple(each for each in value if each != UNSAID)
        if isinstance(record, Hold) and "incident" in changes:
            changes |= {"reason": UNSAID, "rule": ""}
        if isinstance(record, Workflow) and record.stage_reason and self._stage_is_theirs(record.id):
            changes["stage_reason"] = UNSAID
        return replace(record, **changes) if changes else record

    def _stage_is_theirs(self, workflow: str) -> bool:
        changed = self._whole.entries(
            workflow=workflow, kinds=("workflow.stage_changed",), newest_first=True, limit=1
        )
        return any(getattr(entry.event, "incident", None) in self._hidden for entry in changed)


def _within_json(text: str) -> str:
    return msgspec.json.encode(text)[1:-1].decode()
