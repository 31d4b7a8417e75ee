"""Contract: the live stream tells whoever may listen of every entry once and in order, and ends with the session and the server."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx

from stopwork.kernel.clock import ManualClock
from stopwork.ledger.records import Principal
from stopwork.server.app import create_app
from stopwork.server.stream import BATCH, Stream
from tests.support.office import AGENT, LEE, WORKFLOW, Office
from tests.support.told import recording, stepped
from tests.unit.server.browser import Browser
from tests.unit.server.house import OTHER, House, is_problem, serving, wait_for


@contextlib.contextmanager
def listening(
    shared: House, who: Principal = LEE, *, after: int | None = None, last: int | None = None, token: str = ""
) -> Iterator[Iterator[dict[str, Any]]]:
    """What one listener hears, entry by entry."""
    headers = {"authorization": f"Bearer {token or shared.tokens[who.id]}"}
    headers |= {} if last is None else {"last-event-id": str(last)}
    query = {} if after is None else {"after": after}
    with (
        httpx.Client(base_url=shared.url, trust_env=False, timeout=10) as client,
        client.stream("GET", "/v1/stream", params=query, headers=headers) as answer,
    ):
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.iter_lines()
        assert next(lines) == ": listening"
        yield heard(lines)


def heard(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    number = 0
    for line in lines:
        if line.startswith("id: "):
            number = int(line.removeprefix("id: "))
        if line.startswith("data: "):
            entry = json.loads(line.removeprefix("data: "))
            assert entry["seq"] == number
            yield entry


def hold(shared: House, name: str, *, workflow: str = WORKFLOW) -> None:
    shared.post(
        "/v1/holds", scope={"kind": "destination", "name": name, "workflow": workflow}, reason="a test"
    )


def test_a_new_entry_is_told_at_once_and_says_what_it_is_about(shared: House) -> None:
    with listening(shared) as entries:
        hold(shared, "told-at-once")
        entry = next(entries)
    assert entry["kind"] == "hold.set"
    assert entry["workflow"] == WORKFLOW
    assert entry.keys() == {"seq", "kind", "workflow", "run", "call", "incident"}


def test_a_listener_that_comes_back_misses_nothing_and_hears_nothing_twice(shared: House) -> None:
    start = shared.journal_size()
    with listening(shared) as entries:
        hold(shared, "first")
        last = next(entries)["seq"]
    for name in ("second", "third"):
        hold(shared, name)
    with listening(shared, last=last) as entries:
        hold(shared, "fourth")
        again = [next(entries)["seq"] for _ in range(3)]
    assert [last, *again] == list(range(start + 1, start + 5))


def test_more_than_one_batch_comes_whole(shared: House) -> None:
    behind = BATCH + 20
    run = {"run": "long", "workflow": WORKFLOW, "trigger": "manual", "trigger_id": "t"}
    shared.post("/v1/runs", who=AGENT, **run)
    start = shared.journal_size()
    shared.office.write(recording(*(stepped(f"step-{number}", "long") for number in range(behind))))
    with listening(shared, after=start) as entries:
        assert [next(entries)["seq"] for _ in range(behind)] == list(range(start + 1, start + behind + 1))


def test_an_agent_hears_of_its_own_workflow_only(shared: House) -> None:
    with listening(shared, OTHER) as entries:
        hold(shared, "of-others")
        hold(shared, "own", workflow=OTHER.id)
        assert next(entries)["workflow"] == OTHER.id


def test_nobody_listens_without_a_token(shared: House) -> None:
    answer = shared.as_(None).get("/v1/stream")
    assert (answer.status_code, is_problem(answer)["code"]) == (401, "unauthenticated")


def test_a_stream_ends_with_its_session(shared: House) -> None:
    browser = Browser.signed_in(shared, LEE)
    with browser.http.stream("GET", "/v1/stream") as answer:
        lines = answer.iter_lines()
        assert next(lines) == ": listening"
        csrf = browser.csrf
        assert browser.send("/sign-out", csrf=csrf).status_code == 303
        assert list(heard(lines)) == []


def test_a_stream_ends_when_its_token_runs_out(shared: House) -> None:
    token = shared.token(LEE, minutes=5)
    with listening(shared, token=token) as entries:
        clock = shared.office.clock
        assert isinstance(clock, ManualClock)
        clock.advance(timedelta(minutes=5))
        hold(shared, "too-late")
        assert list(entries) == []


def test_there_are_as_many_listeners_as_there_is_room_for(tmp_path: Path) -> None:
    with Office(tmp_path) as office:
        stream = Stream(office.inst, max_listeners=2)
        with serving(create_app(office.crew, stream=stream)) as url:
            small = House(office, url)
            with listening(small), listening(small):
                refused = small.as_(LEE).get("/v1/stream")
                assert (refused.status_code, is_problem(refused)["code"]) == (503, "unavailable")
                assert refused.headers["retry-after"]
            wait_for(lambda: _has_room(small))
            small.close()


def _has_room(shared: House) -> bool:
    with shared.as_(LEE).stream("GET", "/v1/stream") as answer:
        return answer.status_code == 200


def test_a_closed_stream_lets_its_listeners_go(tmp_path: Path) -> None:
    with Office(tmp_path) as office:
        stream = Stream(office.inst)
        with serving(create_app(office.crew, stream=stream)) as url:
            last = House(office, url)
            with listening(last) as entries:
                stream.close()
                hold(last, "the-last")
                assert [entry["kind"] for entry in entries] in ([], ["hold.set"])
            last.close()
