"""The journal as a page, and the pages around the console."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from stopwork.kernel.errors import StopworkError
from stopwork.ledger import records as r
from stopwork.server.pages import contexts as c
from stopwork.server.pages.builders.look import Look, sentence_of
from stopwork.server.pages.formatting import value
from stopwork.server.pages.sentences import timeline_row

ENTRIES_A_PAGE: Final = 50
MAX_CHOICES: Final = 50
#: An entry's number in the address; what is longer is no number that SQLite knows.
MAX_DIGITS: Final = 15
KEYS: Final = ("incident", "workflow", "run", "call")


def journal(look: Look) -> c.JournalContext:
    """Answer a page of the journal, newest first; the address may narrow it to what an entry is about."""
    view = look.view
    keys: dict[str, Any] = {name: look.query[name] for name in KEYS if look.query.get(name)}
    # What is about a call is about its run, and what is about a run lies together in an index.
    if (call := view.get(r.Call, keys.get("call", ""))) is not None:
        keys["run"] = call.run
    before = look.query.get("before", "")
    entries = view.entries(
        newest_first=True,
        limit=ENTRIES_A_PAGE + 1,
        before=int(before) if before.isdecimal() and len(before) <= MAX_DIGITS else None,
        **keys,
    )
    incidents = view.find(r.Incident, order="-opened_at", limit=MAX_CHOICES)
    workflows = view.find(r.Workflow, limit=MAX_CHOICES)
    more = len(entries) > ENTRIES_A_PAGE
    return c.JournalContext(
        frame=look.frame("Journal", "journal", watch="none"),
        rows=tuple(
            c.JournalRow(line=timeline_row(entry, view), body=msgspec.to_builtins(entry.event))
            for entry in entries[:ENTRIES_A_PAGE]
        ),
        filters=(
            look.chosen("workflow", "Workflow", [("", "any"), *((it.id, it.title) for it in workflows)]),
            look.chosen("incident", "Incident", [("", "any"), *((it.id, it.id) for it in incidents)]),
        ),
        paging=c.Paging(
            shown=min(len(entries), ENTRIES_A_PAGE),
            newest=look.address("/journal", before="") if before else None,
            older=look.address("/journal", before=str(entries[ENTRIES_A_PAGE - 1].seq)) if more else None,
        ),
    )


def error(look: Look, problem: StopworkError) -> c.ErrorContext:
    """Answer an error as a page: what was found, and what to do next."""
    return c.ErrorContext(
        frame=look.frame("Error", watch="none"),
        status=problem.status,
        title=(type(problem).__doc__ or "").strip(),
        detail=sentence_of(problem.detail),
        hint=problem.hint,
        facts={name: value(found) for name, found in problem.fields.items()},
    )
