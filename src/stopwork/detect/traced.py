"""Tool calls that an agent's traces tell of, and of which the guard was never asked at that time.

It is remembered in which minutes the guard was asked about each tool, whatever it answered: a refused call leaves a span as well. So what an agent does past the
guard while it uses the same tool through it is not seen here; the feed of the system sees it. An agent that asks the guard about nothing at all is seen from the moment
on at which its workflow was registered.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from msgspec.structs import replace

from stopwork.detect.table import Table
from stopwork.ledger.events import ToolsTraced
from stopwork.ledger.records import Record, TracedTool

MOST_MINUTES: Final = 8_192
MOST_SPANS: Final = 2_048
MOST_WORKFLOWS: Final = 1_024
MINUTE_S: Final = 60
LONGEST: Final = timedelta(hours=1)
"""A trace may say that a call took years; the guard was asked when it began."""


class Span(Record):
    """A tool call in a trace that nothing has explained yet."""

    workflow: str
    tool: TracedTool
    told_at: datetime


class Traced(Record):
    """``asked`` are the minutes in which the guard was asked about a tool, ``since`` the time before which some are forgotten.

    ``heard`` says when a workflow was first heard of; ``spans`` are those not explained yet.
    """

    asked: Table[int] = Table()
    heard: Table[datetime] = Table()
    since: datetime | None = None
    spans: Table[Span] = Table()


def heard(traced: Traced, workflow: str, at: datetime) -> Traced:
    """Answer the state after something was heard of a workflow: before it was registered nobody can have asked the guard."""
    if workflow in traced.heard:
        return traced
    return replace(traced, heard=traced.heard.put(workflow, at, at_most=MOST_WORKFLOWS))


def asked(traced: Traced, workflow: str, tool: str, at: datetime) -> Traced:
    """Answer the state after the guard was asked about a tool."""
    minute = int(at.timestamp()) // MINUTE_S
    about = _about(workflow, tool, minute)
    if about in traced.asked:
        return traced
    since = traced.since
    if len(traced.asked) >= MOST_MINUTES:
        # What is forgotten with the oldest line cannot be judged any more.
        oldest = next(iter(traced.asked.values()))
        forgotten = datetime.fromtimestamp((oldest + 1) * MINUTE_S, at.tzinfo)
        since = max(since or forgotten, forgotten)
    traced = heard(traced, workflow, at)
    return replace(traced, asked=traced.asked.put(about, minute, at_most=MOST_MINUTES), since=since)


def told(traced: Traced, event: ToolsTraced, at: datetime) -> Traced:
    """Answer the state after a trace was told; a call that ended in an error has done nothing that could be known here."""
    spans = traced.spans
    for tool in event.tools:
        if not tool.error:
            span = Span(workflow=event.workflow, tool=replace(tool, args=None), told_at=at)
            spans = spans.put(f"{tool.trace}/{tool.span}", span, at_most=MOST_SPANS)
    return replace(traced, spans=spans)


def due(
    traced: Traced, now: datetime, settles_within: timedelta, within: Callable[[str], timedelta | None]
) -> tuple[Traced, list[Span]]:
    """Answer the spans of which the guard was not asked, once all that belongs to them has been told, and the state without those that were judged."""
    judged = {key: span for key, span in traced.spans.items() if now - span.told_at >= settles_within}
    found = [span for span in judged.values() if not _is_known(traced, span, within(span.workflow))]
    return replace(traced, spans=traced.spans.without_any(judged)), found


def _is_known(traced: Traced, span: Span, within: timedelta | None) -> bool:
    heard_at, began_at = traced.heard.get(span.workflow, traced.since), span.tool.began_at
    if within is None or heard_at is None or began_at < heard_at:
        return True
    if traced.since is not None and began_at - within < traced.since:
        return True
    ended_at = min(span.tool.ended_at, began_at + LONGEST)
    first = int((began_at - within).timestamp()) // MINUTE_S
    last = int((ended_at + within).timestamp()) // MINUTE_S
    minutes = range(first, last + 1)
    return any(_about(span.workflow, span.tool.tool, minute) in traced.asked for minute in minutes)


def _about(workflow: str, tool: str, minute: int) -> str:
    return f"{workflow}\x1f{tool}\x1f{minute}"
