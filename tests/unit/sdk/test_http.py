"""Contract of the HTTP desks: what goes out, what comes back, and which error each failure becomes; the same for both.

Answers come from a function in place of a network (``httpx.MockTransport``); everything else is the real client.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from stopwork.control.protocol import AskPermit, FinishRun, Heartbeat, PermitAnswer, Request
from stopwork.kernel import errors as e
from stopwork.ledger.words import RunStatus, Verdict
from stopwork.sdk import http
from stopwork.sdk.http import AsyncHttpDesk, HttpDesk

Handler = Callable[[httpx.Request], httpx.Response]
Send = Callable[[Handler, Request[Any]], Any]
URL, TOKEN = "https://stopwork.test", "sw_secret"
ASK = AskPermit(call="call_1", run="run_1", tool="crm.read", args={"id": "acme"})
PERMIT = {"call": "call_1", "verdict": "allow", "would": "allow", "args": {"id": "acme"}}


def blocking(handler: Handler, request: Request[Any]) -> Any:
    desk = HttpDesk(URL, TOKEN, transport=httpx.MockTransport(handler))
    try:
        return desk.send(request)
    finally:
        desk.close()


def on_a_loop(handler: Handler, request: Request[Any]) -> Any:
    async def ask() -> Any:
        desk = AsyncHttpDesk(URL, TOKEN, transport=httpx.MockTransport(handler))
        try:
            return await desk.send(request)
        finally:
            await desk.aclose()

    return asyncio.run(ask())


@pytest.fixture(params=[blocking, on_a_loop], ids=["blocking", "on a loop"])
def send(request: pytest.FixtureRequest) -> Send:
    chosen: Send = request.param
    return chosen


def answering(status: int, body: Any = None, *, text: str | None = None) -> Handler:
    content = text.encode() if text is not None else json.dumps(body).encode()
    return lambda _request: httpx.Response(status, content=content)


def test_a_request_goes_to_its_address_with_the_token(send: Send) -> None:
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json=PERMIT)

    answer = send(handler, ASK)
    assert isinstance(answer, PermitAnswer)
    assert answer.verdict is Verdict.ALLOW
    [request] = seen
    assert str(request.url) == "https://stopwork.test/v1/permits"
    assert request.headers["authorization"] == "Bearer sw_secret"
    assert json.loads(request.content) == {
        "call": "call_1",
        "run": "run_1",
        "tool": "crm.read",
        "args": {"id": "acme"},
    }


def test_an_empty_answer_is_enough_where_nothing_is_said(send: Send) -> None:
    send(answering(204, text=""), FinishRun(run="run_1", status=RunStatus.SUCCEEDED))


PROBLEMS: dict[str, tuple[int, Any, type[e.StopworkError]]] = {
    "its own code": (409, {"code": "conflict", "detail": "taken"}, e.Conflict),
    "its own code, whatever the status": (500, {"code": "not_found", "detail": "gone"}, e.NotFound),
    "a code of a newer server": (409, {"code": "brand_new", "detail": "taken"}, e.Conflict),
    "no token": (401, {}, e.Unauthenticated),
    "not allowed": (403, {}, e.Denied),
    "nothing there": (404, {}, e.NotFound),
    "too much": (413, {}, e.TooLarge),
    "too often": (429, {}, e.Unavailable),
    "a proxy in between": (502, {}, e.Unavailable),
    "not now": (503, {}, e.Unavailable),
    "a fault": (500, {}, e.Internal),
    "a redirect": (307, {}, e.Internal),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_problem_becomes_the_error_it_was(send: Send, name: str) -> None:
    status, body, kind = PROBLEMS[name]
    with pytest.raises(e.StopworkError) as raised:
        send(answering(status, body), ASK)
    assert type(raised.value) is kind


def test_an_error_keeps_what_it_was_told(send: Send) -> None:
    problem = {
        "code": "conflict",
        "detail": "call_1 has ended",
        "hint": "A call ends once.",
        "found": "failed",
    }
    with pytest.raises(e.Conflict) as raised:
        send(answering(409, problem), ASK)
    assert (raised.value.detail, raised.value.hint, raised.value.fields) == (
        "call_1 has ended",
        "A call ends once.",
        {"found": "failed"},
    )


@pytest.mark.parametrize("page", ["<html>sign in</html>", "[]", "", '{"detail": 7}'])
def test_a_page_that_is_no_problem_document_is_still_an_error(send: Send, page: str) -> None:
    with pytest.raises(e.Unavailable):
        send(answering(503, text=page), ASK)


def test_an_answer_that_is_none_is_an_error(send: Send) -> None:
    with pytest.raises(e.Internal, match="cannot be read"):
        send(answering(200, text="<html>welcome</html>"), ASK)


@pytest.mark.parametrize(
    "failure",
    [httpx.ConnectError, httpx.ReadTimeout, httpx.RemoteProtocolError, httpx.PoolTimeout],
)
def test_no_answer_is_unavailable(send: Send, failure: type[httpx.TransportError]) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        raise failure("gone", request=request)

    with pytest.raises(e.Unavailable, match=r"stopwork\.test"):
        send(handler, ASK)


def test_an_endless_answer_is_cut_off(send: Send) -> None:
    with pytest.raises(e.Internal, match="bytes"):
        send(answering(200, text=" " * (http.MAX_ANSWER_BYTES + 1)), ASK)


def test_a_request_that_is_too_large_is_not_sent(send: Send) -> None:
    huge = AskPermit(call="call_1", run="run_1", tool="t", args={"text": "x" * (http.MAX_REQUEST_BYTES + 1)})
    with pytest.raises(e.TooLarge):
        send(answering(200, PERMIT), huge)


def test_an_id_from_elsewhere_cannot_bend_the_address(send: Send) -> None:
    with pytest.raises(e.Invalid):
        send(answering(200, {"epoch": 1}), Heartbeat(point="../../admin", epoch=0))


@pytest.mark.parametrize("url", ["stopwork.test", "ftp://stopwork.test", "https://", ""])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(e.Invalid, match="address"):
        HttpDesk(url, TOKEN)


@pytest.mark.parametrize("token", ["", "two words", "line\nbreak", "schlüssel"])
def test_what_is_no_token_is_refused_and_not_shown(token: str) -> None:
    with pytest.raises(e.Invalid) as raised:
        HttpDesk(URL, token)
    assert not token or token not in str(raised.value)


def test_the_token_is_never_shown() -> None:
    assert TOKEN not in repr(HttpDesk(URL, TOKEN)) + repr(AsyncHttpDesk(URL, TOKEN))


def test_one_desk_serves_several_event_loops_one_after_the_other() -> None:
    desk = AsyncHttpDesk(URL, TOKEN, transport=httpx.MockTransport(answering(200, PERMIT)))
    for _ in range(2):
        answer = asyncio.run(desk.send(ASK))
        assert answer.verdict is Verdict.ALLOW
