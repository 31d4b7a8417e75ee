"""Errors at the boundary: every refusal is a problem document (RFC 9457), never a stack trace."""

from __future__ import annotations

import logging
from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from stopwork.kernel.errors import Internal, Malformed, NotFound, StopworkError, Unauthenticated, Unavailable

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"


def problem_response(error: StopworkError) -> Response:
    """Answer the error as a problem document with the status of its kind."""
    headers = {"Cache-Control": "no-store"}
    if isinstance(error, Unauthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, Unavailable):
        headers["Retry-After"] = "1"
    body = msgspec.json.encode(error.problem(), enc_hook=str)
    return Response(body, status_code=error.status, media_type=MEDIA_TYPE, headers=headers)


def as_stopwork_error(error: Exception) -> StopworkError:
    """Answer the error that is told to the outside; what was not foreseen is logged and told without its details."""
    if isinstance(error, StopworkError):
        return error
    if isinstance(error, msgspec.ValidationError):
        return Malformed(str(error), hint="Compare the body with /v1/openapi.json.")
    if isinstance(error, HTTPException):
        if error.status_code == 404:
            return NotFound(
                "there is nothing at this address", hint="The addresses are listed in /v1/openapi.json."
            )
        return _of_status(error.status_code, str(error.detail))
    log.error("unexpected error", exc_info=error)
    return Internal("something went wrong here", hint="The server's log holds the details.")


def _of_status(status: int, detail: str) -> StopworkError:
    error = StopworkError(detail, hint="See /v1/openapi.json for what is possible here.")
    error.status = status  # type: ignore[misc]
    return error


async def on_error(_request: Request, error: Exception) -> Response:
    """The one place where an exception becomes an answer of the API."""
    return problem_response(as_stopwork_error(error))


def problem_schema() -> dict[str, Any]:
    """Answer the JSON Schema of a problem document."""
    text = {"type": "string"}
    return {
        "type": "object",
        "required": ["type", "title", "status", "detail", "code"],
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
