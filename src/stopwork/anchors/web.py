"""Asking a place over HTTP: what is waited for, and how much of an answer is read, is bounded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx

from stopwork.anchors.base import MAX_RECEIPT_BYTES, WITHIN_S
from stopwork.kernel.errors import Invalid, Unavailable


class Answer(NamedTuple):
    """What a place answered."""

    status: int
    media_type: str
    content: bytes

    @property
    def text(self) -> str:
        """The answer in one line, for people."""
        return " ".join(self.content.decode(errors="replace").split())[:200]


def post(url: str, content: bytes, headers: Mapping[str, str]) -> Answer:
    """Send something and answer what came back; ``Unavailable`` when nothing did."""
    try:
        with httpx.stream("POST", url, content=content, headers=dict(headers), timeout=WITHIN_S) as response:
            found = b""
            for chunk in response.iter_bytes():
                found += chunk
                if len(found) > MAX_RECEIPT_BYTES:
                    raise Unavailable(
                        f"{host_of(url)} answered more than {MAX_RECEIPT_BYTES} bytes",
                        hint="Check its address.",
                    )
            media_type = response.headers.get("content-type", "").partition(";")[0].strip()
            return Answer(response.status_code, media_type, found)
    except httpx.HTTPError as error:
        raise Unavailable(
            f"{host_of(url)} cannot be reached: {str(error) or type(error).__name__}",
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
