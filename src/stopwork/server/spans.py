"""The spans of an OTLP delivery, in protobuf or in JSON. What cannot be read in a span is left out, and a span without ids is counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import Struct

from stopwork.kernel.errors import Malformed, TooLarge
from stopwork.operations.traces import Span

MAX_SPANS: Final = 20_000
MAX_DEPTH: Final = 16


class Delivery(Struct, frozen=True):
    """What an exporter sent: the spans that can be read, and how many cannot."""

    spans: list[Span]
    unreadable: int


class _Spelling(NamedTuple):
    """How an encoding writes what the two write differently: ids, values of attributes, and whole numbers."""

    id: Callable[[Any], str]
    value: Callable[[Any], Any]
    whole: Callable[[Any], int]


def from_protobuf(body: bytes) -> Delivery:
    """Answer what an ``ExportTraceServiceRequest`` in protobuf holds."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    try:
        asked = ExportTraceServiceRequest.FromString(body)
    # Protobuf's own error: its package comes with that of the messages.
    except Exception as error:
        raise _is_none(error) from error
    return _delivery(asked, _Spelling(bytes.hex, _of_message, int))


def from_json(body: bytes) -> Delivery:
    """Answer the same of one in JSON."""
    try:
        asked = _requests.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _is_none(error) from error
    return _delivery(asked, _Spelling(str.lower, _of_json, _whole))


def _is_none(error: Exception) -> Malformed:
    return Malformed(f"the body is no OTLP: {error}", hint="Send an ExportTraceServiceRequest.")


def _delivery(asked: Any, spelling: _Spelling) -> Delivery:
    spans: list[Span] = []
    unreadable = 0
    for group in asked.resource_spans:
        service = _attributes(group.resource, spelling).get("service.name")
        for scope in group.scope_spans:
            if len(spans) + unreadable + len(scope.spans) > MAX_SPANS:
                raise TooLarge(f"there are over {MAX_SPANS} spans", hint="Export in smaller batches.")
            for each in scope.spans:
                span = _span(each, service if isinstance(service, str) else "", spelling)
                if _is_id(span.trace, 32) and _is_id(span.span, 16):
                    spans.append(span)
                else:
                    unreadable += 1
    return Delivery(spans, unreadable)


def _span(given: Any, service: str, spelling: _Spelling) -> Span:
    return Span(
        trace=spelling.id(given.trace_id),
        span=spelling.id(given.span_id),
        parent=spelling.id(given.parent_span_id),
        name=given.name,
        service=service,
        attributes=_attributes(given, spelling),
        began_ns=spelling.whole(given.start_time_unix_nano),
        ended_ns=spelling.whole(given.end_time_unix_nano),
        status=given.status.code,
        message=given.status.message,
    )


def _attributes(given: Any, spelling: _Spelling) -> dict[str, Any]:
    return {each.key: spelling.value(each.value) for each in given.attributes}


def _is_id(given: str, length: int) -> bool:
    return len(given) == length and given.strip("0123456789abcdef") == "" and given.strip("0") != ""


# --- protobuf --------------------------------------------------------------------------------------


def _of_message(value: Any, depth: int = 0) -> Any:
    """Answer an ``AnyValue`` as plain content; what is nested too deeply is left out."""
    kind = value.WhichOneof("value")
    if kind == "array_value" and depth < MAX_DEPTH:
        return [_of_message(each, depth + 1) for each in value.array_value.values]
    if kind == "kvlist_value" and depth < MAX_DEPTH:
        return {each.key: _of_message(each.value, depth + 1) for each in value.kvlist_value.values}
    return (
        getattr(value, kind) if kind in ("string_value", "bool_value", "int_value", "double_value") else None
    )


# --- JSON ------------------------------------------------------------------------------------------


class _Status(Struct, frozen=True):
    code: int = 0
    message: str = ""


class _KeyValue(Struct, frozen=True):
    key: str = ""
    value: dict[str, Any] = {}


class _JsonSpan(Struct, frozen=True, rename="camel"):
    trace_id: str = ""
    span_id: str = ""
    parent_span_id: str = ""
    name: str = ""
    start_time_unix_nano: int | str = 0
    end_time_unix_nano: int | str = 0
    attributes: list[_KeyValue] = []
    status: _Status = _Status()


class _Scope(Struct, frozen=True):
    spans: list[_JsonSpan] = []


class _Resource(Struct, frozen=True):
    attributes: list[_KeyValue] = []


class _Group(Struct, frozen=True, rename="camel"):
    resource: _Resource = _Resource()
    scope_spans: list[_Scope] = []


class _Request(Struct, frozen=True, rename="camel"):
    resource_spans: list[_Group] = []


_requests: Final = msgspec.json.Decoder(_Request)


def _of_json(value: Any, depth: int = 0) -> Any:
    """Answer an ``AnyValue`` in JSON as plain content; what is nested too deeply, or is none, is left out."""
    if not isinstance(value, dict) or depth >= MAX_DEPTH:
        return None
    for kind in ("stringValue", "boolValue", "doubleValue"):
        if kind in value:
            return value[kind]
    if "intValue" in value:
        return _whole(value["intValue"])
    if isinstance(listed := value.get("arrayValue"), dict):
        return [_of_json(each, depth + 1) for each in _list(listed)]
    if isinstance(mapped := value.get("kvlistValue"), dict):
        pairs = [each for each in _list(mapped) if isinstance(each, dict)]
        return {str(each.get("key", "")): _of_json(each.get("value"), depth + 1) for each in pairs}
    return None


def _list(value: dict[str, Any]) -> list[Any]:
    values = value.get("values", [])
    return values if isinstance(values, list) else []


def _whole(given: Any) -> int:
    """Answer a whole number, which JSON writes as a number or as text; 0 for what is none."""
    if isinstance(given, int):
        return int(given)
    return (
        int(given)
        if isinstance(given, str) and given.isascii() and given.isdecimal() and len(given) < 20
        else 0
    )
