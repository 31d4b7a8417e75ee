"""From rows to routes: decoding, authority, limits and answers are the same for every endpoint."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, Final
from urllib.parse import quote

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route
from starlette.types import Receive

from stopwork.kernel.errors import Denied, Invalid, Malformed, StopworkError, TooLarge
from stopwork.ledger.records import Credential, Principal
from stopwork.ledger.words import PrincipalKind
from stopwork.operations import credentials, privacy
from stopwork.operations.installation import Installation
from stopwork.server.api.endpoint import (
    ROOT,
    Access,
    Act,
    Attend,
    Endpoint,
    Fetch,
    Given,
    Raw,
    Read,
    Rendered,
    Write,
)
from stopwork.server.api.misfits import hint_of
from stopwork.server.auth import NOBODY, Remembered, identify_request, shown
from stopwork.server.problems import TooSlow, UnsupportedMediaType, as_stopwork_error, problem_response
from stopwork.server.waiting import written
from stopwork.storage.transaction import Tx
from stopwork.storage.view import View

Handler = Callable[[Request], Awaitable[Response]]

#: A body that is still not here after this long is given up, so that slow senders cannot fill the server.
BODY_WITHIN_S: Final = 30.0
JSON: Final = "application/json"
_NOT_KEPT: Final = {"Cache-Control": "no-store"}

_A: Final = {kind: f"an {kind}" if kind is PrincipalKind.AGENT else f"a {kind}" for kind in PrincipalKind}

encode: Final = msgspec.json.Encoder(enc_hook=str).encode


def routes(
    endpoints: tuple[Endpoint, ...], installation: Installation, remembered: Remembered
) -> list[Route]:
    """Answer one route per address, below :data:`ROOT`; what an address does not answer it names."""
    handlers: dict[str, dict[str, Handler]] = {}
    for each in endpoints:
        handlers.setdefault(each.path, {})[each.method] = _handler(each, installation, remembered)
    return [
        Route(path.removeprefix(ROOT), _by_method(of_path), methods=[*of_path])
        for path, of_path in handlers.items()
    ]


def saved_as(name: str) -> dict[str, str]:
    """Answer the headers with which a browser saves an answer under this name and never shows it, whatever is in it."""
    return {"Content-Disposition": f"attachment; filename*=utf-8''{quote(name, safe='')}"}


def _by_method(handlers: dict[str, Handler]) -> Handler:
    async def handle(request: Request) -> Response:
        return await handlers["GET" if request.method == "HEAD" else request.method](request)

    return handle


def _handler(endpoint: Endpoint, installation: Installation, remembered: Remembered) -> Handler:
    decoder = msgspec.json.Decoder(endpoint.body) if endpoint.body else None

    async def handle(request: Request) -> Response:
        actor = NOBODY
        try:
            actor, credential = _asking(endpoint, request, installation, remembered)
            query = _query(endpoint, request)
            body = await _body(request, decoder, endpoint) if decoder or endpoint.raw else None
            given = Given(
                installation=installation,
                actor=actor,
                path=dict(request.path_params),
                query=query,
                body=body,
            )
            answer = await _perform(endpoint.does, given, credential)
        except Exception as error:  # noqa: BLE001 - the boundary: everything becomes an answer
            problem = as_stopwork_error(error)
            return problem_response(await run_in_threadpool(_told, installation, actor, problem))
        if isinstance(endpoint.does, Fetch):
            return FileResponse(
                answer, media_type=endpoint.does.media_type, filename=answer.name, headers=_NOT_KEPT
            )
        if isinstance(answer, Rendered):
            saved = saved_as(answer.filename) if answer.filename else {}
            return Response(answer.content, media_type=answer.media_type, headers=_NOT_KEPT | saved)
        return Response(encode(answer), status_code=endpoint.status, media_type=JSON, headers=_NOT_KEPT)

    return handle


def _asking(
    endpoint: Endpoint, request: Request, installation: Installation, remembered: Remembered
) -> tuple[Principal, Credential | None]:
    """Answer who asks, where that may ask this; the credential is for who has it confirmed as it is used."""
    if endpoint.access is Access.PUBLIC:
        return NOBODY, None
    if endpoint.access is Access.SIGNED and "authorization" not in request.headers:
        return NOBODY, None
    credential = None
    # One look-up by index: handing it to a thread would take longer than waiting for it.
    if isinstance(endpoint.does, Write | Attend):
        credential = shown(request, remembered.credential)
        actor = credential.principal
    else:
        actor = identify_request(installation, request)
    authorise(endpoint, actor)
    return actor, credential


async def _perform(
    does: Write | Attend | Read | Act | Fetch, given: Given, credential: Credential | None
) -> Any:
    match does:
        case Write() | Attend():
            return await write(does, given, credential)
        case Read(read):
            return await run_in_threadpool(
                given.installation.store.read, lambda view: read(_seen(view, given), given)
            )
        case Act(act) | Fetch(act, _):
            return await run_in_threadpool(_act, act, given)


def _told(installation: Installation, actor: Principal, problem: StopworkError) -> StopworkError:
    return privacy.told(installation.store, actor, problem)


def _act(act: Callable[[Given], Any], given: Given) -> Any:
    given.installation.store.read(lambda view: _require_seen(view, given))
    return act(given)


def _seen(view: View, given: Given) -> View:
    return privacy.seen_by(view, given.actor, given.installation.store.clock.now())


def _require_seen(view: View, given: Given) -> None:
    """Raise ``NotFound`` where a person names what is kept from them; agents name nothing of an incident."""
    if given.actor.kind is PrincipalKind.PERSON:
        named = given.path | {
            name: getattr(said, name)
            for said in (given.query, given.body)
            if isinstance(said, msgspec.Struct)
            for name in said.__struct_fields__
        }
        privacy.require_seen(view, given.actor, given.installation.store.clock.now(), named=named)


async def write(does: Write | Attend, given: Given, credential: Credential | None) -> Any:
    """Answer what an endpoint writes; nothing is written by a credential that has ended meanwhile."""
    if isinstance(does, Attend):
        return await does.work(given, credential)

    def work(tx: Tx) -> Any:
        if credential is not None:
            credentials.confirm(tx, credential.id)
        _require_seen(tx, given)
        return does.work(tx, given)

    return await written(
        given.installation.store,
        work,
        actor=given.actor,
        urgent=does.urgent,
    )


def authorise(endpoint: Endpoint, actor: Principal) -> None:
    """Raise ``Denied`` where this address is not for such a principal."""
    if endpoint.access is Access.PUBLIC or endpoint.access.admits(actor.kind):
        return
    if endpoint.access is Access.PERSON:
        raise Denied(
            f"{actor} is no person but {_A[actor.kind]}, and only a person may do this",
            hint="Use a person's token: stopwork token create --person dana@acme.test",
            needed=Access.PERSON.value,
        )
    raise Denied(
        f"this is the token of {_A[actor.kind]}, which is not for this address",
        hint="Use a token that is made for it: stopwork token create --help",
        needed=endpoint.access.value,
    )


async def read_body(request: Request, limit: int, *, within_s: float = BODY_WITHIN_S) -> bytes:
    """Answer the request's body; ``TooLarge`` as soon as it is over ``limit`` bytes, without reading on."""
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and (len(declared) > len(str(limit)) or int(declared) > limit):
        raise _too_large(limit)
    return await receive_body(request.receive, limit, within_s=within_s)


