"""Errors at the boundary: every refusal is a problem document (RFC 9457), never a stack trace."""

from __future__ import annotations

import logging
from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from stopwork.kernel.errors import (
    Internal,
    Invalid,
    Malformed,
    NotFound,
    StopworkError,
    Unauthenticated,
    Unavailable,
)

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"


class MethodNotAllowed(Invalid):
    """The address does not answer this method"""

    code = "method_not_allowed"
    status = 405


class UnsupportedMediaType(Malformed):
    """The body is in a format that is not read here"""

    code = "unsupported_media_type"
    status = 415


class TooSlow(Malformed):
    """The request did not arrive in time"""

    code = "too_slow"
    status = 408


def problem_response(error: StopworkError) -> Response:
    """Answer the error as a problem document with the status of its kind."""
    headers = {"Cache-Control": "no-store"}
    if isinstance(error, Unauthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, MethodNotAllowed):
        headers["Allow"] = ", ".join(error.fields["allowed"])
    if isinstance(error, Unavailable):
        headers["Retry-After"] = "1"
    body = msgspec.json.encode(error.problem(), enc_hook=str)
    return Response(body, status_code=error.status, media_type=MEDIA_TYPE, headers=headers)


def as_stopwork_error(error: Exception) -> StopworkError:
    """Answer the error that is told to the outside; what was not foreseen is logged and told without its details."""
    if isinstance(error, StopworkError):
        return error
    match error:
        case HTTPException(status_code=404):
            return NotFound(
                "there is nothing at this address", hint="The addresses are listed in /v1/openapi.json."
            )
        case HTTPException(status_code=405, headers={"Allow": allowed}):
            allowed = sorted(allowed.split(", "))
            return MethodNotAllowed(
                "this address does not answer that method",
                hint=f"It answers {', '.join(allowed)}.",
                allowed=allowed,
            )
    log.error("unexpected error", exc_info=error)
    return Internal("something went wrong here", hint="The server's log holds the details.")


async def on_error(_request: Request, error: Exception) -> Response:
    """The one place where an exception becomes an answer of the API."""
    return problem_response(as_stopwork_error(error))


def problem_schema() -> dict[str, Any]:
    """Answer the JSON Schema of a problem document."""
    text = {"type": "string"}
    return {
        "type": "object",
        "required": ["type", "title", "status", "detail", "code", "hint"],
        "properties": {
            "type": text,
            "title": text,
            "status": {"type": "integer"},
            "detail": {**text, "description": "What was found."},
            "hint": {**text, "description": "What to do next."},
            "code": text,
        },
        "additionalProperties": True,
    }
