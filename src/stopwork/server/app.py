"""The server as one ASGI application: API, live stream, console, static files."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any, Final

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route, Router
from starlette.staticfiles import StaticFiles

from stopwork import __version__
from stopwork.kernel.errors import StopworkError
from stopwork.operations import sealing
from stopwork.operations.intake_file import Ways
from stopwork.server.api import (
    aftermath,
    auditing,
    backfills,
    comparing,
    containing,
    controls,
    drafts,
    feeds,
    guard,
    incidents,
    log,
    plans,
    preserving,
    records,
    reports,
    running,
    timeline,
    triage,
    versions,
    webhooks,
)
from stopwork.server.api.direct import Direct
from stopwork.server.api.endpoint import ROOT, Access, Endpoint, Given, Read
from stopwork.server.api.openapi import document
from stopwork.server.api.routing import routes
from stopwork.server.auth import Remembered
from stopwork.server.intake import intake_of
from stopwork.server.otlp import Otlp
from stopwork.server.pages.rendering import CONTENT_SECURITY_POLICY
from stopwork.server.problems import on_error
from stopwork.server.pulses import Pulses
from stopwork.server.stream import Stream
from stopwork.worker.crew import Crew
from stopwork.worker.duty import Health

STATIC: Final = Path(__file__).parent / "static"


class ServerHealth(msgspec.Struct, frozen=True, kw_only=True):
    """``ok`` is false while a background duty fails or is silent, and while the database takes nothing: ``refused`` says why."""

    ok: bool
    refused: str
    version: str
    sealed: int
    entries: int
    unsealed_for_s: float
    duties: list[Health]


def create_app(
    crew: Crew,
    *,
    console: Callable[[], Iterable[BaseRoute]] | None = None,
    stream: Stream | None = None,
    ways: Ways | None = None,
) -> SecurityHeaders:
    """Answer the application over an installation and its crew; the crew is started and stopped with it.

    Whoever waits for open requests before the application is told to stop gives the ``stream`` and closes it first. ``ways`` are those
    that the operator has set up for other tools.
    """
    installation = crew.installation
    stream = stream or Stream(installation)
    if ways is not None:
        intake_of(installation).ways = ways
    endpoints = all_endpoints(crew, Pulses(installation, stream.closing))
    remembered = Remembered(installation)
    otlp = Otlp(installation, remembered)
    description = msgspec.json.encode(document(endpoints))

    async def openapi(_request: Request) -> Response:
        return Response(description, media_type="application/json")

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        crew.start()
        try:
            yield
        finally:
            stream.close()
            crew.stop()

    api = [
        *routes(endpoints, installation, remembered),
        Route("/stream", stream.serve),
        Route("/traces", otlp.serve, methods=["POST"]),
        *(Route(path, otlp.nothing, methods=["POST"]) for path in ("/logs", "/metrics")),
        Route("/openapi.json", openapi),
    ]
    application = Starlette(
        routes=[
            Mount(ROOT, Router(api, redirect_slashes=False)),
            Mount("/static", StaticFiles(directory=STATIC)),
            *(console() if console else ()),
        ],
        exception_handlers={Exception: on_error, StopworkError: on_error, HTTPException: on_error},
        lifespan=lifespan,
    )
    # Around everything, so that an answer to an unforeseen error carries them too.
    return SecurityHeaders(Direct(application, endpoints, installation, remembered))


AFTER_THE_GUARD: Final = (
    *controls.ENDPOINTS,
    *incidents.ENDPOINTS,
    *timeline.ENDPOINTS,
    *preserving.ENDPOINTS,
    *containing.ENDPOINTS,
    *triage.ENDPOINTS,
    *auditing.ENDPOINTS,
    *aftermath.ENDPOINTS,
    *plans.ENDPOINTS,
    *running.ENDPOINTS,
    *records.ENDPOINTS,
    *comparing.ENDPOINTS,
    *versions.ENDPOINTS,
    *drafts.ENDPOINTS,
    *backfills.ENDPOINTS,
    *reports.ENDPOINTS,
    *webhooks.ENDPOINTS,
    *feeds.ENDPOINTS,
)
"""The rows of the API that people and programs use; those of guards stand before them."""


def all_endpoints(crew: Crew, pulses: Pulses | None = None) -> tuple[Endpoint, ...]:
    """Answer every row of the API; a server notes heartbeats by its own ``pulses``."""
    installation = crew.installation

    def look(view: Any, _given: Given) -> ServerHealth:
        duties = crew.health()
        sealed = (view.checkpoint() or (0, ""))[0]
        refused = installation.store.refused
        return ServerHealth(
            ok=refused is None and all(each.healthy for each in duties),
            refused=str(refused or ""),
            version=__version__,
            sealed=sealed,
            entries=view.last_seq(),
            unsealed_for_s=sealing.unsealed_for_s(view, installation.store.clock.now()),
            duties=duties,
        )

    health = Endpoint(
        method="GET",
        path="/v1/health",
        name="health",
        summary="Whether the server and its background duties are well",
        does=Read(look),
        answer=ServerHealth,
        access=Access.PUBLIC,
        tag="health",
    )
    return (
        *(guard.endpoints(pulses.answer) if pulses else guard.ENDPOINTS),
        *AFTER_THE_GUARD,
        *log.endpoints(crew),
        health,
    )


class SecurityHeaders:
    """Adds to every answer what keeps a browser from doing more than the pages need."""

    HEADERS: Final = [
        (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"same-origin"),
        (b"cross-origin-opener-policy", b"same-origin"),
    ]

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *self.HEADERS]
            await send(message)

        await self._app(scope, receive, with_headers if scope["type"] == "http" else send)
