"""What guards ask directly is answered as by the ordinary route, byte for byte and header for header; a token that ended a moment ago
writes nothing, however lately it was seen; and many answers of writers reach the event loop that waits for them, each its own.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from stopwork.kernel.clock import ManualClock
from stopwork.kernel.errors import NotFound
from stopwork.server.waiting import written
from stopwork.storage.store import SYSTEM, Store
from tests.support.office import AGENT
from tests.unit.server.house import House, house, is_problem

RUN: Final = {"workflow": "renewals", "trigger": "schedule", "trigger_id": "week-3"}
#: As guards never send it, which is what the ordinary route is for.
ORDINARY: Final = {"content-type": "application/json; charset=utf-8"}
DIRECT: Final = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with house(tmp_path_factory.mktemp("house")) as made:
        made.post("/v1/runs", who=AGENT, run="run-1", **RUN)
        yield made


ASKED: Final = {
    "a run that has begun already": ("/v1/runs", json.dumps({"run": "run-1", **RUN}).encode()),
    "a permit for an unknown run": ("/v1/permits", b'{"run":"no","call":"c","tool":"t","args":{}}'),
    "a permit that is refused": ("/v1/permits", b'{"run":"run-1","call":"c1","tool":"unknown","args":{}}'),
    "no JSON": ("/v1/permits", b"{"),
    "nothing": ("/v1/permits", b""),
    "another field": ("/v1/permits", b'{"run":"r","call":"c","tool":"t","args":{},"x":1}'),
    "an id that is none": ("/v1/permits", b'{"run":"r","call":"c c","tool":"t","args":{}}'),
    "an attempt at an unknown call": ("/v1/calls/none/attempt", b"{}"),
    "an outcome that is none": ("/v1/calls/c1/outcome", b'{"outcome":"fine"}'),
    "a call without a name": ("/v1/calls//outcome", b'{"outcome":"failed"}'),
    "a word that is no question": ("/v1/calls/c1/nothing", b"{}"),
    "a heartbeat of an unknown point": ("/v1/points/none/heartbeat", b'{"epoch":0}'),
    "more than may come": ("/v1/calls/c1/outcome", b" " * (16 * 1024 * 1024 + 1)),
}


@pytest.mark.parametrize("who", [AGENT, None], ids=["the agent", "nobody"])
@pytest.mark.parametrize(("path", "body"), ASKED.values(), ids=ASKED.keys())
def test_both_ways_answer_the_same(opened: House, path: str, body: bytes, who: Any) -> None:
    client = opened.as_(who)
    direct, ordinary = (client.post(path, content=body, headers=each) for each in (DIRECT, ORDINARY))
    assert direct.status_code == ordinary.status_code
    assert _lasting(direct.headers) == _lasting(ordinary.headers)
    assert direct.content == ordinary.content or _but_for_its_time(direct) == _but_for_its_time(ordinary)


def test_a_query_and_a_body_without_a_length_are_read_the_ordinary_way(opened: House) -> None:
    client = opened.as_(AGENT)
    assert is_problem(client.post("/v1/permits?x=1", json={}))["field"] == "x"
    asked = iter([b'{"run":"run-1","call":"c2",', b'"tool":"unknown","args":{}}'])
    assert client.post("/v1/permits", content=asked, headers=DIRECT).json()["call"] == "c2"


def test_a_token_that_ended_a_moment_ago_writes_nothing(opened: House) -> None:
    token, revoked = (opened.token(AGENT, hours=1), opened.post("/v1/tokens", kind="agent", id=AGENT.id))
    for secret in (token, revoked["secret"]):
        bearer = {"authorization": f"Bearer {secret}"}
        assert opened.client(**bearer).post("/v1/runs", json=RUN | {"run": "run-1"}).is_success
    opened.post(f"/v1/tokens/{revoked['credential']['id']}/revoke", reason="it was lost")
    clock = opened.office.clock
    assert isinstance(clock, ManualClock)
    clock.advance(timedelta(hours=1))
    before = opened.entries_of_others()
    for secret in (token, revoked["secret"]):
        bearer = {"authorization": f"Bearer {secret}"}
        for headers in (DIRECT, ORDINARY):
            answer = opened.client(**bearer).post("/v1/runs", json=RUN | {"run": "run-2"}, headers=headers)
            assert is_problem(answer)["code"] == "unauthenticated"
            assert answer.headers["www-authenticate"] == "Bearer"
    assert opened.entries_of_others() == before


def test_every_answer_comes_to_who_asked(tmp_path: Path) -> None:
    async def one(store: Store, number: int) -> int:
        def work(_tx: Any) -> int:
            if number % 10 == 0:
                raise NotFound("there is none", number=number)
            return number

        asked = written(store, work, actor=SYSTEM, urgent=number % 7 == 0)
        try:
            return await asked  # type: ignore[no-any-return]
        except NotFound as error:
            return int(error.fields["number"])

    async def all_of(store: Store, first: int) -> list[int]:
        return list(await asyncio.gather(*(one(store, number) for number in range(first, first + 500))))

    with Store.open(tmp_path / "stopwork.db") as store, ThreadPoolExecutor(3) as threads:
        loops = threads.map(lambda first: asyncio.run(all_of(store, first)), (0, 500, 1000))
        assert [number for found in loops for number in found] == [*range(1500)]


def test_who_stops_waiting_takes_back_what_has_not_begun(tmp_path: Path) -> None:
    go_on, begun, done = threading.Event(), threading.Event(), []

    def hold(_tx: Any) -> None:
        begun.set()
        go_on.wait(10)

    async def scene(store: Store) -> None:
        def ask(work: Any) -> asyncio.Task[Any]:
            asked = written(store, work, actor=SYSTEM, urgent=False)
            return asyncio.ensure_future(asked)

        first = ask(hold)
        await asyncio.to_thread(begun.wait, 10)
        given_up, wanted = ask(lambda _tx: done.append("given up")), ask(lambda _tx: done.append("wanted"))
        await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.sleep(0)
        go_on.set()
        await asyncio.gather(first, wanted)

    with Store.open(tmp_path / "stopwork.db") as store:
        asyncio.run(scene(store))
        assert done == ["wanted"]


def test_a_loop_that_is_gone_stops_no_writer(tmp_path: Path) -> None:
    begun = threading.Event()

    async def leave(store: Store) -> None:
        asked = written(store, lambda _tx: begun.wait(10), actor=SYSTEM, urgent=False)
        asyncio.ensure_future(asked)  # noqa: RUF006 - nobody waits for it, which is the point
        await asyncio.sleep(0)

    with Store.open(tmp_path / "stopwork.db") as store:
        asyncio.run(leave(store))
        begun.set()
        assert store.write(lambda _tx: "still here") == "still here"


def _lasting(headers: httpx.Headers) -> list[tuple[str, str]]:
    passing = ("date", "content-length")
    return sorted((name, value) for name, value in headers.items() if name not in passing)


def _but_for_its_time(answer: httpx.Response) -> dict[str, Any]:
    return {name: value for name, value in answer.json().items() if name != "not_after"}
