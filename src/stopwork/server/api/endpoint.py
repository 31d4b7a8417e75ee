"""An endpoint is a row: method, path, what goes in, what comes out, who may, and the operation behind it.

From the rows come the routes, the OpenAPI document and the tests that hold one to the other.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from stopwork.ledger.records import Credential, Principal
from stopwork.ledger.words import PrincipalKind
from stopwork.operations.installation import Installation
from stopwork.storage.transaction import Tx
from stopwork.storage.view import View

#: Every address of the API begins with this.
ROOT: Final = "/v1"
MAX_PAGE: Final = 500
#: The largest whole number that every JSON reader keeps.
MAX_NUMBER: Final = 2**53 - 1


class Access(StrEnum):
    """Who may call: nobody in particular, agents and people, only a person, a system's feed and people, whoever reports, or whoever
    follows the log.

    ``SIGNED`` is as ``REPORT``, or without a token, where the row itself checks the sender's signature.
    """

    PUBLIC = "public"
    SIGNED = "signed"
    REPORT = "report"
    ANY = "any"
    PERSON = "person"
    FEED = "feed"
    MONITOR = "monitor"

    def admits(self, kind: PrincipalKind) -> bool:
        """Answer whether such a principal may call: a token that is made for one way in opens no other."""
        return kind in _ADMITTED[self]


_REPORTING: Final = frozenset({PrincipalKind.PERSON, PrincipalKind.AGENT, PrincipalKind.REPORTER})
_ADMITTED: Final = {
    Access.SIGNED: _REPORTING,
    Access.REPORT: _REPORTING,
    Access.PUBLIC: frozenset(PrincipalKind),
    Access.ANY: frozenset({PrincipalKind.PERSON, PrincipalKind.AGENT}),
    Access.PERSON: frozenset({PrincipalKind.PERSON}),
    Access.FEED: frozenset({PrincipalKind.PERSON, PrincipalKind.FEED}),
    Access.MONITOR: frozenset({PrincipalKind.PERSON, PrincipalKind.MONITOR}),
}


class Given(Struct, frozen=True, kw_only=True):
    """What one request brought: path parameters, the decoded query and body, and who asks."""

    installation: Installation
    actor: Principal
    path: dict[str, str]
    query: Any
    body: Any


class Raw(Struct, frozen=True, kw_only=True):
    """A body as it came, with its media type and the headers (in lower case) around it."""

    content: bytes
    media_type: str
    headers: dict[str, str]


class Write(Struct, frozen=True):
    """One transaction; an ``urgent`` one stops others and goes before them."""

    work: Callable[[Tx, Given], Any]
    urgent: bool = False


class Attend(Struct, frozen=True):
    """Something that is answered when there is something to say; it waits on the event loop, and confirms the credential itself."""

    work: Callable[[Given, Credential | None], Awaitable[Any]]


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
    """One row of the API. ``answer`` is ``None`` for a file, and for what is never JSON; nothing has to be sent where no body is needed; ``also`` are media types besides JSON that can be asked for.

    A row with ``raw`` media types is given its body as it came, as a :class:`Raw`.
    """

    method: str
    path: str
    name: str
    summary: str
    does: Write | Attend | Read | Act | Fetch
    answer: Any
    body: type[Struct] | None = None
    body_needed: bool = True
    query: type[Struct] | None = None
    access: Access = Access.PERSON
    status: int = 200
    max_body_bytes: int = 1024 * 1024
    also: tuple[str, ...] = ()
    raw: tuple[str, ...] = ()
    tag: str = ""


class Rendered(Struct, frozen=True, kw_only=True):
    """An answer that is not JSON; with a ``filename`` it is never shown, only saved under that name."""

    content: str | bytes
    media_type: str
    filename: str = ""


class Page(Struct, frozen=True, kw_only=True):
    """How a listing is paged: at most ``limit`` rows after the id ``after``."""

    limit: Annotated[int, Meta(ge=1, le=MAX_PAGE)] = 50
    after: str | None = None
