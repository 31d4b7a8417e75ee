"""The OpenAPI 3.1 document, made from the same rows as the routes."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from stopwork import __version__
from stopwork.server.api.endpoint import ROOT, Access, Endpoint, Fetch
from stopwork.server.problems import MEDIA_TYPE, problem_schema

_REF = "#/components/schemas/{name}"
_REFUSED = {"default": {"$ref": "#/components/responses/Problem"}}
_BEARER: Final[list[dict[str, list[str]]]] = [{"bearer": []}]
_SECURITY: Final[dict[Access, list[dict[str, list[str]]]]] = {
    Access.PUBLIC: [],
    Access.SIGNED: [{}, *_BEARER],
}

#: The stream answers for as long as somebody listens, so it is no row.
_STREAM: dict[str, Any] = {
    "operationId": "listen",
    "summary": "Server-sent events: one named entry for each journal entry, as a hint to look",
    "tags": ["records"],
    "security": _BEARER,
    "parameters": [
        {
            "name": "Last-Event-ID",
            "in": "header",
            "description": "Where the listener was; it misses nothing.",
            "schema": {"type": "string"},
        },
        {
            "name": "after",
            "in": "query",
            "description": "The same for a first visit.",
            "schema": {"type": "integer", "minimum": 0},
        },
    ],
    "responses": {"200": {"description": "The stream.", "content": {"text/event-stream": {}}}, **_REFUSED},
}


#: Exporters speak OTLP, which is described elsewhere.
_TRACES: dict[str, Any] = {
    "operationId": "export_traces",
    "summary": "OpenTelemetry traces (OTLP over HTTP): tool calls are put on record, failed agents are signals",
    "tags": ["signals"],
    "parameters": [],
    "security": _BEARER,
    "externalDocs": {"url": "https://opentelemetry.io/docs/specs/otlp/"},
    "requestBody": {"required": True, "content": {"application/x-protobuf": {}, "application/json": {}}},
    "responses": {
        "200": {
            "description": "Taken, or taken in part.",
            "content": {"application/x-protobuf": {}, "application/json": {}},
        },
        "default": {
            "description": "Refused: a google.rpc.Status.",
            "content": {"application/x-protobuf": {}, "application/json": {}},
        },
    },
}


def document(endpoints: tuple[Endpoint, ...]) -> dict[str, Any]:
    """Answer the description of every endpoint."""
    types = [t for each in endpoints for t in (each.body, each.query, each.answer) if t is not None]
    schemas, components = msgspec.json.schema_components(types, ref_template=_REF)
    of_type = {id(kind): schema for kind, schema in zip(types, schemas, strict=True)}
    paths: dict[str, dict[str, Any]] = {}
    for each in endpoints:
        address = re.sub(r":\w+}", "}", each.path)
        paths.setdefault(address, {})[each.method.lower()] = _operation(each, of_type, components)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Stopwork",
            "version": __version__,
            "summary": "Stop an unattended agent at the smallest unsafe part, and bring it back with signatures.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": {**paths, f"{ROOT}/stream": {"get": _STREAM}, f"{ROOT}/traces": {"post": _TRACES}},
        "components": {
            "schemas": {**components, "Problem": problem_schema()},
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
            "responses": {
                "Problem": {
                    "description": "Refused: what was found and what to do next (RFC 9457).",
                    "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
                }
            },
        },
    }


def _operation(each: Endpoint, of_type: dict[int, Any], components: dict[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": each.name,
        "summary": each.summary,
        "tags": [each.tag],
        "security": _SECURITY.get(each.access, _BEARER),
        "parameters": [*_path_parameters(each), *_query_parameters(each, components)],
        "responses": {
            str(each.status): {
                "description": "Done.",
                "content": _answered(each, of_type),
            },
            **_REFUSED,
        },
    }
    if each.access is Access.PERSON:
        operation["description"] = "Needs a person's token: an agent is refused."
    if each.raw:
        operation["requestBody"] = {"required": True, "content": {media_type: {} for media_type in each.raw}}
    elif each.body is not None:
        operation["requestBody"] = {
            "required": each.body_needed,
            "content": {"application/json": {"schema": of_type[id(each.body)]}},
        }
    return operation


def _answered(each: Endpoint, of_type: dict[int, Any]) -> dict[str, Any]:
    if isinstance(each.does, Fetch):
        return {each.does.media_type: {}}
    also: dict[str, Any] = {media_type: {} for media_type in each.also}
    return also if each.answer is None else {"application/json": {"schema": of_type[id(each.answer)]}, **also}


def _path_parameters(each: Endpoint) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)(?::\w+)?}", each.path)
    ]


def _query_parameters(each: Endpoint, components: dict[str, Any]) -> list[dict[str, Any]]:
    if each.query is None:
        return []
    schema = components[each.query.__name__]
    return [
        {"name": name, "in": "query", "required": name in schema.get("required", ()), "schema": part}
        for name, part in schema["properties"].items()
    ]
