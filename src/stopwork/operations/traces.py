"""Traces as a way in: which tools an agent used, and which of its runs failed, as OpenTelemetry tells of them.

Three vocabularies are read: the GenAI conventions (``execute_tool``), those of MCP (``tools/call``) and OpenInference (``TOOL``). Tool calls
become one entry of the journal for each delivery, a failed agent a signal. Everything else is counted and let go: this is no trace store.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
from msgspec import Struct

from stopwork.detect.failed_run import How
from stopwork.ledger import records as r
from stopwork.ledger.events import ToolsTraced
from stopwork.ledger.words import PrincipalKind, SignalKind
from stopwork.operations import reporting
from stopwork.operations.deliveries import delivered, delivery_digest, remember
from stopwork.operations.manifests import Manifests
from stopwork.operations.reporting import Report, shortened
from stopwork.storage.transaction import Tx

#: One entry of the journal holds so many tool calls, one delivery so many entries.
TOOLS_AN_ENTRY: Final = 250
MOST_TOOLS: Final = 5_000
MAX_ARGS_BYTES: Final = 8_192
MAX_NAME: Final = 200
MAX_ERROR: Final = 500
MAX_ANCESTORS: Final = 64
#: The last moment that a span can tell: 64 bits of nanoseconds.
MAX_NS: Final = 2**63 - 1
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SOURCE: Final = "trace"
_ERROR: Final = 2
_AGENTS: Final = frozenset({"invoke_agent", "invoke_workflow"})


class Span(Struct, frozen=True, kw_only=True):
    """What is read of one span. Ids are lower-case hex, times nanoseconds since 1970, ``status`` 2 is an error."""

    trace: str
    span: str
    name: str
    service: str
    attributes: dict[str, Any]
    parent: str = ""
    began_ns: int = 0
    ended_ns: int = 0
    status: int = 0
    message: str = ""


class Taken(Struct, frozen=True, kw_only=True):
    """What became of a delivery: the tool calls and failures that are on record, and the names of agents that no workflow is known for."""

    tools: int
    failures: int
    known: int
    unmapped: tuple[str, ...]
    unmapped_spans: int


class _Of(Struct, frozen=True, kw_only=True):
    """What the spans say of one workflow."""

    tools: list[r.TracedTool]
    failures: list[Report]


def take(tx: Tx, manifests: Manifests, spans: Sequence[Span], *, agents: Mapping[str, str]) -> Taken:
    """Put what these spans tell on record, each once. ``agents`` says which workflow is meant by an agent's or a service's name."""
    said = {(each.trace, each.span): each for each in spans if _tells(each)}
    digests = {delivery_digest(_SOURCE, f"{trace}/{span}"): (trace, span) for trace, span in said}
    known = delivered(tx, list(digests))
    every = {(each.trace, each.span): each for each in spans}
    found: dict[str, _Of] = {}
    unmapped: dict[str, int] = {}
    new: dict[str, str] = {}
    for digest, at in digests.items():
        if digest in known:
            continue
        span = said[at]
        agent = _agent(span, every)
        workflow = _workflow(tx, span, agent, agents)
        if workflow is None:
            name = agent or span.service or "no name"
            unmapped[name] = unmapped.get(name, 0) + 1
            continue
        new[digest] = ""
        of = found.setdefault(workflow, _Of(tools=[], failures=[]))
        if (tool := _tool(span)) is None:
            of.failures.append(_failure(tx, manifests, span, agent, workflow, spans))
        elif not _is_inside(span, tool, every):
            of.tools.append(_traced(span, tool, agent))
    for workflow, of in found.items():
        _record(tx, workflow, of.tools)
        if of.failures:
            reporting.report_all(tx, manifests, of.failures)
    remember(tx, new)
    return Taken(
        tools=sum(len(of.tools) for of in found.values()),
        failures=sum(len(of.failures) for of in found.values()),
        known=len(known),
        unmapped=tuple(sorted(unmapped)),
        unmapped_spans=sum(unmapped.values()),
    )


def _record(tx: Tx, workflow: str, tools: list[r.TracedTool]) -> None:
    left_out = max(0, len(tools) - MOST_TOOLS)
    for start in range(0, min(len(tools), MOST_TOOLS), TOOLS_AN_ENTRY):
        some = tuple(tools[start : min(start + TOOLS_AN_ENTRY, MOST_TOOLS)])
        last = start + TOOLS_AN_ENTRY >= min(len(tools), MOST_TOOLS)
        tx.record(ToolsTraced(workflow=workflow, tools=some, left_out=left_out if last else 0))


# --- what a span tells -----------------------------------------------------------------------------


def _tells(span: Span) -> bool:
    return _tool(span) is not None or (span.status == _ERROR and _is_agent(span))


def _is_agent(span: Span) -> bool:
    said = span.attributes
    return (
        said.get("gen_ai.operation.name") in _AGENTS
        or said.get("openinference.span.kind") == "AGENT"
        or span.name.partition(" ")[0] in _AGENTS
    )


def _tool(span: Span) -> str | None:
    """Answer the tool that was called; ``None`` where the span is about something else."""
    said = span.attributes
    if said.get("gen_ai.operation.name") == "execute_tool" or said.get("mcp.method.name") == "tools/call":
        return _text(said.get("gen_ai.tool.name")) or span.name.partition(" ")[2] or span.name
    if said.get("openinference.span.kind") == "TOOL":
        return _text(said.get("tool.name")) or span.name
    return None


def _is_inside(span: Span, tool: str, every: Mapping[tuple[str, str], Span]) -> bool:
    """Answer whether the span is a part of another one about the same call: what a client, a server and an agent tell of is one call."""
    for above in _ancestors(span, every):
        if (outer := _tool(above)) is not None:
            return outer == tool
    return False


def _ancestors(span: Span, every: Mapping[tuple[str, str], Span]) -> Iterable[Span]:
    above = every.get((span.trace, span.parent)) if span.parent else None
    for _ in range(MAX_ANCESTORS):
        if above is None:
            return
        yield above
        above = every.get((above.trace, above.parent)) if above.parent else None


def _agent(span: Span, every: Mapping[tuple[str, str], Span]) -> str:
    """Answer the name of the agent that the span belongs to, as far as what came together with it tells."""
    for each in (span, *_ancestors(span, every)):
        for name in ("gen_ai.agent.name", "agent.name", "gen_ai.workflow.name"):
            if found := _text(each.attributes.get(name)):
                return found
    return ""


def _workflow(tx: Tx, span: Span, agent: str, agents: Mapping[str, str]) -> str | None:
    """Answer the workflow: an agent's own token says it, otherwise the names that the operator has mapped, or the workflow's own."""
    if tx.actor.kind is PrincipalKind.AGENT:
        return tx.actor.id
    for name in (agent, span.service):
        asked = agents.get(name, name)
        if asked and tx.get(r.Workflow, asked) is not None:
            return asked
    return None


def _traced(span: Span, tool: str, agent: str) -> r.TracedTool:
    said = span.attributes
    began_at = _moment(span.began_ns)
    return r.TracedTool(
        trace=span.trace,
        span=span.span,
        parent=span.parent,
        tool=shortened(tool, MAX_NAME),
        began_at=began_at,
        ended_at=max(began_at, _moment(span.ended_ns)),
        call_id=_text(said.get("gen_ai.tool.call.id")) or _text(said.get("tool.id")),
        args=_args(said),
        error=_error(span),
        agent=agent,
        service=shortened(span.service, MAX_NAME),
    )


def _failure(
    tx: Tx, manifests: Manifests, span: Span, agent: str, workflow: str, spans: Sequence[Span]
) -> Report:
    """Answer what is said of an agent that failed.

    That something was done is known where a tool that may change something ended well in what came together. That nothing was done is
    never known: spans come one by one, too.
    """
    declared = manifests.current(tx, workflow).manifest.tools
    ended_well = [each for each in spans if each.trace == span.trace and each.status != _ERROR]
    tools = [tool for each in ended_well if (tool := _tool(each)) is not None]
    writes = [tool for tool in tools if tool not in declared or declared[tool].writes]
    why = _error(span)
    return Report(
        source=_SOURCE,
        kind=SignalKind.FAILED_RUN,
        summary=f"{agent or span.name} failed: {why}",
        workflow=workflow,
        key="failed",
        occurred_at=_moment(span.ended_ns),
        facts=({"how": How.PARTLY_DONE.value} if writes else {})
        | {"error": why, "trace": span.trace, "span": span.span, "tools_done": len(tools)},
    )


def _error(span: Span) -> str:
    if span.status != _ERROR:
        return ""
    return shortened(span.message or _text(span.attributes.get("error.type")) or "an error", MAX_ERROR)


def _args(said: Mapping[str, Any]) -> dict[str, Any] | None:
    """Answer the arguments, where the trace holds them: structured, or as JSON text; what is too large or no mapping is not kept."""
    for name in ("gen_ai.tool.call.arguments", "tool.parameters", "input.value"):
        given = said.get(name)
        if isinstance(given, str) and len(given) <= MAX_ARGS_BYTES:
            try:
                given = msgspec.json.decode(given)
            except (msgspec.DecodeError, UnicodeError, RecursionError):
                continue
        if isinstance(given, dict):
            return given if len(msgspec.json.encode(given, enc_hook=str)) <= MAX_ARGS_BYTES else None
    return None


def _text(value: Any) -> str:
    return shortened(value, MAX_NAME) if isinstance(value, str) else ""


def _moment(nanoseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=min(max(nanoseconds, 0), MAX_NS) // 1000)
