"""The direct way: what guards ask while agents work is answered before anything else looks at it.

The same rows as everywhere, and the same answers; only the framework's way there is left out, which costs more than the answer. Whatever
is unusual about a request (no bearer token, a query, no length, another media type) is left to the ordinary route.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from starlette.types import ASGIApp, Receive, Scope, Send

from stopwork.operations.installation import Installation
from stopwork.server.api.endpoint import Access, Attend, Endpoint, Given, Write
from stopwork.server.api.routing import JSON, authorise, decoded, encode, receive_body, write
from stopwork.server.auth import Remembered
from stopwork.server.problems import as_stopwork_error, problem_response

_HEAD: Final = [(b"content-type", JSON.encode()), (b"cache-control", b"no-store")]
_PLAIN: Final = (b"", JSON.encode())


class Direct:
    """Answers the rows that can be asked directly, and gives every other request on."""

    def __init__(
        self,
        app: ASGIApp,
        endpoints: tuple[Endpoint, ...],
        installation: Installation,
        remembered: Remembered,
    ) -> None:
        self._app = app
        self._installation = installation
        self._remembered = remembered
        rows = [
            _Row(each, each.does)
            for each in endpoints
            if isinstance(each.does, Write | Attend) and _is_direct(each)
        ]
        self._rows = {row.place: row for row in rows}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http" and scope["method"] == "POST" and not scope["query_string"]:
            found = self._found(scope["path"])
            if found is not None:
                row, path = found
                token = _token(scope["headers"], row.endpoint.max_body_bytes)
                if token:
                    await self._answer(row, path, token, scope, receive, send)
                    return
        await self._app(scope, receive, send)

    def _found(self, path: str) -> tuple[_Row, dict[str, str]] | None:
        """Answer the row at an address and what its braces stand for."""
        row = self._rows.get((path, ""))
        if row is not None:
            return row, {}
        above, _, tail = path.rpartition("/")
        above, _, value = above.rpartition("/")
        row = self._rows.get((above, tail))
        return (row, {row.braces: value}) if row is not None and value else None

    async def _answer(
        self, row: _Row, path: dict[str, str], token: str, scope: Scope, receive: Receive, send: Send
    ) -> None:
        try:
            credential = self._remembered.credential(token)
            authorise(row.endpoint, credential.principal)
            body = await receive_body(receive, row.endpoint.max_body_bytes)
            given = Given(
                installation=self._installation,
                actor=credential.principal,
                path=path,
                query=None,
                body=decoded(row.decoder, body),
            )
            answer = encode(await write(row.does, given, credential))
        except Exception as error:  # noqa: BLE001 - the boundary: everything becomes an answer
            await problem_response(as_stopwork_error(error))(scope, receive, send)
            return
        head = [*_HEAD, (b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": row.endpoint.status, "headers": head})
        await send({"type": "http.response.body", "body": answer})


class _Row:
    """An endpoint by its place: the whole address, or what stands before and behind the one part in braces."""

    def __init__(self, endpoint: Endpoint, does: Write | Attend) -> None:
        self.endpoint: Final = endpoint
        self.does: Final = does
        self.decoder: Final[msgspec.json.Decoder[Any]] = msgspec.json.Decoder(endpoint.body or Any)
        before, _, rest = endpoint.path.partition("/{")
        self.braces, _, behind = rest.partition("}/")
        self.place: Final = (before, behind)


def _is_direct(endpoint: Endpoint) -> bool:
    return (
        endpoint.method == "POST"
        and endpoint.access in (Access.ANY, Access.REPORT)
        and endpoint.body is not None
        and endpoint.query is None
        and not endpoint.also
    )


def _token(headers: list[tuple[bytes, bytes]], limit: int) -> str:
    """Answer the bearer token of a request that is as guards make them, and of no other."""
    token, length, media_type = b"", b"", b""
    for name, value in headers:
        if name == b"authorization":
            if token:
                return ""
            scheme, _, token = value.partition(b" ")
            if scheme.lower() != b"bearer":
                return ""
        elif name == b"content-length":
            length = value
        elif name == b"content-type":
            media_type = value
    if (
        media_type not in _PLAIN
        or not length.isdigit()
        or len(length) > len(str(limit))
        or int(length) > limit
    ):
        return ""
    return token.strip().decode("latin-1")
