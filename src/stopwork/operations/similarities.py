"""Looking for past calls that are like bad ones."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Final

from msgspec import Struct

from stopwork.incidents.similar import Similar, similar
from stopwork.kernel.errors import Invalid
from stopwork.kernel.phrases import listed
from stopwork.ledger.records import Call, Incident, Signal
from stopwork.storage.view import View

#: How many of a workflow's newest calls of a tool are compared.
MAX_COMPARED: Final = 20_000
#: How many of the newest calls of a tool are looked through for them, whatever workflow made them.
MAX_LOOKED: Final = 100_000
#: How many bad calls are compared with.
MAX_BAD: Final = 100


class SimilarCalls(Struct, frozen=True, kw_only=True):
    """Past calls like ``of``, the most similar first: one page of the ``found``. ``cut`` says what was not compared."""

    of: tuple[str, ...]
    found: int
    calls: tuple[Similar, ...]
    cut: str = ""


def similar_calls(
    view: View,
    calls: Iterable[str],
    *,
    limit: int = 50,
    after: str = "",
    compared: int = MAX_COMPARED,
    looked: int = MAX_LOOKED,
) -> SimilarCalls:
    """Answer the past calls that are like these ones; ``after`` is the last call of the page before.

    At most ``compared`` of each workflow and tool are compared, and ``looked`` of each tool looked through for them.
    """
    bad = [view.need(Call, each) for each in dict.fromkeys(calls)]
    if len(bad) > MAX_BAD:
        raise Invalid(f"{len(bad)} calls are too many", hint=f"Name at most {MAX_BAD}.", field="calls")
    candidates: list[Call] = []
    cut: list[str] = []
    for tool in sorted({call.tool for call in bad}):
        workflows = {call.workflow for call in bad if call.tool == tool}
        for workflow, some, left_out in _newest(view, tool, workflows, compared, looked):
            candidates += some
            if left_out:
                cut.append(f"{len(some):,} of {tool} by {workflow}")
    found = similar(bad, candidates)
    ids = [each.call.id for each in found]
    if after and after not in ids:
        raise Invalid(f"the page marker {after!r} is not known", hint="Start again from the first page.")
    start = ids.index(after) + 1 if after else 0
    said = f"Only the newest calls are compared: {listed(cut)}." if cut else ""
    return SimilarCalls(
        of=tuple(call.id for call in bad), found=len(found), calls=found[start : start + limit], cut=said
    )


def _newest(
    view: View, tool: str, workflows: Collection[str], compared: int, looked: int
) -> Iterator[tuple[str, list[Call], bool]]:
    """Answer the newest calls of a tool by each of the workflows, and whether there may be older ones."""
    found: dict[str, list[Call]] = {workflow: [] for workflow in sorted(workflows)}
    more: set[str] = set()
    for number, call in enumerate(view.each(Call, tool=tool, order="-requested_at")):
        if number == looked:
            more |= found.keys()
        if len(more) == len(found):
            break
        if (some := found.get(call.workflow)) is not None:
            if len(some) < compared:
                some.append(call)
            else:
                more.add(call.workflow)
    for workflow, some in found.items():
        yield workflow, some, workflow in more


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
