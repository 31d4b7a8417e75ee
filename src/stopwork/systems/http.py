"""Objects behind an HTTP interface, seen and restored by a map of its resources that is data, not code.

For each type the map says how one object is read, and how it is created, updated and deleted where that is possible; what is sent are
templates (:mod:`stopwork.systems.templates`), and no value leads out of the place in a path where it stands:

============== ================================================================================
``{id}``        the object's id; ``{part.1}``, ``{part.2}`` … the parts of an id such as ``acme/web/7``
``{content}``   what it shall become, ``{content.due}`` one field of that
``{changes}``   the top-level fields that differ; one that shall not be there any more is ``unset``
============== ================================================================================

Where the place answers with a strong ``ETag``, a change is sent with ``If-Match`` and an object is created with ``If-None-Match: *``, so that
nothing slips in between. Without one the content is compared right before it is written, and a change by somebody else in the
moment between is lost. An object that can only come back under an id of the place's own choosing cannot be put back: leave
``create`` out, and the plan says so.

Redirects are not followed, answers are bounded, and every request has a time-out.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping
from threading import RLock
from typing import Any, Final, Literal
from urllib.parse import urljoin, urlsplit

import httpx
from msgspec import Struct

from stopwork.incidents.images import Nothing, field_path, same, value_at
from stopwork.kernel.canonical import plain, revive
from stopwork.kernel.errors import Conflict, Invalid, TooLarge, Unavailable
from stopwork.kernel.foreign_json import read_json
from stopwork.ledger.records import Image, ObjectRef
from stopwork.ledger.words import ImageState
from stopwork.systems.base import Unsupported, require_expected, require_known
from stopwork.systems.python import require_own
from stopwork.systems.reach import unable
from stopwork.systems.templates import changes, filled, filled_path

TIMEOUT_S: Final = 10.0
ANSWER_BYTES_MAX: Final = 16 * 1024 * 1024
SCAN_OBJECTS_MAX: Final = 10_000
_SHOWN_CHARS: Final = 300

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]


class Call(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request. ``body`` is sent as JSON, as a form where ``form`` says so, and as it is where it is text."""

    method: Method
    path: str
    query: dict[str, Any] = {}
    body: Any = None
    form: bool = False
    headers: dict[str, str] = {}


