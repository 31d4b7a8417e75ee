"""OTLP over HTTP: what an exporter sends to ``/v1/traces``, as protobuf or JSON, plain or gzipped.

The rules are those of the OTLP specification (opentelemetry.io/docs/specs/otlp): answers come in the encoding of the request, errors are a
``google.rpc.Status``, a delivery that is taken in part says so and is not sent again, and only a server that is busy is asked again.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any, Final

import msgspec
from msgspec import Struct
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from stopwork.kernel.errors import (
    Denied,
    Malformed,
    NotFound,
    StopworkError,
    TooLarge,
    Unauthenticated,
    Unavailable,
)
from stopwork.operations import credentials, traces
from stopwork.operations.installation import Installation
from stopwork.operations.traces import Span, Taken
from stopwork.server.api.endpoint import Access
from stopwork.server.api.routing import read_body
from stopwork.server.auth import Remembered, shown
from stopwork.server.intake import intake_of
from stopwork.server.problems import UnsupportedMediaType, as_stopwork_error, problem_response
from stopwork.server.waiting import written
from stopwork.storage.transaction import Tx

PROTOBUF: Final = "application/x-protobuf"
JSON: Final = "application/json"
#: What comes over the wire, and what it may be unpacked to.
MAX_BODY_BYTES: Final = 16 * 1024 * 1024
MAX_UNPACKED_BYTES: Final = 64 * 1024 * 1024
MAX_SPANS: Final = 20_000
MAX_DEPTH: Final = 16
MOST_NAMED: Final = 5
#: Codes of google.rpc.Status, by what an error is.
_CODES: Final[tuple[tuple[type[StopworkError], int], ...]] = (
    (Unauthenticated, 16),
    (Denied, 7),
    (NotFound, 5),
    (TooLarge, 8),
    (Unavailable, 14),
)
_INVALID_ARGUMENT: Final = 3
_INTERNAL: Final = 13


class Delivery(Struct, frozen=True):
    """What an exporter sent: the spans that can be read, and how many cannot."""

    spans: list[Span]
    unreadable: int


class Otlp:
    """Takes the traces that reach one server."""

    def __init__(self, installation: Installation, remembered: Remembered) -> None:
        self._installation = installation
        self._remembered = remembered

    async def serve(self, request: Request) -> Response:
        """Answer one delivery of an exporter."""
        media_type = request.headers.get("content-type", PROTOBUF).partition(";")[0].strip().lower()
        try:
            if media_type not in (PROTOBUF, JSON):
                raise UnsupportedMediaType(
                    f"the body is {media_type[:100]}, and only OTLP is read here",
                    hint=f"Send it as {PROTOBUF} or {JSON}.",
                )
            credential = shown(request, self._remembered.credential)
            if not Access.REPORT.admits(credential.principal.kind):
                raise Denied(
                    "this token is not for telling of traces", hint="Use an agent's or a reporter's token."
                )
            body = await read_body(request, MAX_BODY_BYTES)
            packed = request.headers.get("content-encoding", "identity").strip().lower()
            delivery = await run_in_threadpool(_read, body, packed, media_type)

            def work(tx: Tx) -> Taken:
                credentials.confirm(tx, credential.id)
                agents = intake_of(self._installation).ways.agents
                return traces.take(tx, self._installation.manifests, delivery.spans, agents=agents)

            taken = await written(self._installation.store, work, actor=credential.principal, urgent=False)
        except Exception as error:  # noqa: BLE001 - the boundary: everything becomes an answer
            return _refusal(as_stopwork_error(error), media_type)
        return _answer(taken, delivery.unreadable, media_type)

    async def nothing(self, request: Request) -> Response:
        """Say that logs and metrics are not taken here."""
        return problem_response(
            NotFound(
                f"{request.url.path.rpartition('/')[2]} are not taken here",
                hint="Export traces only: OTEL_LOGS_EXPORTER=none OTEL_METRICS_EXPORTER=none",
            )
        )


def _read(body: bytes, packed: str, media_type: str) -> Delivery:
    if packed == "gzip":
        body = _unpacked(body)
    elif packed != "identity":
        raise UnsupportedMediaType(
            f"the body is packed as {packed[:50]}", hint="Send it as it is, or with gzip."
        )
    return _from_json(body) if media_type == JSON else _from_protobuf(body)


def _unpacked(body: bytes) -> bytes:
    unpacker = zlib.decompressobj(wbits=31)
    try:
        content = unpacker.decompress(body, MAX_UNPACKED_BYTES)
    except zlib.error as error:
        raise Malformed(f"the body is no gzip: {error}", hint="Send it again.") from error
    if unpacker.unconsumed_tail:
        raise TooLarge(
            f"the body is over {MAX_UNPACKED_BYTES} bytes when unpacked", hint="Export in smaller batches."
        )
    if not unpacker.eof:
        raise Malformed("the body ends before its gzip does", hint="Send it again.")
    return content


# --- protobuf --------------------------------------------------------------------------------------


def _from_protobuf(body: bytes) -> Delivery:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    try:
        asked = ExportTraceServiceRequest.FromString(body)
    # Protobuf's own error: its package comes with that of the messages.
    except Exception as error:
        raise Malformed(f"the body is no OTLP: {error}", hint="Send an ExportTraceServiceRequest.") from error
    return _delivery(
        (
            _service({each.key: _plain(each.value) for each in group.resource.attributes}),
            Span(
                trace=span.trace_id.hex(),
                span=span.span_id.hex(),
                parent=span.parent_span_id.hex(),
                name=span.name,
                service="",
                attributes={each.key: _plain(each.value) for each in span.attributes},
                began_ns=span.start_time_unix_nano,
                ended_ns=span.end_time_unix_nano,
                status=span.status.code,
                message=span.status.message,
            ),
        )
        for group in asked.resource_spans
        for scope in group.scope_spans
        for span in scope.spans
    )


def _plain(value: Any, depth: int = 0) -> Any:
    """Answer an ``AnyValue`` as plain content; what is nested too deeply is left out."""
    kind = value.WhichOneof("value")
    if kind == "array_value" and depth < MAX_DEPTH:
        return [_plain(each, depth + 1) for each in value.array_value.values]
    if kind == "kvlist_value" and depth < MAX_DEPTH:
        return {each.key: _plain(each.value, depth + 1) for each in value.kvlist_value.values}
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


def _from_json(body: bytes) -> Delivery:
    try:
        asked = _requests.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"the body is no OTLP: {error}", hint="Send an ExportTraceServiceRequest.") from error
    return _delivery(
        (
            _service({each.key: _value(each.value) for each in group.resource.attributes}),
            Span(
                trace=span.trace_id.lower(),
                span=span.span_id.lower(),
                parent=span.parent_span_id.lower(),
                name=span.name,
                service="",
                attributes={each.key: _value(each.value) for each in span.attributes},
                began_ns=_whole(span.start_time_unix_nano),
                ended_ns=_whole(span.end_time_unix_nano),
                status=span.status.code,
                message=span.status.message,
            ),
        )
        for group in asked.resource_spans
        for scope in group.scope_spans
        for span in scope.spans
    )


def _value(value: Any, depth: int = 0) -> Any:
    """Answer an ``AnyValue`` in JSON as plain content; what is nested too deeply, or is none, is left out."""
    if not isinstance(value, dict) or depth >= MAX_DEPTH:
        return None
    for kind in ("stringValue", "boolValue", "doubleValue"):
        if kind in value:
            return value[kind]
    if "intValue" in value:
        return _whole(value["intValue"])
    if isinstance(listed := value.get("arrayValue"), dict):
        return [_value(each, depth + 1) for each in _list(listed)]
    if isinstance(mapped := value.get("kvlistValue"), dict):
        pairs = [each for each in _list(mapped) if isinstance(each, dict)]
        return {str(each.get("key", "")): _value(each.get("value"), depth + 1) for each in pairs}
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


# --- both ------------------------------------------------------------------------------------------


def _service(resource: dict[str, Any]) -> str:
    name = resource.get("service.name")
    return name if isinstance(name, str) else ""


def _delivery(found: Iterator[tuple[str, Span]]) -> Delivery:
    spans: list[Span] = []
    unreadable = 0
    for number, (service, span) in enumerate(found):
        if number >= MAX_SPANS:
            raise TooLarge(f"there are over {MAX_SPANS} spans", hint="Export in smaller batches.")
        if _is_id(span.trace, 32) and _is_id(span.span, 16):
            spans.append(msgspec.structs.replace(span, service=service))
        else:
            unreadable += 1
    return Delivery(spans, unreadable)


def _is_id(given: str, length: int) -> bool:
    return len(given) == length and given.strip("0123456789abcdef") == "" and given.strip("0") != ""


def _answer(taken: Taken, unreadable: int, media_type: str) -> Response:
    said = []
    if unreadable:
        said.append(f"{unreadable} spans have no valid ids")
    if taken.unmapped_spans:
        names = ", ".join(taken.unmapped[:MOST_NAMED])
        said.append(f"{taken.unmapped_spans} tell of agents that no workflow is known for: {names}")
    message = "; ".join(said)
    if media_type == JSON:
        part = {"rejectedSpans": str(unreadable)} if unreadable else {}
        content = msgspec.json.encode({"partialSuccess": part | {"errorMessage": message}} if message else {})
        return Response(content, media_type=JSON)
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

    answer = ExportTraceServiceResponse()
    if message:
        answer.partial_success.rejected_spans = unreadable
        answer.partial_success.error_message = message
    return Response(answer.SerializeToString(), media_type=PROTOBUF)


def _refusal(error: StopworkError, media_type: str) -> Response:
    """Answer an error as a ``google.rpc.Status`` in the encoding of the request."""
    usual = _INTERNAL if error.status >= 500 else _INVALID_ARGUMENT
    code = next((code for kind, code in _CODES if isinstance(error, kind)), usual)
    message = f"{error.detail}. {error.hint}"
    problem = problem_response(error)
    headers = {
        name: value
        for name, value in problem.headers.items()
        if name not in ("content-type", "content-length")
    }
    if media_type == PROTOBUF:
        text = message.encode()
        content = b"\x08" + _varint(code) + b"\x12" + _varint(len(text)) + text
    else:
        media_type, content = JSON, msgspec.json.encode({"code": code, "message": message})
    return Response(content, status_code=error.status, media_type=media_type, headers=headers)


def _varint(number: int) -> bytes:
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*written, number])
