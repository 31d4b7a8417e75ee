"""OTLP over HTTP: what an exporter sends to ``/v1/traces``, as protobuf or JSON, plain or gzipped.

The rules are those of the OTLP specification (opentelemetry.io/docs/specs/otlp): answers come in the encoding of the request, errors are a
``google.rpc.Status``, a delivery that is taken in part says so and is not sent again, and only a server that is busy is asked again.
"""

from __future__ import annotations

import zlib
from typing import Final

import msgspec
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
from stopwork.operations.traces import Taken
from stopwork.server.api.endpoint import Access
from stopwork.server.api.routing import read_body
from stopwork.server.auth import Remembered, shown
from stopwork.server.intake import intake_of
from stopwork.server.problems import UnsupportedMediaType, as_stopwork_error, problem_response
from stopwork.server.spans import Delivery, from_json, from_protobuf
from stopwork.server.waiting import written
from stopwork.storage.transaction import Tx

PROTOBUF: Final = "application/x-protobuf"
JSON: Final = "application/json"
#: What comes over the wire, and what it may be unpacked to.
MAX_BODY_BYTES: Final = 16 * 1024 * 1024
MAX_UNPACKED_BYTES: Final = 64 * 1024 * 1024
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
    return from_json(body) if media_type == JSON else from_protobuf(body)


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
