"""Looking for past calls that are like bad ones."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from stopwork.incidents.similar import Similar, similar
from stopwork.kernel.errors import Invalid
from stopwork.kernel.phrases import listed
from stopwork.ledger.records import Call, Incident, Signal
from stopwork.storage.view import View

#: How many of the newest calls of a tool are compared.
MAX_COMPARED: Final = 20_000
#: How many bad calls are compared with.
MAX_BAD: Final = 100


class SimilarCalls(Struct, frozen=True, kw_only=True):
    """Past calls like ``of``, the most similar first: one page of the ``found``. ``cut`` says what was not compared."""

    of: tuple[str, ...]
    found: int
    calls: tuple[Similar, ...]
    cut: str = ""


def similar_calls(view: View, calls: Iterable[str], *, limit: int = 50, after: str = "") -> SimilarCalls:
    """Answer the past calls that are like these ones; ``after`` is the last call of the page before."""
    bad = [view.need(Call, each) for each in dict.fromkeys(calls)]
    if len(bad) > MAX_BAD:
        raise Invalid(f"{len(bad)} calls are too many", hint=f"Name at most {MAX_BAD}.", field="calls")
    candidates: list[Call] = []
    cut: list[str] = []
    for tool in sorted({call.tool for call in bad}):
        newest = view.each(Call, tool=tool, order="-requested_at")
        some = list(itertools.islice(newest, MAX_COMPARED + 1))
        if len(some) > MAX_COMPARED:
            some.pop()
            cut.append(tool)
        candidates += some
    found = similar(bad, candidates)
    ids = [each.call.id for each in found]
    if after and after not in ids:
        raise Invalid(f"the page marker {after!r} is not known", hint="Start again from the first page.")
    start = ids.index(after) + 1 if after else 0
    said = f"Only the newest {MAX_COMPARED:,} calls of {listed(cut)} are compared." if cut else ""
    return SimilarCalls(
        of=tuple(call.id for call in bad), found=len(found), calls=found[start : start + limit], cut=said
    )


def bad_calls(view: View, incident: str) -> tuple[str, ...]:
    """Answer the calls that the incident's signals are about, the first :data:`MAX_BAD` of them."""
    known = view.need(Incident, incident)
    found: dict[str, None] = {}
    for signal in view.each(Signal, incident=known.id):
        facts = signal.facts.get("calls", ())
        named = facts if isinstance(facts, list | tuple) else ()
        for call in (signal.call, *named):
            if isinstance(call, str) and view.get(Call, call) is not None:
                found[call] = None
    return tuple(found)[:MAX_BAD]
