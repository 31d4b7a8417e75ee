"""An endpoint is a row: method, path, what goes in, what comes out, who may, and the operation behind it.

From the rows come the routes, the OpenAPI document and the tests that hold one to the other.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Any

from msgspec import Struct

from stopwork.ledger.records import Principal
from stopwork.operations.installation import Installation
from stopwork.storage.transaction import Tx
from stopwork.storage.view import View


class Access(StrEnum):
    """Who may call: nobody in particular, any token, or only a person."""

    PUBLIC = "public"
    ANY = "any"
    PERSON = "person"


class Given(Struct, frozen=True, kw_only=True):
    """What one request brought: path parameters, the decoded query and body, and who asks."""

    installation: Installation
    actor: Principal
    path: dict[str, str]
    query: Any
    body: Any


class Write(Struct, frozen=True):
    """One transaction of the writer."""

    work: Callable[[Tx, Given], Any]


class Read(Struct, frozen=True):
    """One consistent look."""

    work: Callable[[View, Given], Any]


class Act(Struct, frozen=True):
    """Something that takes several transactions or talks to the outside."""

    work: Callable[[Given], Any]


class Fetch(Struct, frozen=True):
    """A file, sent as it is; whoever takes it out is in the journal."""

    work: Callable[[Given], Path]
    media_type: str


class Endpoint(Struct, frozen=True, kw_only=True):
    """One row of the API. ``answer`` is ``None`` for a file."""

    method: str
    path: str
    name: str
    summary: str
    does: Write | Read | Act | Fetch
    answer: Any
    body: type[Struct] | None = None
    query: type[Struct] | None = None
    access: Access = Access.PERSON
    status: int = 200
    max_body_bytes: int = 1024 * 1024
    tag: str = ""


class Rendered(Struct, frozen=True, kw_only=True):
    """An answer that is not JSON."""

    content: str
    media_type: str


class Page(Struct, frozen=True, kw_only=True):
    """How a listing is paged: at most ``limit`` rows after the id ``after``."""

    limit: int = 50
    after: str | None = None
