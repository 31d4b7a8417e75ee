"""The CRM over HTTP.

::

    GET    /{kind}          {"items": {id: {…}}}           kind: accounts | tasks
    GET    /{kind}/{id}     the object; its version in ETag
    PATCH  /{kind}/{id}     change some fields             If-Match: the version must still be there
    PUT    /{kind}/{id}     replace or recreate            If-Match, or If-None-Match: * (must not be there)
    DELETE /{kind}/{id}                                    If-Match
    POST   /tasks           add a task                     {"id": …, …}
    GET    /activity        who changed what, newest first
    GET    /exports/renewals  all accounts as CSV; the first line says as of when
    GET    /                the same for people, without a key: this CRM listens on the loopback only
"""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from stopwork.demo.crm.records import Account, Activity
from stopwork.demo.crm.store import KINDS, Content, Refused, Store

MAX_BODY_BYTES = 64 * 1024
ACTIVITY_SHOWN = 40

_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined
)

Lifespan = Callable[[Starlette], AbstractAsyncContextManager[None]]


def crm_app(
    store: Store,
    keys: Mapping[str, str],
    *,
    slow_accounts: Collection[str] = (),
    slow_answer_s: float = 0.0,
    lifespan: Lifespan | None = None,
) -> Starlette:
    """Answer the CRM's application. ``keys`` maps each API key to the name that the activity log shows.

    A task for one of ``slow_accounts`` is written at once and answered ``slow_answer_s`` later: the client's
    time-out passes although the work was done.
    """

    async def listing(request: Request) -> Response:
        _actor(request, keys)
        return JSONResponse({"items": await run_in_threadpool(store.all, _kind(request))})

    async def create(request: Request) -> Response:
        actor = _actor(request, keys)
        fields = await _fields(request)
        object_id, version, content = await run_in_threadpool(store.create_task, fields, actor)
        if content["account_id"] in slow_accounts:
            await asyncio.sleep(slow_answer_s)
        headers = _etag(version) | {"Location": f"/tasks/{object_id}"}
        return JSONResponse({"id": object_id} | content, status_code=201, headers=headers)

    async def read(request: Request) -> Response:
        _actor(request, keys)
        version, content = await run_in_threadpool(store.get, _kind(request), request.path_params["id"])
        return JSONResponse(content, headers=_etag(version))

    async def write(request: Request) -> Response:
        actor = _actor(request, keys)
        change = store.change if request.method == "PATCH" else store.put
        version, content = await run_in_threadpool(
            change,
            _kind(request),
            request.path_params["id"],
            await _fields(request),
            actor,
            _expected(request),
        )
        return JSONResponse(content, headers=_etag(version))

    async def delete(request: Request) -> Response:
        actor = _actor(request, keys)
        await run_in_threadpool(
            store.delete, _kind(request), request.path_params["id"], actor, _expected(request)
        )
        return Response(status_code=204)

    async def activity(request: Request) -> Response:
        _actor(request, keys)
        entries = await run_in_threadpool(store.activity, 1000)
        return JSONResponse({"items": msgspec.to_builtins(entries)})

    async def export(request: Request) -> Response:
        _actor(request, keys)
        as_of = datetime.now(UTC)
        return Response(
            renewals_csv(await run_in_threadpool(store.all, "accounts"), as_of), media_type="text/csv"
        )

    async def page(_: Request) -> Response:
        entries = await run_in_threadpool(store.activity, 1000)
        last: dict[str, Activity] = {}
        for entry in entries:
            last.setdefault(entry.object, entry)
        html = _templates.get_template("page.html").render(
            accounts=await run_in_threadpool(store.all, "accounts"),
            tasks=await run_in_threadpool(store.all, "tasks"),
            last=last,
            activity=entries[:ACTIVITY_SHOWN],
        )
        return HTMLResponse(html, headers={"Content-Security-Policy": "default-src 'none'; style-src 'self'"})

    async def style(_: Request) -> Response:
        css = await run_in_threadpool((Path(__file__).parent / "page.css").read_text, "utf-8")
        return Response(css, media_type="text/css")

    return Starlette(
        routes=[
            Route("/", page),
            Route("/page.css", style),
            Route("/activity", activity),
            Route("/exports/renewals", export),
            Route("/tasks", create, methods=["POST"]),
            Route("/{kind}", listing),
            Route("/{kind}/{id}", read),
            Route("/{kind}/{id}", write, methods=["PATCH", "PUT"]),
            Route("/{kind}/{id}", delete, methods=["DELETE"]),
        ],
        # The page needs no key, so a name that merely resolves to the loopback must not reach it.
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])],
        exception_handlers={Refused: _refusal},
        lifespan=lifespan,
    )


def renewals_csv(accounts: Mapping[str, Content], as_of: datetime) -> str:
    """Answer the accounts as the CSV that the weekly preparation works from."""
    out = io.StringIO()
    out.write(f"# as of {as_of.isoformat(timespec='seconds')}\n")
    writer = csv.DictWriter(out, ["account_id", *Account.__struct_fields__], lineterminator="\n")
    writer.writeheader()
    writer.writerows({"account_id": account_id} | content for account_id, content in accounts.items())
    return out.getvalue()


def _actor(request: Request, keys: Mapping[str, str]) -> str:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or key not in keys:
        raise Refused(401, "Give a valid API key as a bearer token.")
    return keys[key]


def _kind(request: Request) -> str:
    kind: str = request.path_params["kind"]
    if kind not in KINDS:
        raise Refused(404, f"There is no {kind} here.")
    return kind


async def _fields(request: Request) -> Content:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise Refused(413, f"The body exceeds {MAX_BODY_BYTES} bytes.")
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise Refused(400, f"The body is not a JSON object: {error}") from error


def _expected(request: Request) -> int | None:
    if request.headers.get("if-none-match") == "*":
        return 0
    match = request.headers.get("if-match")
    if match is None:
        return None
    try:
        return int(match.strip('"'))
    except ValueError:
        raise Refused(400, f'If-Match must be a version such as "7", not {match}.') from None


def _etag(version: int) -> dict[str, str]:
    return {"ETag": f'"{version}"'}


async def _refusal(_: Request, refused: Exception) -> Response:
    if not isinstance(refused, Refused):
        raise refused
    return JSONResponse({"error": refused.message}, status_code=refused.status)
