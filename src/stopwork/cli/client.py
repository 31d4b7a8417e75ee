"""The server as the command line sees it: rows of the REST API in, plain JSON or an error out."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

import httpx

from stopwork.cli.settings import Login
from stopwork.kernel.errors import (
    Conflict,
    Denied,
    Internal,
    Invalid,
    NotFound,
    StopworkError,
    Unauthenticated,
    Unavailable,
    by_code,
)

CONNECT_S: Final = 5.0
#: A seal or a recovery of many objects takes its time.
ANSWER_S: Final = 600.0
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_IN_PATH: Final = re.compile(r"{(\w+)(?::path)?}")

# For answers that are no problem document: a proxy's page, another program's error.
_BY_STATUS: Final[Mapping[int, type[StopworkError]]] = {
    400: Invalid,
    401: Unauthenticated,
    403: Denied,
    404: NotFound,
    409: Conflict,
    413: Invalid,
    422: Invalid,
    429: Unavailable,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
}


class Server:
    """One Stopwork server.

    A path is written as the API's own row has it, ``/v1/holds/{hold}/lift``; keywords fill its names, and what is left over is
    the query. Nothing is tried twice: whoever asks decides about that.
    """

    def __init__(self, login: Login, *, transport: httpx.BaseTransport | None = None) -> None:
        parts = urlsplit(login.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Invalid(
                f"{login.url!r} is not the address of a server",
                hint="It looks like https://stopwork.example or http://127.0.0.1:8321.",
                field="url",
            )
        self.login = login
        self._client = httpx.Client(
            base_url=login.url,
            timeout=httpx.Timeout(ANSWER_S, connect=CONNECT_S),
            # A proxy of the environment has no business between a person and their own machine.
            trust_env=parts.hostname not in _LOOPBACK,
            transport=transport,
        )

    def get(self, path: str, **names: Any) -> Any:
        """Answer what is at ``path``."""
        return self._json("GET", path, None, names)

    def post(self, path: str, body: Mapping[str, Any] | None = None, **names: Any) -> Any:
        """Ask for a change and answer what came of it. Parts of the body that are ``None`` are left out."""
        return self._json("POST", path, body or {}, names)

    def post_raw(self, path: str, content: bytes, *, media_type: str, **names: Any) -> Any:
        """Send something that is not JSON as it is, and answer what came of it."""
        return self._json("POST", path, content, names, media_type)

    def put(self, path: str, body: Mapping[str, Any], **names: Any) -> Any:
        """Put ``body`` in the place of what is at ``path``."""
        return self._json("PUT", path, body, names)

    def download(self, path: str, to: Path, **names: Any) -> int:
        """Write what is at ``path`` into the file ``to``, whole or not at all, and answer its size in bytes."""
        draft = to.with_name(f".{to.name}.part")
        address, query = _address(path, names)
        try:
            with (
                self._client.stream("GET", address, params=query, headers=self._headers()) as response,
                draft.open("wb") as file,
            ):
                if not response.is_success:
                    response.read()
                    raise self._refusal(response)
                for chunk in response.iter_bytes():
                    file.write(chunk)
            size_bytes = draft.stat().st_size
            draft.replace(to)
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error
        except OSError as error:
            raise Unavailable(
                f"{to} cannot be written: {error.strerror}", hint="Name another file with --out."
            ) from error
        finally:
            draft.unlink(missing_ok=True)
        return size_bytes

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _json(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | bytes | None,
        names: Mapping[str, Any],
        media_type: str = "application/json",
    ) -> Any:
        response = self._send(method, path, body, names, media_type)
        try:
            return response.json()
        except ValueError as error:
            raise Internal(
                f"{self.login.url} gave an answer that is not JSON", hint="Is it a Stopwork server?"
            ) from error

    def _send(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | bytes | None,
        names: Mapping[str, Any],
        media_type: str,
    ) -> httpx.Response:
        address, query = _address(path, names)
        content: bytes | str | None = body if isinstance(body, bytes | None) else None
        if isinstance(body, Mapping):
            content = json.dumps({k: v for k, v in body.items() if v is not None})
        headers = self._headers() | ({"content-type": media_type} if content else {})
        try:
            response = self._client.request(method, address, params=query, content=content, headers=headers)
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error
        if not response.is_success:
            raise self._refusal(response)
        return response

    def _headers(self) -> dict[str, str]:
        token = self.login.token
        return {"accept": "application/json"} | ({"authorization": f"Bearer {token}"} if token else {})

    def _unreachable(self, error: httpx.HTTPError) -> Unavailable:
        return Unavailable(
            f"{self.login.url} did not answer ({type(error).__name__})",
            hint="Is the server running? stopwork up starts one; --url names another.",
            url=self.login.url,
        )

    def _refusal(self, response: httpx.Response) -> StopworkError:
        try:
            problem = dict(response.json())
        except (ValueError, TypeError):
            problem = {}
        kind = by_code(str(problem.get("code", "")))
        if kind is StopworkError:
            kind = _BY_STATUS.get(response.status_code, Internal)
        known = ("type", "title", "status", "detail", "code", "hint")
        return kind(
            str(problem.get("detail") or f"{self.login.url} answered with status {response.status_code}"),
            hint=str(problem.get("hint") or ("" if problem else "Is this the address of a Stopwork server?")),
            **{name: value for name, value in problem.items() if name not in known},
        )


def _address(path: str, names: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Answer the path with its names filled in, and what is left of them as the query."""
    in_path = set(_IN_PATH.findall(path))
    filled = _IN_PATH.sub(
        lambda found: quote(str(names[found[1]]), safe="/" if ":" in found[0] else ""), path
    )
    query = {
        name: str(value).lower() if isinstance(value, bool) else value
        for name, value in names.items()
        if name not in in_path and value is not None
    }
    return filled, query