async def receive_body(receive: Receive, limit: int, *, within_s: float = BODY_WITHIN_S) -> bytes:
    """Answer the body of a request whose head is read; see :func:`read_body`."""
    body = bytearray()
    try:
        async with asyncio.timeout(within_s):
            more = True
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Malformed("the body ended before its end", hint="Send it again.")
                body += message.get("body", b"")
                more = message.get("more_body", False)
                if len(body) > limit:
                    raise _too_large(limit)
    except TimeoutError as error:
        raise TooSlow(
            f"the body did not arrive within {within_s:g} s", hint="Send it again, in one go."
        ) from error
    return bytes(body)


async def _body(request: Request, decoder: msgspec.json.Decoder[Any] | None, endpoint: Endpoint) -> Any:
    taken = endpoint.raw or (JSON,)
    media_type = request.headers.get("content-type", taken[0]).partition(";")[0].strip().lower()
    if media_type not in taken:
        what = "JSON" if taken == (JSON,) else " or ".join(taken)
        raise UnsupportedMediaType(
            f"the body is {media_type[:100]}, and only {what} is read here",
            hint=f"Send it with the header Content-Type: {taken[0]}",
        )
    body = await read_body(request, endpoint.max_body_bytes)
    if decoder is None:
        return Raw(content=body, media_type=media_type, headers=dict(request.headers))
    return decoded(decoder, body if body or endpoint.body_needed else b"{}")


def _too_large(limit: int) -> TooLarge:
    return TooLarge(
        f"the body is over {limit} bytes",
        hint="Send less, or store the content elsewhere and send its digest.",
    )


def decoded(decoder: msgspec.json.Decoder[Any], body: bytes) -> Any:
    """Answer what a body says; ``Malformed`` or ``Invalid`` where it cannot be read or does not fit."""
    if not body:
        raise Malformed("a JSON body is needed", hint="Compare with /v1/openapi.json.")
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise Invalid(f"the body does not fit: {error}", hint=hint_of(decoder.type, error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"the body is not JSON: {error}", hint="Send valid JSON in UTF-8.") from error


def _query(endpoint: Endpoint, request: Request) -> Any:
    names = set(endpoint.query.__struct_fields__) if endpoint.query else set()
    for name, count in Counter(name for name, _ in request.query_params.multi_items()).items():
        if name not in names:
            raise Invalid(
                f"unknown query parameter {name!r}",
                hint=f"Possible here: {', '.join(sorted(names))}." if names else "This address takes none.",
                field=name,
            )
        if count > 1:
            raise Invalid(
                f"the query parameter {name!r} is given {count} times", hint="Give it once.", field=name
            )
    if endpoint.query is None:
        return None
    try:
        return msgspec.convert(dict(request.query_params), endpoint.query, strict=False)
    except msgspec.ValidationError as error:
        raise Invalid(f"the query does not fit: {error}", hint=hint_of(endpoint.query, error)) from error
