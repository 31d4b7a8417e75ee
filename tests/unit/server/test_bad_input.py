"""Contract: whatever is wrong with a request, the answer is a problem document that says what was found and what to do next.

Nothing of a refused request is recorded, and the server answers the next one.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

import httpx
import pytest
from starlette.requests import Request

from stopwork.kernel.canonical import revive
from stopwork.kernel.clock import ManualClock
from stopwork.server.api.endpoint import MAX_PAGE
from stopwork.server.api.routing import read_body
from stopwork.server.problems import TooSlow
from tests.support.office import AGENT, DANA, LEE, MANIFEST
from tests.unit.server.house import OTHER, House, is_problem

DEEP: Final = b"[" * 100_000 + b"]" * 100_000
RUN: Final = {"run": "r-1", "workflow": "renewals", "trigger": "manual", "trigger_id": "t"}


def refused(shared: House, answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    problem = is_problem(answer)
    assert (answer.status_code, problem["code"]) == (status, code), problem
    assert shared.get("/v1/me")["principal"]["id"] == LEE.id
    return problem


# --- addresses, methods, queries -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/nothing", 404, "not_found"),
        ("GET", "/v1/runs/", 404, "not_found"),
        ("GET", "/v1/runs/none", 404, "not_found"),
        ("GET", "/v1/runs/%00", 404, "not_found"),
        ("GET", "/v1/runs/%ff%fe", 404, "not_found"),
        ("GET", "/v1/runs/..%2f..%2fetc%2fpasswd", 404, "not_found"),
        ("GET", "/v1/incidents/none/bundle", 404, "not_found"),
        ("GET", "/v1/incidents/none/report", 404, "not_found"),
        ("GET", "/v1/incidents/none/timeline", 404, "not_found"),
        ("GET", "/v1/incidents/none/messages", 404, "not_found"),
        ("GET", "/v1/incidents/none/containment", 404, "not_found"),
        ("GET", "/v1/incidents/none/audit", 404, "not_found"),
        ("GET", "/v1/incidents/none/return", 404, "not_found"),
        ("GET", "/v1/plans/none/items", 404, "not_found"),
        ("GET", "/v1/runs/none/steps", 404, "not_found"),
        ("GET", "/v1/calls/none/effects", 404, "not_found"),
        ("GET", "/v1/workflows/none/versions", 404, "not_found"),
        ("GET", "/static/nothing.css", 404, "not_found"),
        ("GET", "/static/%2e%2e/app.py", 404, "not_found"),
        ("PATCH", "/v1/runs", 405, "method_not_allowed"),
        ("GET", "/v1/permits", 405, "method_not_allowed"),
        ("POST", "/v1/me", 405, "method_not_allowed"),
        ("POST", "/static/stopwork.css", 405, "method_not_allowed"),
        ("GET", "/v1/runs?colour=red", 422, "invalid"),
        ("GET", "/v1/me?colour=red", 422, "invalid"),
        ("GET", "/v1/runs?limit=2&limit=3", 422, "invalid"),
        ("GET", "/v1/runs?limit=0", 422, "invalid"),
        ("GET", "/v1/runs?limit=many", 422, "invalid"),
        ("GET", f"/v1/runs?limit={MAX_PAGE + 1}", 422, "invalid"),
        ("GET", "/v1/runs?status=tired", 422, "invalid"),
        ("GET", "/v1/runs?after=none", 422, "invalid"),
        ("GET", "/v1/journal?limit=-1", 422, "invalid"),
        ("GET", f"/v1/journal?after={'9' * 400}", 422, "invalid"),
        ("GET", "/v1/stream?after=%C2%B2", 422, "invalid"),
        ("GET", f"/v1/stream?after={'9' * 5000}", 422, "invalid"),
        ("GET", f"/v1/stream?after={2**53}", 422, "invalid"),
        ("GET", "/v1/incidents/none/report?format=pdf", 422, "invalid"),
    ],
)
def test_an_address_that_cannot_be_answered(
    shared: House, method: str, path: str, status: int, code: str
) -> None:
    refused(shared, shared.as_(LEE).request(method, path), status, code)


@pytest.mark.parametrize("path", ["plan", "audit", "seal", "raise", "close", "messages", "containment"])
def test_what_is_asked_of_an_incident_that_does_not_exist(shared: House, path: str) -> None:
    body = {"reason": "x"} if path == "close" else {}
    refused(shared, shared.as_(DANA).post(f"/v1/incidents/none/{path}", json=body), 404, "not_found")


def test_a_wrong_method_is_told_the_right_ones(shared: House) -> None:
    answer = shared.as_(LEE).put("/v1/runs")
    assert answer.headers["allow"] == "GET, HEAD, POST"
    assert "GET, HEAD, POST" in is_problem(answer)["hint"]


def test_an_unknown_query_parameter_is_told_the_known_ones(shared: House) -> None:
    problem = is_problem(shared.as_(LEE).get("/v1/holds?incdent=x"))
    assert problem["field"] == "incdent"
    assert "incident" in problem["hint"]


# --- bodies --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "malformed"),
        (b"{", 400, "malformed"),
        (b"{'run': 1}", 400, "malformed"),
        (b'{"run": "\xff\xfe"}', 400, "malformed"),
        (b'{"run": "\x00"}', 400, "malformed"),
        (b'{"run": "\\ud800"}', 400, "malformed"),
        (b'{"run": NaN}', 400, "malformed"),
        (b'{"runtime": {"a": ' + DEEP + b"}}", 400, "malformed"),
        (b"[]", 422, "invalid"),
        (b"null", 422, "invalid"),
        (json.dumps(RUN | {"colour": "red"}).encode(), 422, "invalid"),
        (json.dumps({"run": "r-1"}).encode(), 422, "invalid"),
        (json.dumps(RUN | {"run": "../r"}).encode(), 422, "invalid"),
        (json.dumps(RUN | {"run": ""}).encode(), 422, "invalid"),
        (json.dumps(RUN | {"attempt": 0}).encode(), 422, "invalid"),
        (json.dumps(RUN | {"attempt": 10**30}).encode(), 422, "invalid"),
        (json.dumps(RUN | {"attempt": 1.5}).encode(), 422, "invalid"),
        (json.dumps(RUN | {"workflow": "none"}).encode(), 404, "not_found"),
        (json.dumps(RUN | {"runtime": {"a": 10**3000}}).encode(), 413, "too_large"),
        (json.dumps(RUN | {"runtime": {"a": json.loads("[" * 90 + "]" * 90)}}).encode(), 413, "too_large"),
    ],
)
def test_a_body_that_cannot_be_used(shared: House, body: bytes, status: int, code: str) -> None:
    before = shared.entries_of_others()
    answer = shared.as_(DANA).post("/v1/runs", content=body, headers={"content-type": "application/json"})
    refused(shared, answer, status, code)
    assert shared.entries_of_others() == before


@pytest.mark.parametrize(
    "media_type",
    ["text/plain", "application/x-www-form-urlencoded", "application/xml", "application/jsonp", "x"],
)
def test_a_body_in_another_format(shared: House, media_type: str) -> None:
    answer = shared.as_(DANA).post("/v1/runs", content=b"{}", headers={"content-type": media_type})
    assert "application/json" in refused(shared, answer, 415, "unsupported_media_type")["hint"]


@pytest.mark.parametrize("media_type", ["application/json; charset=utf-8", "Application/JSON"])
def test_json_by_its_other_spellings(shared: House, media_type: str) -> None:
    body = json.dumps(
        {"scope": {"kind": "tool", "name": "pay.invoice", "workflow": "invoices"}, "reason": "a test"}
    )
    answer = shared.as_(LEE).post("/v1/holds", content=body, headers={"content-type": media_type})
    assert answer.status_code == 201


def test_a_body_over_the_limit_is_refused_by_its_declared_length(shared: House) -> None:
    answer = shared.as_(LEE).post("/v1/incidents", json={"workflow": "x" * 1024 * 1024})
    refused(shared, answer, 413, "too_large")


def test_a_body_over_the_limit_is_refused_while_it_comes_in_chunks(shared: House) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(64):
            yield b" " * 32 * 1024

    answer = shared.client(authorization=f"Bearer {shared.tokens[LEE.id]}").post(
        "/v1/incidents", content=chunks(), headers={"content-type": "application/json"}
    )
    refused(shared, answer, 413, "too_large")


@pytest.mark.parametrize("length", ["-1", "many", "9" * 5000, "\u00b2"])
def test_a_length_that_is_none_does_no_harm(shared: House, length: str) -> None:
    host, _, port = shared.url.removeprefix("http://").partition(":")
    token = shared.tokens[LEE.id]
    with socket.create_connection((host, int(port)), timeout=10) as wire:
        head = f"POST /v1/incidents HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n"
        wire.sendall(f"{head}Content-Length: {length}\r\n\r\n{{}}".encode("latin-1"))
        said = wire.recv(4096)
    assert said.split(b" ")[1].startswith(b"4"), said
    assert b"Traceback" not in said
    assert shared.get("/v1/me")


def test_a_body_that_stays_away_is_not_waited_for(shared: House) -> None:
    host, _, port = shared.url.removeprefix("http://").partition(":")
    token = shared.tokens[LEE.id]
    with socket.create_connection((host, int(port)), timeout=10) as wire:
        head = f"POST /v1/incidents HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n"
        wire.sendall(f"{head}Content-Length: 100\r\n\r\n{{".encode())
    assert shared.get("/v1/me"), "one that hangs up in the middle harms nobody"


async def _nothing() -> dict[str, Any]:
    await asyncio.sleep(60)
    return {}


def test_a_slow_body_is_given_up() -> None:
    request = Request({"type": "http", "method": "POST", "headers": []}, _nothing)
    with pytest.raises(TooSlow, match="did not arrive within"):
        asyncio.run(read_body(request, 100, within_s=0.05))


# --- what the guard may ask ----------------------------------------------------------------------


def test_a_tool_that_is_not_declared_is_denied_with_its_reason(shared: House) -> None:
    shared.post("/v1/runs", who=AGENT, **RUN)
    asked = {"call": "c-1", "run": "r-1", "tool": "crm.delete_everything", "args": {}}
    found = shared.post("/v1/permits", who=AGENT, **asked)
    assert found["verdict"] == "deny"
    assert "crm.delete_everything" in found["reasons"][0]["text"]


@pytest.mark.parametrize("number", [2**53, -(2**63), 2**64, 10**300, 1e300, 5e-324])
def test_a_number_of_any_size_in_arguments_is_recorded_and_can_be_read_again(
    shared: House, number: float
) -> None:
    name = f"big-{abs(hash(number))}"
    shared.post("/v1/runs", who=AGENT, **RUN)
    shared.post("/v1/permits", who=AGENT, call=name, run="r-1", tool="crm.read_account", args={"n": number})
    assert revive(shared.get(f"/v1/calls/{name}")["args"]) == {"n": number}
    shared.office.crew.catch_up()
    assert shared.get("/v1/health")["ok"]


def test_words_with_odd_characters_come_back_as_they_went_in(shared: House) -> None:
    words = "a\x00b \u202e \U0001f680 <b> \r\n\r\nSet-Cookie: x=1"
    hold = shared.post(
        "/v1/holds", scope={"kind": "destination", "name": "t", "workflow": "invoices"}, reason=words
    )
    answer = shared.as_(LEE).get(f"/v1/holds/{hold['hold']['id']}")
    assert answer.json()["hold"]["reason"] == words
    assert "set-cookie" not in answer.headers


# --- manifests -----------------------------------------------------------------------------------


def test_a_wrong_manifest_lists_every_problem_with_its_line_and_field(shared: House) -> None:
    text = MANIFEST.replace("risk: high", "risk: enormous").replace("triggers:", "trigers:")
    for path in ("/v1/manifests/preview", "/v1/manifests"):
        answer = shared.as_(LEE).post(path, json={"text": text, "filename": "renewals.yaml"})
        problem = refused(shared, answer, 422, "invalid")
        found = {each["field"]: each for each in problem["problems"]}
        assert found.keys() == {"trigers", "tools[mail.send].risk"}
        for each in found.values():
            assert each["file"] == "renewals.yaml"
            assert text.splitlines()[each["line"] - 1].strip().startswith(("trigers:", "risk: enormous"))
            assert each["message"]
            assert each["expected"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\x00",
        "- a\n- b",
        "a: *b",
        "[" * 10_000,
        "&a [*a]",
        "workflow: [",
        "workflow: !!python/object:os.system x",
    ],
)
def test_a_text_that_is_no_manifest(shared: House, text: str) -> None:
    before = shared.entries_of_others()
    answer = shared.as_(LEE).post("/v1/manifests", json={"text": text, "reason": "a test"})
    refused(shared, answer, 422, "invalid")
    assert shared.entries_of_others() == before


# --- who asks ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer none", "Basic bGVlOmxlZQ==", "Bearer " + "x" * 10_000, "Bearer \xe9"],
)
def test_a_token_that_is_none(shared: House, header: str | None) -> None:
    headers = {} if header is None else {b"authorization": header.encode("latin-1")}
    answer = shared.client().get("/v1/me", headers=headers)
    refused(shared, answer, 401, "unauthenticated")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_a_token_that_ran_out(shared: House) -> None:
    token = shared.token(DANA, hours=1)
    bearer = {"authorization": f"Bearer {token}"}
    assert shared.client().get("/v1/me", headers=bearer).is_success
    clock = shared.office.clock
    assert isinstance(clock, ManualClock)
    clock.advance(timedelta(hours=1))
    refused(shared, shared.client().get("/v1/me", headers=bearer), 401, "unauthenticated")


def test_a_token_that_was_revoked(shared: House) -> None:
    made = shared.post("/v1/tokens", who=DANA, kind="person", id=DANA.id)
    bearer = {"authorization": f"Bearer {made['secret']}"}
    assert shared.client().get("/v1/me", headers=bearer).is_success
    for _ in range(2):
        shared.post(f"/v1/tokens/{made['credential']['id']}/revoke", who=DANA, reason="it was lost")
    refused(shared, shared.client().get("/v1/me", headers=bearer), 401, "unauthenticated")


def test_a_one_time_link_is_no_token(shared: House) -> None:
    bearer = {"authorization": f"Bearer {shared.link(DANA)}"}
    refused(shared, shared.client().get("/v1/me", headers=bearer), 401, "unauthenticated")


def test_the_token_of_another_workflow(shared: House) -> None:
    answer = shared.as_(OTHER).post("/v1/runs", json=RUN | {"run": "r-other"})
    assert refused(shared, answer, 403, "denied")["workflow"] == "renewals"


def test_a_secret_is_shown_once_and_stands_nowhere_else(shared: House) -> None:
    made = shared.post("/v1/tokens", who=DANA, kind="person", id=DANA.id)
    secret = made["secret"]
    assert secret not in json.dumps(shared.get("/v1/tokens"))
    assert secret not in json.dumps(shared.get("/v1/journal", limit=1000))
    for file in shared.office.inst.folder.rglob("*"):
        assert not file.is_file() or secret.encode() not in file.read_bytes(), file
