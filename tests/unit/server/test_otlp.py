"""Contract of the OTLP receiver: the official exporter is understood, in both encodings; tool calls of three vocabularies are on record
once; a failed agent is a signal; what cannot be read is refused in the exporter's own terms, and nothing unbounded is taken in."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.trace import SpanKind, Status, StatusCode

from stopwork.ledger.events import ToolsTraced, name_of
from stopwork.ledger.records import Incident, Signal, TracedTool
from stopwork.ledger.words import IncidentType, Severity, SignalKind
from stopwork.server import otlp
from tests.support.office import AGENT, WORKFLOW
from tests.unit.server.house import FEED, OTHER, REPORTER, House

TRACE, SPAN = "5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174"
AT = 1_772_456_400_000_000_000


def traced(opened: House) -> list[tuple[str, TracedTool]]:
    entries = opened.office.store.read(lambda view: view.entries(kinds=(name_of(ToolsTraced),)))
    return [
        (each.event.workflow, tool)
        for each in entries
        if isinstance(each.event, ToolsTraced)
        for tool in each.event.tools
    ]


def span(**changes: Any) -> dict[str, Any]:
    usual: dict[str, Any] = {
        "traceId": TRACE,
        "spanId": SPAN,
        "name": "execute_tool mail.send",
        "kind": 1,
        "startTimeUnixNano": str(AT),
        "endTimeUnixNano": str(AT + 1_000_000),
        "attributes": {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "mail.send"},
    }
    made = usual | changes
    made["attributes"] = [
        {"key": key, "value": value if isinstance(value, dict) else {"stringValue": value}}
        for key, value in made["attributes"].items()
    ]
    return made


def request_of(*spans: dict[str, Any], service: str = "some-service") -> dict[str, Any]:
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": list(spans)}], "novel": 1}]}


def send(opened: House, body: Any, who: Any = AGENT, **headers: str) -> Any:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    usual = {"content-type": "application/json"}
    return opened.as_(who).post("/v1/traces", content=content, headers=usual | headers)


@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip])
def test_the_official_exporter_is_understood(opened: House, compression: Compression) -> None:
    exporter = OTLPSpanExporter(
        endpoint=f"{opened.url}/v1/traces",
        headers={"authorization": f"Bearer {opened.tokens[AGENT.id]}"},
        compression=compression,
    )
    provider = TracerProvider(resource=Resource({"service.name": "renewal-agent"}))
    results = []

    class Noting(SimpleSpanProcessor):
        def on_end(self, span: Any) -> None:
            results.append(exporter.export([span]))

    provider.add_span_processor(Noting(exporter))
    tracer = provider.get_tracer("an agent")
    with tracer.start_as_current_span("invoke_agent renewals") as outer:
        outer.set_attribute("gen_ai.operation.name", "invoke_agent")
        with tracer.start_as_current_span("execute_tool crm.create_task") as inner:
            inner.set_attribute("gen_ai.operation.name", "execute_tool")
            inner.set_attribute("gen_ai.tool.name", "crm.create_task")
            inner.set_attribute("gen_ai.tool.call.id", "call_7")
            inner.set_attribute("gen_ai.tool.call.arguments", '{"account_id": "acme"}')
        with tracer.start_as_current_span("tools/call mail.send", kind=SpanKind.CLIENT) as failed:
            failed.set_attribute("mcp.method.name", "tools/call")
            failed.set_status(Status(StatusCode.ERROR, "no such address"))
        outer.set_status(Status(StatusCode.ERROR, "it gave up"))
    provider.shutdown()
    assert results == [SpanExportResult.SUCCESS] * 3
    [(_, task), (_, mail)] = traced(opened)
    assert (task.tool, task.call_id, task.args, task.error) == (
        "crm.create_task",
        "call_7",
        {"account_id": "acme"},
        "",
    )
    assert (mail.tool, mail.args, mail.error) == ("mail.send", None, "no such address")
    assert task.service == "renewal-agent"
    assert task.began_at <= task.ended_at
    [signal] = opened.office.read(lambda view: list(view.each(Signal)))
    assert (signal.kind, signal.workflow) == (SignalKind.FAILED_RUN, WORKFLOW)
    assert signal.facts["error"] == "it gave up"


@pytest.mark.parametrize(
    ("attributes", "name", "tool", "args"),
    [
        (
            {"openinference.span.kind": "TOOL", "tool.name": "search", "tool.parameters": '{"q": "x"}'},
            "tool",
            "search",
            {"q": "x"},
        ),
        ({"openinference.span.kind": "TOOL", "input.value": "plain words"}, "search", "search", None),
        ({"mcp.method.name": "tools/call"}, "tools/call search", "search", None),
        (
            {
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.call.arguments": {
                    "kvlistValue": {
                        "values": [
                            {"key": "n", "value": {"intValue": "3"}},
                            {"key": "all", "value": {"arrayValue": {"values": [{"boolValue": True}]}}},
                        ]
                    }
                },
            },
            "execute_tool search",
            "search",
            {"n": 3, "all": [True]},
        ),
        (
            {"gen_ai.operation.name": "execute_tool", "input.value": json.dumps({"x": "y" * 9_000})},
            "execute_tool a",
            "a",
            None,
        ),
    ],
)
def test_each_vocabulary_tells_of_its_tool(
    opened: House, attributes: dict[str, Any], name: str, tool: str, args: Any
) -> None:
    assert send(opened, request_of(span(name=name, attributes=attributes))).json() == {}
    [(workflow, found)] = traced(opened)
    assert (workflow, found.tool, found.args) == (WORKFLOW, tool, args)


def test_one_call_that_three_spans_tell_of_is_one(opened: House) -> None:
    client = span(
        spanId="a" * 16,
        parentSpanId=SPAN,
        name="tools/call mail.send",
        attributes={"mcp.method.name": "tools/call"},
    )
    served = span(
        spanId="b" * 16,
        parentSpanId="a" * 16,
        name="tools/call mail.send",
        attributes={"mcp.method.name": "tools/call"},
    )
    inner = span(spanId="c" * 16, parentSpanId=SPAN, name="execute_tool crm.log")
    inner["attributes"][1]["value"]["stringValue"] = "crm.log"
    send(opened, request_of(served, client, span(), inner))
    assert sorted(tool.tool for _, tool in traced(opened)) == ["crm.log", "mail.send"]


def test_what_is_sent_again_is_taken_once(opened: House) -> None:
    for _ in range(2):
        assert send(opened, request_of(span(), span())).status_code == 200
    assert len(traced(opened)) == 1
    upper = request_of(span(traceId=TRACE.upper()))
    send(opened, upper)
    assert len(traced(opened)) == 1


def test_a_reporters_spans_go_to_the_workflow_that_their_agent_is_known_by(opened: House) -> None:
    by_service = request_of(span(), service="invoice-agent")
    assert send(opened, by_service, REPORTER).json() == {}
    agent = span(
        spanId="1" * 16,
        name="invoke_agent x",
        attributes={"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": WORKFLOW},
    )
    send(opened, request_of(agent, span(spanId="2" * 16, parentSpanId="1" * 16)), REPORTER)
    unknown = send(opened, request_of(span(spanId="3" * 16)), REPORTER)
    assert [workflow for workflow, _ in traced(opened)] == ["invoices", WORKFLOW]
    assert "some-service" in unknown.json()["partialSuccess"]["errorMessage"]
    assert "rejectedSpans" not in unknown.json()["partialSuccess"]


def test_an_agents_token_speaks_for_its_own_workflow_whatever_the_span_says(opened: House) -> None:
    send(opened, request_of(span(), service=WORKFLOW), OTHER)
    assert [workflow for workflow, _ in traced(opened)] == [OTHER.id]


@pytest.mark.parametrize(
    ("tools", "how"),
    [(["crm.create_task"], "partly_done"), (["crm.read_account"], "not said"), ([], "not said")],
    ids=["wrote", "read", "nothing came with it"],
)
def test_how_an_agent_failed_is_told_as_far_as_a_trace_can_tell(
    opened: House, tools: list[str], how: str
) -> None:
    ran = [
        span(
            spanId=str(nth) * 16,
            attributes={"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": tool},
        )
        for nth, tool in enumerate(tools, 1)
    ]
    agent = span(
        spanId="9" * 16,
        name="invoke_agent renewals",
        attributes={"gen_ai.operation.name": "invoke_agent"},
        status={"code": 2},
    )
    send(opened, request_of(agent, *ran))
    [signal] = opened.office.read(lambda view: list(view.each(Signal)))
    assert (signal.kind, signal.facts["how"]) == (SignalKind.FAILED_RUN, how)


def test_everything_else_is_let_go(shared: House) -> None:
    before = shared.entries_of_others()
    chat = span(name="chat gpt", attributes={"gen_ai.operation.name": "chat"})
    assert send(shared, request_of(chat)).json() == {}
    assert send(shared, {}).json() == {}
    assert shared.entries_of_others() == before


def test_spans_without_valid_ids_are_rejected_and_the_others_taken(opened: House) -> None:
    body = request_of(span(), span(spanId="short"), span(traceId="0" * 32), span(spanId="zzzzzzzzzzzzzzzz"))
    assert send(opened, body).json()["partialSuccess"]["rejectedSpans"] == "3"
    assert len(traced(opened)) == 1
    binary = ExportTraceServiceRequest()
    binary.resource_spans.add().scope_spans.add().spans.add().name = "x"
    answer = send(opened, binary.SerializeToString(), **{"content-type": "application/x-protobuf"})
    assert ExportTraceServiceResponse.FromString(answer.content).partial_success.rejected_spans == 1


BINARY = {"content-type": "application/x-protobuf"}


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"{", {}, 400),
        (b"[]", {}, 400),
        (b'{"resourceSpans": 3}', {}, 400),
        (b"\xff\xff\xff", BINARY, 400),
        (b"no gzip", {"content-encoding": "gzip"}, 400),
        (gzip.compress(b"{}")[:-4], {"content-encoding": "gzip"}, 400),
        (b"{}", {"content-encoding": "br"}, 415),
        (b"{}", {"content-type": "text/plain"}, 415),
        (b" " * (otlp.MAX_BODY_BYTES + 1), {}, 413),
        (gzip.compress(b" " * (otlp.MAX_UNPACKED_BYTES + 1)), {"content-encoding": "gzip"}, 413),
    ],
    ids=[
        "half",
        "a list",
        "a number",
        "no protobuf",
        "no gzip",
        "half a gzip",
        "another packing",
        "text",
        "large",
        "a bomb",
    ],
)
def test_a_refusal_is_a_status_in_the_requests_encoding(
    shared: House, content: bytes, headers: dict[str, str], status: int
) -> None:
    answer = send(shared, content, **headers)
    assert answer.status_code == status
    if headers == BINARY:
        assert answer.headers["content-type"] == "application/x-protobuf"
        assert answer.content.startswith(b"\x08\x03\x12")
    else:
        assert answer.json()["code"] in (3, 8)
        assert answer.json()["message"]


def test_who_may_not_tell_is_refused(shared: House) -> None:
    assert send(shared, {}, None).json()["code"] == 16
    assert send(shared, {}, FEED).json()["code"] == 7
    binary = send(shared, b"", None, **BINARY)
    assert (binary.status_code, binary.content[:2]) == (401, b"\x08\x10")


@pytest.mark.parametrize("what", ["logs", "metrics"])
def test_logs_and_metrics_are_not_taken_and_that_is_said(shared: House, what: str) -> None:
    answer = shared.as_(AGENT).post(f"/v1/{what}", json={})
    assert answer.status_code == 404
    assert what in answer.json()["detail"]


def test_odd_values_do_no_harm(opened: House) -> None:
    odd = span(startTimeUnixNano="9" * 19, endTimeUnixNano=-5, status={"code": 2})
    odd["attributes"] += [
        {"key": "x", "value": {"arrayValue": 3}},
        {"key": "y", "value": {"kvlistValue": {"values": [1]}}},
    ]
    deep: dict[str, Any] = {"stringValue": "x"}
    for _ in range(50):
        deep = {"arrayValue": {"values": [deep]}}
    odd["attributes"].append({"key": "z", "value": deep})
    assert send(opened, request_of(odd)).status_code == 200
    [(_, tool)] = traced(opened)
    assert tool.error == "an error"


def test_many_tools_are_several_entries(opened: House) -> None:
    every = [span(spanId=f"{number:016x}") for number in range(1, 601)]
    send(opened, request_of(*every))
    entries = opened.office.store.read(lambda view: view.entries(kinds=(name_of(ToolsTraced),)))
    assert [len(each.event.tools) for each in entries if isinstance(each.event, ToolsTraced)] == [
        250,
        250,
        100,
    ]


@pytest.mark.parametrize(("tool", "grave"), [("crm.update_account", True), ("crm.read_account", False)])
def test_a_tool_that_a_trace_tells_of_is_found_where_the_guard_was_never_asked(
    opened: House, tool: str, grave: bool
) -> None:
    exporter = OTLPSpanExporter(
        endpoint=f"{opened.url}/v1/traces",
        headers={"authorization": f"Bearer {opened.tokens[AGENT.id]}"},
    )
    provider = TracerProvider(resource=Resource({"service.name": "renewal-agent"}))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with provider.get_tracer("an agent").start_as_current_span(f"execute_tool {tool}") as told:
        told.set_attribute("gen_ai.operation.name", "execute_tool")
        told.set_attribute("gen_ai.tool.name", tool)
    provider.shutdown()
    assert [found.tool for _, found in traced(opened)] == [tool]
    opened.office.wait(minutes=1)
    opened.office.wait(minutes=2)
    signals = opened.office.read(lambda view: list(view.each(Signal)))
    incidents = opened.office.read(lambda view: list(view.each(Incident)))
    found = [(each.detector, each.type, each.facts["tool"]) for each in signals]
    assert found == ([("approval_bypass", IncidentType.APPROVAL_BYPASS, tool)] if grave else [])
    assert [each.severity for each in incidents] == ([Severity.SEV1] if grave else [])
