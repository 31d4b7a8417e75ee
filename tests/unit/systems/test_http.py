"""A map of an HTTP interface: pages of every kind are followed to their end, what is sent is what the map says, nothing is made up.

Whatever the place answers that is no object is an error that says what to look at; credentials go to no other host.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec
import pytest

from stopwork.incidents.images import same_image
from stopwork.kernel.errors import Conflict, Invalid, TooLarge, Unavailable
from stopwork.ledger.records import Image, ObjectRef
from stopwork.systems import http
from stopwork.systems.base import Unsupported
from stopwork.systems.http import HttpSystem, Resource

Route = Callable[["Asked"], tuple[int, dict[str, str], Any]]


class Asked(msgspec.Struct):
    """A request as the place got it."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


class Place:
    """A server of which each test says what it answers; it remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.route: Route = lambda _: (404, {}, None)
        place = self

        class Handler(BaseHTTPRequestHandler):
            def _respond(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                address = urlsplit(self.path)
                headers = {name.lower(): value for name, value in self.headers.items()}
                asked = Asked(self.command, address.path, dict(parse_qsl(address.query)), headers, body)
                place.asked.append(asked)
                status, more, content = place.route(asked)
                data = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(status)
                for name, value in more.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = _respond  # noqa: N815 - the server's names

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def place() -> Iterator[Place]:
    place = Place()
    yield place
    place.close()


def system(place: Place, base: str = "", **resource: Any) -> HttpSystem:
    way = msgspec.convert({"read": "/things/{id}", **resource}, Resource)
    return HttpSystem(
        "place", place.url + base, {"thing": way}, headers={"X-Key": "k"}, scan="list" in resource
    )


def thing(object_id: str = "7") -> ObjectRef:
    return ObjectRef(system="place", type="thing", id=object_id)


def always(status: int, content: Any = None, **headers: str) -> Route:
    return lambda _: (status, headers, content)


ALL = [{"id": number, "name": f"n{number}"} for number in range(5)]


def pages(asked: Asked, place_url: str) -> tuple[int, dict[str, str], Any]:
    """Two at a time, in the five ways in which such places do it."""
    at = {
        "/by-number": (int(asked.query.get("page", 1)) - 1) * 2,
        "/by-last": int(asked.query.get("after", -1)) + 1,
    }.get(asked.path, int(asked.query.get("offset", 0)))
    found, more = ALL[at : at + 2], at + 2 < len(ALL)
    following = f"{asked.path}?offset={at + 2}" if more else None
    headers = {"Link": f'<{place_url}{following}>; rel="next"'} if more else {}
    return 200, headers, {"found": found, "more": more, "next": following}


@pytest.mark.parametrize(
    ("path", "paging"),
    [
        ("/by-link", {"next": "link"}),
        ("/by-next", {"next": "next"}),
        ("/by-number", {"param": "page"}),
        ("/by-last", {"param": "after", "from_last": "id"}),
        ("/by-last", {"param": "after", "from_last": "id", "more": "more"}),
    ],
)
def test_every_page_of_a_list_is_seen(place: Place, path: str, paging: dict[str, Any]) -> None:
    place.route = lambda asked: pages(asked, place.url)
    found = system(place, list={"path": path, "items": "found", "paging": paging}).scan()
    assert {ref.id: content for ref, content in found.items()} == {str(each["id"]): each for each in ALL}


def test_a_list_in_one_page_needs_no_paging(place: Place) -> None:
    place.route = always(200, ALL)
    assert len(system(place, list={"path": "/things", "id": "x/{item.id}"}).scan()) == 5


def test_a_listed_object_that_does_not_show_all_is_read(place: Place) -> None:
    place.route = lambda asked: (200, {}, [{"id": 7}] if asked.path == "/things" else {"id": 7, "name": "n"})
    found = system(place, list={"path": "/things", "whole": False}).scan()
    assert found == {thing(): {"id": 7, "name": "n"}}


def test_pages_that_go_round_are_left(place: Place) -> None:
    place.route = always(200, {"found": ALL, "next": "/again"})
    with pytest.raises(Unavailable, match="the same page is asked for again"):
        system(place, list={"path": "/x", "items": "found", "paging": {"next": "next"}}).scan()


def test_pages_of_another_host_are_not_asked_for(place: Place) -> None:
    place.route = always(200, {"found": ALL, "next": "http://evil.test/x"})
    with pytest.raises(Unavailable, match="another host"):
        system(place, list={"path": "/x", "items": "found", "paging": {"next": "next"}}).scan()


def test_what_is_no_list_is_said(place: Place) -> None:
    place.route = always(200, {"found": 1})
    with pytest.raises(Unavailable, match="no list at 'found'"):
        system(place, list={"path": "/x", "items": "found"}).scan()
    with pytest.raises(Unsupported, match="lists none"):
        system(place).scan()


def test_a_place_below_a_path_is_asked_there(place: Place) -> None:
    place.route = always(200, {"id": 7})
    system(place, "/api/v2").read(thing("a b/c"))
    assert place.asked[0].path == "/api/v2/things/a%20b%2Fc"
    assert place.asked[0].headers["x-key"] == "k"


def test_parts_of_an_id_stand_in_the_path(place: Place) -> None:
    place.route = always(200, {"id": 7})
    system(place, read="/repos/{part.1}/{part.2}/issues/{part.3}").read(thing("acme/web/7"))
    assert place.asked[0].path == "/repos/acme/web/issues/7"
    with pytest.raises(Invalid, match="no value for place"):
        system(place, read="/repos/{part.1}/{part.2}/issues/{part.3}").read(thing("acme"))


@pytest.mark.parametrize(
    ("read", "object_id", "path"),
    [
        ("{id}", "7", "/api/7"),
        ("{id}", "a/b", "/api/a%2Fb"),
        ("{id}", "7?expand=secrets", "/api/7%3Fexpand%3Dsecrets"),
        ("{id}", "http://other.test/7", "/api/http%3A%2F%2Fother.test%2F7"),
        ("{id}", "%2e%2e", "/api/%252e%252e"),
        ("things/{id}/notes", "a..b", "/api/things/a..b/notes"),
        ("{part.1}{part.2}", "7/#8", "/api/7%238"),
    ],
)
def test_a_value_stays_where_it_stands_in_a_path(place: Place, read: str, object_id: str, path: str) -> None:
    place.route = always(200, {"id": 7})
    system(place, "/api", read=read).read(thing(object_id))
    assert [(asked.path, asked.query) for asked in place.asked] == [(path, {})]


@pytest.mark.parametrize("read", ["{id}", "things/{id}", "things/{id}/notes"])
@pytest.mark.parametrize("object_id", ["..", ".", "../../admin/keys", "7/../8", "..\\admin", "7/."])
def test_an_id_that_leads_out_of_its_place_is_refused(place: Place, read: str, object_id: str) -> None:
    with pytest.raises(Invalid, match="leads out of its place"):
        system(place, "/api", read=read).read(thing(object_id))
    assert place.asked == []


def test_only_what_belongs_to_the_object_is_seen(place: Place) -> None:
    place.route = always(200, {"data": {"id": 7, "name": "n", "seen_at": 1}})
    assert system(place, at="data", ignore=["seen_at"]).read(thing()).content == {"id": 7, "name": "n"}
    assert system(place, at="data", fields=["name"]).read(thing()).content == {"name": "n"}


@pytest.mark.parametrize(
    ("status", "content"), [(404, None), (410, "gone"), (200, {"deleted": True, "id": 7}), (200, None)]
)
def test_what_is_not_there_is_absent(place: Place, status: int, content: Any) -> None:
    place.route = always(status, content)
    assert system(place, absent_when={"deleted": True}).read(thing()) == Image.absent()


@pytest.mark.parametrize(
    ("status", "content", "says"),
    [
        (500, "oops", "answered 500"),
        (401, "who are you", "answered 401"),
        (302, None, "answered 302"),
        (200, b"<html>", "no JSON"),
        (200, b"\xff\xfe", "no JSON"),
        (400, "bad", "answered 400"),
    ],
)
def test_an_answer_that_is_no_object_is_an_error(place: Place, status: int, content: Any, says: str) -> None:
    place.route = always(status, content, Location="http://evil.test/")
    with pytest.raises(Unavailable, match=says):
        system(place).read(thing())
    assert len(place.asked) == 1


def test_an_answer_is_bounded(place: Place) -> None:
    place.route = always(200, b" " * (http.ANSWER_BYTES_MAX + 1))
    with pytest.raises(TooLarge):
        system(place).read(thing())


def test_nobody_there_is_said() -> None:
    nobody = HttpSystem("place", "http://127.0.0.1:1", {"thing": Resource(read="/{id}")})
    with pytest.raises(Unavailable, match="ConnectError"):
        nobody.read(thing())


@pytest.mark.parametrize("url", ["ftp://x", "acme.test", "http://", "/path"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(Invalid, match="no address"):
        HttpSystem("place", url, {})


BEFORE = {"name": "old", "tags": ["a"], "deep": {"a": True}}
NOW = {"name": "new", "tags": ["a"], "extra": 1, "deep": {"a": None}}


@pytest.mark.parametrize(
    ("update", "sent"),
    [
        ({"body": "{content}"}, json.dumps(BEFORE, separators=(",", ":"))),
        ({"body": {"thing": "{changes}"}}, '{"thing":{"name":"old","deep":{"a":true},"extra":null}}'),
        ({"body": "{changes}", "form": True}, "name=old&deep%5Ba%5D=true&extra="),
        ({"body": "name is {content.name}"}, "name is old"),
    ],
)
def test_a_change_is_sent_as_the_map_says(place: Place, update: dict[str, Any], sent: str) -> None:
    place.route = lambda asked: (200, {"ETag": '"v1"'}, NOW if asked.method == "GET" else None)
    way = system(place, update={"method": "PATCH", "path": "/things/{id}", **update})
    way.replace(thing(), Image.present(NOW), Image.present(BEFORE))
    assert [asked.method for asked in place.asked] == ["GET", "PATCH"]
    assert place.asked[1].headers["if-match"] == '"v1"'
    assert place.asked[1].body.decode() == sent


def test_a_weak_etag_is_no_condition(place: Place) -> None:
    place.route = lambda asked: (200, {"ETag": 'W/"v1"'}, NOW if asked.method == "GET" else None)
    way = system(place, delete={"method": "DELETE", "path": "/things/{id}"})
    way.replace(thing(), Image.present(NOW), Image.absent())
    assert "if-match" not in place.asked[1].headers


@pytest.mark.parametrize("status", [409, 412])
def test_a_refusal_for_a_change_in_between_is_a_conflict(place: Place, status: int) -> None:
    place.route = lambda asked: (200, {}, NOW) if asked.method == "GET" else (status, {}, "changed")
    way = system(place, delete={"method": "DELETE", "path": "/things/{id}"})
    with pytest.raises(Conflict) as caught:
        way.replace(thing(), Image.present(NOW), Image.absent())
    assert caught.value.fields["object"] == "place/thing/7"


def test_what_the_map_has_no_way_for_is_said(place: Place) -> None:
    place.route = always(200, NOW)
    with pytest.raises(Unsupported, match="no way to update a thing"):
        system(place).replace(thing(), Image.present(NOW), Image.present(BEFORE))
    with pytest.raises(Invalid, match="not an object of place"):
        system(place).read(ObjectRef(system="place", type="other", id="1"))


def test_numbers_and_odd_text_stay_what_they_are(place: Place) -> None:
    odd = {"big": 2**60, "float": 0.1 + 0.2, "text": "\u2028 ü \\ \" '", "null": None}
    place.route = always(200, odd)
    seen = system(place).read(thing())
    way = system(place, create={"method": "POST", "path": "/things", "body": "{content}"})
    place.route = lambda asked: (404 if asked.method == "GET" else 201, {}, None)
    way.replace(thing(), Image.absent(), seen)
    assert json.loads(place.asked[-1].body) == odd
    assert same_image(seen, seen)


def test_what_no_request_can_put_there_is_refused_before_anything_is_approved() -> None:
    way = Resource(read="/{id}", update=http.Call(method="PATCH", path="/{id}", body="{changes}"))
    system = HttpSystem("desk", "http://127.0.0.1:9", {"ticket": way})
    ref = ObjectRef(system="desk", type="ticket", id="7")
    assert system.unable == {"ticket": ("create", "delete")}
    system.check(ref, Image.present({"state": "open"}))
    with pytest.raises(Unsupported, match="no way to delete a ticket"):
        system.check(ref, Image.absent())