class Paging(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the next page of a list is asked for: by an address that the answer gives, or by a parameter.

    ``next`` is the field of the answer with the address, or ``link`` for the Link header. ``param`` is set to the field ``from_last`` of the
    page's last object, or, without that, to a page number that begins with ``first``. A page without objects is the last one, and so is
    one whose field ``more`` is false.
    """

    next: str = ""
    param: str = ""
    from_last: str = ""
    first: int = 1
    more: str = ""


class Listing(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How every object of a type is listed: ``items`` is the field of the answer with the list, ``id`` what makes an object's id.

    ``whole`` says that a listed object shows all that reading it alone would; otherwise each one is read.
    """

    path: str
    query: dict[str, Any] = {}
    items: str = ""
    id: str = "{item.id}"
    paging: Paging | None = None
    whole: bool = True


class Resource(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How objects of one type are read and written.

    ``read`` is the path of one. ``at`` is the field of an answer that holds the object. Only its ``fields`` are seen, or all but those to
    ``ignore``, which the place keeps by itself. An object is not there when the answer's status is one of ``absent_status``, or when all of
    ``absent_when`` is so. ``changed_by`` and ``changed_at`` are the fields that say who changed it last, and when. ``text`` says that the
    object is text and no JSON: its content is ``{"text": …}``.
    """

    read: str
    at: str = ""
    query: dict[str, Any] = {}
    fields: tuple[str, ...] | None = None
    ignore: tuple[str, ...] = ()
    text: bool = False
    absent_status: tuple[int, ...] = (404, 410)
    absent_when: dict[str, Any] = {}
    create: Call | None = None
    update: Call | None = None
    delete: Call | None = None
    unset: str | None = None
    changed_by: str = ""
    changed_at: str = ""
    list: Listing | None = None


class Answer(Struct, frozen=True):
    """What the place answered to ``url``; ``following`` is the address of the next page by the Link header."""

    url: str
    status: int
    headers: httpx.Headers
    body: bytes
    encoding: str | None = None
    following: str | None = None

    def text(self) -> str:
        """Answer the body as text."""
        return self.body.decode(self.encoding or "utf-8", errors="replace")

    def shown(self) -> str:
        """Answer the beginning of the body in one line."""
        return " ".join(self.text().split())[:_SHOWN_CHARS] or "nothing more"


class Seen(Struct, frozen=True):
    """What one look showed."""

    image: Image
    etag: str | None = None


class HttpSystem:
    """Shows and restores objects behind ``url`` by a map of its resources.

    ``headers`` go with every request, a credential among them. ``scan`` lists every type that has a ``list``, around every call.
    """

    def __init__(
        self,
        name: str,
        url: str,
        types: Mapping[str, Resource],
        *,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = TIMEOUT_S,
        scan: bool = False,
        scan_objects_max: int = SCAN_OBJECTS_MAX,
    ) -> None:
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
            raise Invalid(f"{url!r} is no address of an HTTP interface", hint="Write https://host/path.")
        self.name = name
        self.scans = scan and any(way.list for way in types.values())
        self.restores = any(way.create or way.update or way.delete for way in types.values())
        self.unable = unable(types)
        self._types = dict(types)
        self._base = url if url.endswith("/") else f"{url}/"
        self._client = httpx.Client(headers=headers, timeout=timeout_s, follow_redirects=False)
        self._scan_objects_max = scan_objects_max
        self._lock = RLock()
        weakref.finalize(self, self._client.close)  # a system is never closed by hand

    def read(self, ref: ObjectRef) -> Image:
        return self._look(ref, self._way(ref)).image

    def replace(self, ref: ObjectRef, expected: Image, target: Image) -> None:
        way = self._way(ref)
        require_known(ref, expected, target)
        with self._lock:
            seen = self._look(ref, way)
            require_expected(ref, expected, seen.image)
            match seen.image.state, target.state:
                case ImageState.ABSENT, ImageState.ABSENT:
                    return
                case ImageState.ABSENT, _:
                    self._change(ref, way.create, "create", seen, target, way)
                case _, ImageState.ABSENT:
                    self._change(ref, way.delete, "delete", seen, target, way)
                case _ if not same(seen.image.content, target.content):
                    self._change(ref, way.update, "update", seen, target, way)

    def check(self, ref: ObjectRef, target: Image) -> None:
        """Raise ``Invalid`` where no request of the type's map can put such content there."""
        way = self._way(ref)
        if target.state is ImageState.PRESENT and way.create is None and way.update is None:
            raise _no_way(self.name, "create or update", ref)
        if target.state is ImageState.ABSENT and way.delete is None:
            raise _no_way(self.name, "delete", ref)

    def stamp(self, ref: ObjectRef) -> tuple[str, str]:
        """Answer who changed the object last, and when, as far as its fields for that are named and filled."""
        way = self._way(ref)
        if not (way.changed_by or way.changed_at) or way.text:
            return "", ""
        call = Call(method="GET", path=way.read, query=way.query)
        answer = self._ask(ref, call, _names(ref), f"reading {ref}")
        if answer.status in way.absent_status:
            return "", ""
        self._require_success(answer, f"reading {ref}", str(ref))
        found = value_at(self._json(answer, f"reading {ref}"), field_path(way.at))
        by, at = (_told(found, name) for name in (way.changed_by, way.changed_at))
        return by, at

    def scan(self) -> dict[ObjectRef, Any]:
        found: dict[ObjectRef, Any] = {}
        for kind, way in self._types.items():
            if way.list is None:
                continue
            for ref, content in self._listed(kind, way, way.list):
                if len(found) == self._scan_objects_max:
                    raise TooLarge(
                        f"{self.name} has more than {self._scan_objects_max} objects to scan",
                        hint="Raise scan_objects_max, list fewer types, or switch scan off.",
                        expected=self._scan_objects_max,
                    )
                found[ref] = content
        if not any(way.list for way in self._types.values()):
            raise Unsupported(f"{self.name} lists none of its types", hint="Give a type a `list`.")
        return found

    # --- seeing ----------------------------------------------------------------------------------

    def _way(self, ref: ObjectRef) -> Resource:
        require_own(self.name, ref)
        if ref.type not in self._types:
            raise Invalid(
                f"{ref} is not an object of {self.name}",
                hint=f"Its types are {', '.join(sorted(self._types))}.",
                object=str(ref),
            )
        return self._types[ref.type]

    def _look(self, ref: ObjectRef, way: Resource) -> Seen:
        call = Call(method="GET", path=way.read, query=way.query)
        answer = self._ask(ref, call, _names(ref), f"reading {ref}")
        if answer.status in way.absent_status:
            return Seen(Image.absent())
        self._require_success(answer, f"reading {ref}", str(ref))
        content = {"text": answer.text()} if way.text else self._json(answer, f"reading {ref}")
        return Seen(_image(content, way), _strong(answer.headers.get("etag")))

    def _listed(self, kind: str, way: Resource, listing: Listing) -> Iterator[tuple[ObjectRef, Any]]:
        anything = ObjectRef(system=self.name, type=kind, id="")
        for page in self._pages(anything, listing):
            for item in page:
                object_id = filled(listing.id, {"item": item}, anything)
                ref = ObjectRef(system=self.name, type=kind, id=str(object_id))
                image = _image(item, way, at="") if listing.whole else self._look(ref, way).image
                if image.state is ImageState.PRESENT:
                    yield ref, image.content

    def _pages(self, anything: ObjectRef, listing: Listing) -> Iterator[list[Any]]:
        doing = f"listing every {anything.type} of {self.name}"
        call: Call | None = _first_page(listing)
        asked: set[str] = set()
        while call is not None:
            if (spelled := f"{call.path} {call.query}") in asked:
                raise Unavailable(f"{doing}: the same page is asked for again", hint="See `list.paging`.")
            asked.add(spelled)
            answer = self._ask(anything, call, {}, doing)
            self._require_success(answer, doing, self.name)
            body = self._json(answer, doing)
            page = value_at(body, field_path(listing.items))
            if not isinstance(page, list):
                raise Unavailable(f"{doing}: there is no list at {listing.items!r}", hint="See `list.items`.")
            yield page
            call = _next_page(call, listing.paging, answer, body, page)

    # --- changing --------------------------------------------------------------------------------

    def _change(
        self, ref: ObjectRef, call: Call | None, task: str, seen: Seen, target: Image, way: Resource
    ) -> None:
        if call is None:
            raise _no_way(self.name, task, ref)
        wanted = changes(seen.image, target)
        if isinstance(seen.image.content, dict) and isinstance(target.content, dict):
            wanted |= dict.fromkeys(seen.image.content.keys() - target.content.keys(), way.unset)
        values = _names(ref) | {"content": revive(target.content), "changes": wanted}
        if seen.etag is not None:
            call = _with_headers(call, {"If-Match": seen.etag})
        elif task == "create" and call.method == "PUT":
            call = _with_headers(call, {"If-None-Match": "*"})
        answer = self._ask(ref, call, values, f"{task[:-1]}ing {ref}")
        if answer.status in (409, 412):
            raise Conflict(
                f"{ref} was changed meanwhile, or {self.name} refuses the change: {answer.shown()}",
                hint="Look at it and decide again.",
                object=str(ref),
                found=answer.status,
            )
        self._require_success(answer, f"{task[:-1]}ing {ref}", str(ref))

    def _ask(self, ref: ObjectRef, call: Call, values: Mapping[str, Any], doing: str) -> Answer:
        address = urljoin(self._base, filled_path(call.path, values, ref).lstrip("/"))
        if urlsplit(address)[:2] != urlsplit(self._base)[:2]:
            raise Unavailable(
                f"{doing}: {self.name} leads to another host",
                hint="Credentials are sent to its own host only.",
            )
        query = httpx.QueryParams(filled(call.query, values, ref))
        body = filled(call.body, values, ref)
        sent: dict[str, Any] = {}
        if isinstance(body, str):
            sent = {"content": body}
        elif call.form:
            sent = {"data": dict(_form(body))}
        elif body is not None:
            sent = {"json": body}
        try:
            with self._client.stream(
                call.method,
                httpx.URL(address).copy_merge_params(query),
                headers=filled(call.headers, values, ref),
                **sent,
            ) as answer:
                body = bytearray()
                for piece in answer.iter_bytes():
                    body += piece
                    if len(body) > ANSWER_BYTES_MAX:
                        raise TooLarge(
                            f"{self.name} answered more than {ANSWER_BYTES_MAX} bytes while {doing}",
                            hint="List smaller pages, or fewer fields.",
                        )
                following = answer.links.get("next", {}).get("url")
                return Answer(
                    str(answer.url),
                    answer.status_code,
                    answer.headers,
                    bytes(body),
                    answer.encoding,
                    following,
                )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unavailable(
                f"{self.name} failed while {doing}: {type(error).__name__}: {error}",
                hint="See that it can be reached from here; whether a change took hold is found out by reading again.",
                system=self.name,
            ) from error

    def _require_success(self, answer: Answer, doing: str, what: str) -> None:
        if 200 <= answer.status < 300:
            return
        hint = "See the map of its resources, and what the content has to be like."
        if answer.status in (401, 403):
            hint = "See the credential in `headers`, and what it may do."
        elif answer.status >= 500 or answer.status == 429:
            hint = "Try again when it is well."
        raise Unavailable(
            f"{self.name} answered {answer.status} while {doing}: {answer.shown()}",
            hint=hint,
            object=what,
            found=answer.status,
        )

    def _json(self, answer: Answer, doing: str) -> Any:
        try:
            return plain(read_json(answer.body))
        except ValueError as error:
            raise Unavailable(
                f"{self.name} answered no JSON while {doing}: {answer.shown()}",
                hint="See the path; a resource that is text is declared with `text: true`.",
            ) from error


def _no_way(name: str, task: str, ref: ObjectRef) -> Unsupported:
    return Unsupported(
        f"{name} has no way to {task} a {ref.type}",
        hint=f"Give the type a `{task}`, or undo by hand.",
        object=str(ref),
    )


def _names(ref: ObjectRef) -> dict[str, Any]:
    parts = {str(number): part for number, part in enumerate(ref.id.split("/"), start=1)}
    return {"id": ref.id, "part": parts}


def _image(content: Any, way: Resource, *, at: str | None = None) -> Image:
    found = value_at(content, field_path(way.at if at is None else at))
    if found is None or isinstance(found, Nothing):
        return Image.absent()
    if not isinstance(found, dict):
        return Image.present(found)
    if way.absent_when and all(
        same(value_at(found, field_path(name)), value) for name, value in way.absent_when.items()
    ):
        return Image.absent()
    seen = found.keys() if way.fields is None else found.keys() & set(way.fields)
    return Image.present({name: found[name] for name in found if name in seen and name not in way.ignore})


def _told(found: Any, name: str) -> str:
    value = value_at(found, field_path(name)) if name else None
    return "" if value is None or isinstance(value, Nothing) else str(value)


def _strong(etag: str | None) -> str | None:
    return None if etag is None or etag.startswith("W/") else etag


def _with_query(call: Call, more: dict[str, Any]) -> Call:
    return Call(method=call.method, path=call.path, query=call.query | more, headers=call.headers)


def _with_headers(call: Call, more: dict[str, str]) -> Call:
    return Call(
        method=call.method,
        path=call.path,
        query=call.query,
        body=call.body,
        form=call.form,
        headers=call.headers | more,
    )


def _first_page(listing: Listing) -> Call:
    paging = listing.paging
    numbered = paging is not None and paging.param and not paging.from_last
    first = {paging.param: paging.first} if paging is not None and numbered else {}
    return Call(method="GET", path=listing.path, query=listing.query | first)


def _next_page(call: Call, paging: Paging | None, answer: Answer, body: Any, page: list[Any]) -> Call | None:
    """Answer what asks for the page after this one, ``None`` when it is the last."""
    if paging is None or not page:
        return None
    if paging.next:
        address = answer.following if paging.next == "link" else value_at(body, field_path(paging.next))
        if not isinstance(address, str) or not address:
            return None
        return Call(method="GET", path=urljoin(answer.url, address))
    if paging.more and value_at(body, field_path(paging.more)) is not True:
        return None
    if not paging.from_last:
        return _with_query(call, {paging.param: call.query[paging.param] + 1})
    last = value_at(page[-1], field_path(paging.from_last))
    return None if last is None or isinstance(last, Nothing) else _with_query(call, {paging.param: last})


def _form(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Spell nested values as forms do: ``address[city]=…``, ``lines[0]=…``."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _form(inner, f"{name}[{key}]" if name else str(key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _form(inner, f"{name}[{number}]")
    elif isinstance(value, bool):
        yield name, "true" if value else "false"
    else:
        yield name, "" if value is None else str(value)
