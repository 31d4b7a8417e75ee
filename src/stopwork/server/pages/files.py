"""Files on their way in and out: a form with a file in it, and what a browser saves."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import Final

from msgspec import Struct
from starlette.requests import Request

from stopwork.kernel.errors import Invalid
from stopwork.ledger.records import Principal
from stopwork.operations import attaching, timeline
from stopwork.operations.attaching import MAX_UPLOAD_BYTES
from stopwork.operations.installation import Installation
from stopwork.server import timelines
from stopwork.server.api.endpoint import Rendered
from stopwork.server.api.routing import read_body
from stopwork.server.pages.keeping import back
from stopwork.server.pages.sent import Landed, Sent
from stopwork.server.pages.sentences import sentence

#: What a form takes beside its file.
MAX_AROUND_BYTES: Final = 64 * 1024
MAX_PARTS: Final = 10
MAX_HEAD: Final = 4 * 1024

_BOUNDARY: Final = re.compile(
    r'multipart/form-data;\s*boundary="?([0-9A-Za-z\'()+_,./:=?-]{1,70})"?', re.IGNORECASE
)
_SAID: Final = re.compile(r';\s*(name|filename)="([^"\r\n]*)"')


class SentFile(Struct, frozen=True):
    """A file as it came in a form. ``name`` is what the browser calls it, which means nothing."""

    name: str
    content: bytes


async def form_with_file(request: Request) -> tuple[dict[str, list[str]], SentFile | None]:
    """Answer a form and the file in it; ``TooLarge`` as soon as it is over the bound, ``Invalid`` for what is no such form."""
    body = await read_body(request, MAX_UPLOAD_BYTES + MAX_AROUND_BYTES)
    return parts_of(request.headers.get("content-type", ""), body)


def parts_of(media_type: str, body: bytes) -> tuple[dict[str, list[str]], SentFile | None]:
    """Answer the fields of a ``multipart/form-data`` body, as browsers send it (RFC 7578), and the first file in it that has a name."""
    found = _BOUNDARY.fullmatch(media_type[:MAX_HEAD])
    if found is None:
        raise _unreadable()
    pieces = (b"\r\n" + body).split(b"\r\n--" + found[1].encode(), MAX_PARTS + 1)
    if len(pieces) > MAX_PARTS + 1 or not pieces[-1].startswith(b"--"):
        raise _unreadable()
    fields: dict[str, list[str]] = {}
    file = None
    for piece in pieces[1:-1]:
        head, blank, content = piece.partition(b"\r\n\r\n")
        said = dict(_SAID.findall(head[:MAX_HEAD].decode(errors="replace")))
        if not blank or "name" not in said:
            raise _unreadable()
        if "filename" not in said:
            fields.setdefault(said["name"], []).append(content.decode(errors="replace"))
        elif said["filename"] and file is None:
            file = SentFile(said["filename"], content)
    return fields, file


def _unreadable() -> Invalid:
    return Invalid("the form cannot be read", hint="Reload the page and try again.")


def attach_file(sent: Sent, file: SentFile | None) -> Landed:
    """Keep the file that was sent with the evidence."""
    if file is None:
        raise Invalid("no file was chosen", hint="Choose one, then send it.", field="file")
    kept = attaching.attach(
        sent.installation,
        sent.person,
        incident=sent.incident,
        name=PurePath(file.name.replace("\\", "/")).name,
        content=file.content,
        why=sent.get("why"),
    )
    return Landed(f"{kept.name} is kept with the evidence.", back(sent))


def take_attachment(installation: Installation, person: Principal, request: Request) -> Rendered:
    """Answer the content of an attachment."""
    blob, pieces = attaching.take(
        installation,
        person,
        incident=str(request.path_params["incident"]),
        digest=str(request.path_params["digest"]),
    )
    return Rendered(content=b"".join(pieces), media_type="application/octet-stream", filename=blob.name)


def export_timeline(installation: Installation, person: Principal, request: Request) -> Rendered:
    """Answer the whole timeline as a file."""
    form = request.query_params.get("form", "")
    if form not in set(timeline.Form):
        raise Invalid("there is no such form", hint=f"One of {', '.join(timeline.Form)}.", field="form")
    found = timeline.export(
        installation,
        person,
        incident=str(request.path_params["incident"]),
        form=timeline.Form(form),
        zone=timelines.zone_of(request.query_params.get("zone", "")),
        say=sentence,
    )
    return Rendered(content=found.content, media_type=found.media_type, filename=found.name)
