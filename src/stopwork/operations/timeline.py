"""The timeline of an incident: read as lines, pinned, corrected, and taken out whole."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, tzinfo
from enum import StrEnum
from functools import partial
from typing import Final

import msgspec
from msgspec import Struct

from stopwork.incidents.timeline import Line, is_note, line_of
from stopwork.kernel.clock import in_utc
from stopwork.kernel.errors import Conflict, Invalid, NotFound
from stopwork.ledger.events import (
    Entry,
    EntryCorrected,
    EntryPinned,
    EntryUnpinned,
    Event,
)
from stopwork.ledger.records import Incident, Mark, Principal
from stopwork.operations.custody import note_export
from stopwork.operations.installation import Installation
from stopwork.operations.people import refuse_agent, require_person
from stopwork.operations.privacy import seen_by
from stopwork.storage.transaction import Tx
from stopwork.storage.view import View

#: How an entry is put in words.
Say = Callable[[Event, View], str]

MAX_MARKS: Final = 1_000
MAX_CORRECTIONS: Final = 50
_AT_ONCE: Final = 1_000


class Form(StrEnum):
    """What a timeline is written as when it is taken out."""

    JSONL = "jsonl"
    MARKDOWN = "md"
    CSV = "csv"


MEDIA_TYPES: Final = {
    Form.JSONL: "application/jsonl",
    Form.MARKDOWN: "text/markdown; charset=utf-8",
    Form.CSV: "text/csv; charset=utf-8",
}


class Exported(Struct, frozen=True, kw_only=True):
    """A timeline that was taken out, as a file; ``digest`` stands in the journal."""

    name: str
    media_type: str
    content: bytes
    digest: str
    lines: int


def pin(tx: Tx, *, incident: str, entry: int) -> Mark:
    """Say that an entry matters: it stands out, and in the postmortem. To pin it twice changes nothing."""
    require_person(tx, "pin an entry")
    known, mark = _entry(tx, incident, entry), _mark(tx, incident, entry)
    if not mark.pinned_by:
        _require_room(tx, incident, entry)
        tx.record(EntryPinned(incident=incident, workflow=known.workflow, entry=entry))
    return _mark(tx, incident, entry)


def unpin(tx: Tx, *, incident: str, entry: int) -> Mark:
    """Take a pin away again; that it was there stays in the journal."""
    require_person(tx, "unpin an entry")
    known, mark = _entry(tx, incident, entry), _mark(tx, incident, entry)
    if mark.pinned_by:
        tx.record(EntryUnpinned(incident=incident, workflow=known.workflow, entry=entry))
    return _mark(tx, incident, entry)


def correct(
    tx: Tx, *, incident: str, entry: int, reason: str, text: str = "", occurred_at: datetime | None = None
) -> Mark:
    """Say how a note is to be read, or when an entry really happened. The entry itself stays, and is shown with it.

    What the software recorded keeps its words: only the time at which it happened can be wrong.
    """
    require_person(tx, "correct an entry")
    known, mark = _entry(tx, incident, entry), _mark(tx, incident, entry)
    text, reason = text.strip(), reason.strip()
    if not reason:
        raise Invalid("a reason is needed", hint="Say in a sentence what was wrong.", field="reason")
    event = _entries(tx, incident, entry)[0].event
    if text == next(
        (each.text for each in reversed(mark.corrections) if each.text), getattr(event, "text", "")
    ):
        text = ""  # it says so already
    if not text and occurred_at is None:
        raise Invalid("nothing is corrected", hint="Give other words, another time, or both.", field="text")
    if text and not is_note(event):
        raise Conflict(
            f"entry {entry} was recorded by the software, and its words stay",
            hint="Correct when it happened, or write a note that says what is missing.",
            entry=entry,
        )
    if occurred_at is not None and in_utc(occurred_at) > tx.now:
        raise Invalid("it has not happened yet", hint="Give a time that is past.", field="occurred_at")
    if len(mark.corrections) >= MAX_CORRECTIONS:
        raise Conflict(
            f"entry {entry} was corrected {MAX_CORRECTIONS} times", hint="Write a new note.", entry=entry
        )
    _require_room(tx, incident, entry)
    tx.record(
        EntryCorrected(
            incident=incident,
            workflow=known.workflow,
            entry=entry,
            reason=reason,
            text=text,
            occurred_at=in_utc(occurred_at) if occurred_at else None,
        )
    )
    return _mark(tx, incident, entry)


def lines(view: View, incident: str, *, say: Say) -> Iterator[Line]:
    """Answer every entry of an incident as a line, in the order in which they were recorded."""
    marks = {mark.entry: mark for mark in view.each(Mark, incident=view.need(Incident, incident).id)}
    after = 0
    while page := view.entries(after=after, limit=_AT_ONCE, incident=incident):
        for entry in page:
            yield line_of(entry, say(entry.event, view), marks.get(entry.seq))
        after = page[-1].seq


def pinned(view: View, incident: str, *, say: Say) -> tuple[Line, ...]:
    """Answer what people pinned, in the order in which it happened."""
    marks = [mark for mark in view.each(Mark, incident=incident) if mark.pinned_by]
    found = [
        line_of(entry, say(entry.event, view), mark)
        for mark in marks
        for entry in _entries(view, incident, mark.entry)
    ]
    return tuple(sorted(found, key=lambda line: (line.occurred_at, line.seq)))


def export(
    installation: Installation, actor: Principal, *, incident: str, form: Form, zone: tzinfo, say: Say
) -> Exported:
    """Take the whole timeline out, not only what is pinned; that it was taken out is recorded with the digest of the file."""
    refuse_agent(actor, "take a timeline out")
    store = installation.store
    found = store.read(lambda view: list(lines(seen_by(view, actor, store.clock.now()), incident, say=say)))
    content = _WRITERS[form](incident, found, zone).encode()
    digest = "sha256:" + hashlib.sha256(content).hexdigest()
    name = f"{incident}-timeline.{form.value}"
    store.write(partial(note_export, incident=incident, what=name, digest=digest), actor=actor)
    return Exported(name=name, media_type=MEDIA_TYPES[form], content=content, digest=digest, lines=len(found))


# --- entries and their marks -----------------------------------------------------------------------


def _entry(tx: Tx, incident: str, entry: int) -> Incident:
    """Answer the incident that an entry belongs to; ``NotFound`` for another one's."""
    known = tx.need(Incident, incident)
    if not _entries(tx, incident, entry):
        raise NotFound(
            f"{incident} has no entry {entry}", hint="See the numbers in its timeline.", entry=entry
        )
    return known


