"""Asking a place over HTTP: how long it is waited for as a whole, and how much of its answer is read, is bounded."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from threading import Thread
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import httpx

from stopwork.kernel.errors import Invalid, Unavailable

#: How much longer a whole answer is waited for than each part of it, so that a part that is late says so itself.
_GRACE_S: Final = 0.25
#: No packed answer is asked for, nor unpacked: some hundred bytes may be packed gigabytes.
_AS_IT_IS: Final = "identity"


class Unreached(Unavailable):
    """The place has not been told anything."""


class Answer(NamedTuple):
    """What a place answered."""

    status: int
    media_type: str
    content: bytes

    @property
    def text(self) -> str:
        """The answer in one line, for people."""
        return " ".join(self.content.decode(errors="replace").split())[:200]


def ask(
    method: str,
    url: str,
    content: bytes | None,
    headers: Mapping[str, str],
    *,
    within_s: float,
    most_bytes: int,
) -> Answer:
    """Ask once, following no redirect, and answer what came back.

    ``Unreached`` when the place was told nothing, ``Unavailable`` when it may have been told and no whole answer came in time.
    """
    answered: Future[Answer] = Future()
    with httpx.Client(
        timeout=within_s, follow_redirects=False
    ) as client:  # its end is that of what it still asks
        request = client.build_request(method, url, content=content, headers=dict(headers))
        request.headers["accept-encoding"] = _AS_IT_IS
        # The client counts each step by itself, and a place, or a name server, can take any number of them.
        Thread(
            target=_settle, args=(answered, lambda: _ask(client, request, most_bytes)), daemon=True
        ).start()
        try:
            return answered.result(within_s + _GRACE_S)
        except TimeoutError:
            raise Unavailable(
                f"{host_of(url)} has not answered whole within {within_s:g} s", hint="Look into its log."
            ) from None


def _settle(answered: Future[Answer], ask: Callable[[], Answer]) -> None:
    try:
        answered.set_result(ask())
    except Exception as error:  # noqa: BLE001 - it is raised where the answer is waited for
        answered.set_exception(error)


def _ask(client: httpx.Client, request: httpx.Request, most_bytes: int) -> Answer:
    url = str(request.url)
    try:
        response = client.send(request, stream=True)
        with contextlib.closing(response):
            if (packed := response.headers.get("content-encoding", _AS_IT_IS)).lower() != _AS_IT_IS:
                raise Unavailable(
                    f"{host_of(url)} answered packed ({packed:.40}), which was not asked for",
                    hint="Let it answer as it is.",
                )
            found = b""
            for chunk in response.iter_raw():
                found += chunk
                if len(found) > most_bytes:
                    raise Unavailable(
                        f"{host_of(url)} answered more than {most_bytes} bytes", hint="Check its address."
                    )
            media_type = response.headers.get("content-type", "").partition(";")[0].strip()
            return Answer(response.status_code, media_type, found)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        early = httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol, httpx.InvalidURL
        kind = Unreached if isinstance(error, early) else Unavailable
        raise kind(
            f"{host_of(url)} cannot be reached: {str(error) or type(error).__name__}"
            if kind is Unreached
            else f"{host_of(url)} did not answer: {str(error) or type(error).__name__}",
            hint="It is tried again. Check its address, and that this machine may reach it.",
        ) from error


def refused(url: str, answer: Answer) -> Unavailable:
    """Answer the error for an answer that is no yes."""
    said = f": {answer.text}" if answer.text else ""
    return Unavailable(
        f"{host_of(url)} answered {answer.status}{said}", hint="Look into its own log; it is tried again."
    )


def host_of(url: str) -> str:
    """Answer the part of an address that holds no credential."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)


def require_address(url: str) -> str:
    """Answer the address of a place; ``Invalid`` for what is none."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise Invalid("this is no address", hint="It looks like https://anchor.example/path", field="url")
    return url.rstrip("/")
