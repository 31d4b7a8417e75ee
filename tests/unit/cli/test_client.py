"""Contract: rows of the API in, plain JSON or one of the known errors out; a download is whole or not there."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from stopwork.cli.client import Server
from stopwork.cli.settings import Login
from stopwork.kernel import errors

URL = "http://127.0.0.1:1"
Answering = Callable[[httpx.Request], httpx.Response]


def server(answer: Answering) -> Server:
    return Server(Login(url=URL, token="sw_token"), transport=httpx.MockTransport(answer))


def recording(seen: list[httpx.Request], value: Any = None) -> Answering:
    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json=value or {})

    return answer


def test_names_fill_the_path_and_the_rest_is_the_query() -> None:
    seen: list[httpx.Request] = []
    found = server(recording(seen, [1])).get(
        "/v1/runs/{run}/steps", run="a/../b", limit=5, after=None, active=True
    )
    assert found == [1]
    assert seen[0].url.raw_path == b"/v1/runs/a%2F..%2Fb/steps?limit=5&active=true"
    assert seen[0].headers["authorization"] == "Bearer sw_token"


def test_a_name_that_is_a_path_keeps_its_slashes() -> None:
    seen: list[httpx.Request] = []
    server(recording(seen)).post("/v1/containment/{item:path}", {"state": "done"}, item="AI-INC-1/secrets/1")
    assert seen[0].url.path == "/v1/containment/AI-INC-1/secrets/1"


def test_what_is_none_is_left_out_of_a_body() -> None:
    seen: list[httpx.Request] = []
    server(recording(seen)).post("/v1/holds", {"reason": "x", "incident": None, "note": ""})
    assert json.loads(seen[0].content) == {"reason": "x", "note": ""}


@pytest.mark.parametrize(
    "kind",
    [errors.Malformed, errors.NotFound, errors.Conflict, errors.Denied, errors.Tampered, errors.Internal],
)
def test_a_problem_becomes_the_error_it_was(kind: type[errors.StopworkError]) -> None:
    told = kind("so it is", hint="do that", found="x")
    refusing = server(lambda _: httpx.Response(told.status, json=told.problem()))
    with pytest.raises(kind) as caught:
        refusing.get("/v1/me")
    assert (caught.value.detail, caught.value.hint, caught.value.fields) == (
        "so it is",
        "do that",
        {"found": "x"},
    )


@pytest.mark.parametrize(
    ("status", "kind"),
    [(404, errors.NotFound), (403, errors.Denied), (502, errors.Unavailable), (418, errors.Internal)],
)
def test_an_answer_of_something_else_is_told_by_its_status(
    status: int, kind: type[errors.StopworkError]
) -> None:
    with pytest.raises(kind, match=f"{URL} answered with status {status}"):
        server(lambda _: httpx.Response(status, text="<html>proxy</html>")).get("/v1/me")


def test_a_page_instead_of_json_is_no_answer() -> None:
    with pytest.raises(errors.Internal, match="not JSON"):
        server(lambda _: httpx.Response(200, text="<html>")).get("/v1/me")


def test_a_server_that_is_not_there_is_unavailable_and_says_how_to_start_one() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    with pytest.raises(errors.Unavailable, match="stopwork up"):
        server(refuse).get("/v1/me")


@pytest.mark.parametrize("url", ["stopwork.acme.test", "ftp://acme.test", "http://"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(errors.Invalid, match="is not the address"):
        Server(Login(url=url, token="sw_token"))


def test_a_download_is_whole(tmp_path: Path) -> None:
    size_bytes = server(lambda _: httpx.Response(200, content=b"zip" * 1000)).download(
        "/v1/incidents/{incident}/bundle", tmp_path / "out.zip", incident="AI-INC-1"
    )
    assert size_bytes == 3000
    assert (tmp_path / "out.zip").read_bytes() == b"zip" * 1000


def test_a_refused_or_broken_download_leaves_what_was_there(tmp_path: Path) -> None:
    def break_off(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("gone", request=request)

    (tmp_path / "out.zip").write_text("earlier")
    missing = errors.NotFound("no bundle yet")
    for answer, kind in (
        (lambda _: httpx.Response(404, json=missing.problem()), errors.NotFound),
        (break_off, errors.Unavailable),
    ):
        with pytest.raises(kind):
            server(answer).download("/v1/incidents/x/bundle", tmp_path / "out.zip")
        assert [each.name for each in tmp_path.iterdir()] == ["out.zip"]
        assert (tmp_path / "out.zip").read_text() == "earlier"


def test_a_download_into_no_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(errors.Unavailable, match="cannot be written"):
        server(lambda _: httpx.Response(200, content=b"zip")).download("/v1/x", tmp_path / "no" / "out.zip")