def _entries(view: View, incident: str, entry: int) -> list[Entry]:
    found = view.entries(after=entry - 1, limit=1, incident=incident) if entry > 0 else []
    return [each for each in found if each.seq == entry]


def _mark(view: View, incident: str, entry: int) -> Mark:
    name = f"{incident}/{entry}"
    return view.get(Mark, name) or Mark(id=name, incident=incident, entry=entry)


def _require_room(tx: Tx, incident: str, entry: int) -> None:
    if tx.get(Mark, f"{incident}/{entry}") is None and tx.count(Mark, incident=incident) >= MAX_MARKS:
        raise Conflict(
            f"{MAX_MARKS} entries of {incident} are pinned or corrected, and no more can be",
            hint="Unpin what matters less, or write a note that sums it up.",
        )


# --- what it is written as -------------------------------------------------------------------------


def _jsonl(_incident: str, found: Sequence[Line], _zone: tzinfo) -> str:
    return "".join(msgspec.json.encode(line).decode() + "\n" for line in found)


def _markdown(incident: str, found: Sequence[Line], zone: tzinfo) -> str:
    head = [f"# Timeline of {incident}", "", f"Times in {zone}. A pinned entry has a star."]
    rows = [
        f"| {line.seq} | {_moment(line.occurred_at, zone)} | {_moment(line.at, zone)} | {line.actor.id} | "
        f"{'★ ' if line.pinned_by else ''}{_cell(line.text)}{_cell(_before(line, zone))} |"
        for line in found
    ]
    table = ["| Entry | Happened | Recorded | Who | What |", "|---|---|---|---|---|", *rows]
    return "\n".join([*head, "", *table]) + "\n"


def _csv(_incident: str, found: Sequence[Line], zone: tzinfo) -> str:
    paper = io.StringIO()
    sheet = csv.writer(paper)
    sheet.writerow(
        ("entry", "occurred_at", "recorded_at", "who", "kind", "phase", "pinned_by", "text", "said_before")
    )
    for line in found:
        times = (line.occurred_at.astimezone(zone).isoformat(), line.at.astimezone(zone).isoformat())
        said = (line.actor.id, line.kind, line.phase or "", line.pinned_by, line.text, line.said)
        sheet.writerow((line.seq, *times, *map(_inert, said)))
    return paper.getvalue()


def _moment(at: datetime, zone: tzinfo) -> str:
    return at.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S %Z")


def _before(line: Line, zone: tzinfo) -> str:
    parts = [f"at first: {line.said}"] if line.said else []
    if line.first_occurred_at is not None:
        parts.append(f"at first said to have happened {_moment(line.first_occurred_at, zone)}")
    parts += [f"corrected by {each.by.id}: {each.reason}" for each in line.corrections]
    return f" ({'; '.join(parts)})" if parts else ""


def _cell(text: str) -> str:
    """Answer text that stays in its cell and is neither markup nor an address."""
    flat = " ".join(text.split())
    return "".join(f"\\{each}" if each in "\\|`*_[]<>!" else each for each in flat)


def _inert(text: str) -> str:
    """Answer text that no spreadsheet takes for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


_WRITERS: Final[dict[Form, Callable[[str, Sequence[Line], tzinfo], str]]] = {
    Form.JSONL: _jsonl,
    Form.MARKDOWN: _markdown,
    Form.CSV: _csv,
}
