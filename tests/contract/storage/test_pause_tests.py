"""Contract: on either database a pause test passes beside working agents, none of which ever meets its hold, and leaves nothing but its
two entries; and keys that nobody uses expire.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from stopwork.kernel.clock import ManualClock
from stopwork.ledger.records import Call, Hold, Key
from stopwork.ledger.words import Outcome, Verdict
from stopwork.operations import manifests, outcomes, pause_tests, permits, retention, runs
from stopwork.operations.installation import Installation
from stopwork.storage.fsck import fsck
from stopwork.storage.store import is_address
from tests.support.office import AGENT, LEE, MANIFEST, START, WORKFLOW

AGENTS = 3


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def installation(location: str, clock: ManualClock, tmp_path: Path) -> Iterator[Installation]:
    database = location if is_address(location) else None
    with Installation.open(tmp_path / "data", database=database, clock=clock) as opened:
        opened.store.write(partial(manifests.apply, text=MANIFEST, reason="first"), actor=LEE)
        yield opened


def begin(installation: Installation, occasion: str) -> str:
    start = partial(
        runs.start,
        manifests=installation.manifests,
        workflow=WORKFLOW,
        trigger="schedule",
        trigger_id=occasion,
    )
    return installation.store.write(start, actor=AGENT).run


def ask(installation: Installation, run: str, number: int) -> tuple[str, Verdict]:
    asked = partial(
        permits.ask,
        manifests=installation.manifests,
        run=run,
        tool="crm.create_task",
        args={"account_id": run, "title": f"Call {number}"},
    )
    answer = installation.store.write(asked, actor=AGENT)
    return answer.call, answer.verdict


def test_no_agent_meets_the_hold_of_a_test(installation: Installation) -> None:
    enough, answers = threading.Event(), Counter[Verdict]()

    def work(number: int) -> None:
        run, asked = begin(installation, f"occasion-{number}"), 0
        while not enough.is_set():
            asked += 1
            answers[ask(installation, run, asked)[1]] += 1

    agents = [threading.Thread(target=work, args=(number,)) for number in range(AGENTS)]
    for agent in agents:
        agent.start()
    try:
        found = [pause_tests.run(installation, LEE, workflow=WORKFLOW) for _ in range(5)]
    finally:
        enough.set()
        for agent in agents:
            agent.join()
    assert all(each.passed for each in found)
    assert set(answers) == {Verdict.ALLOW}
    store = installation.store
    assert store.read(lambda view: view.count(Hold)) == 0
    assert store.read(lambda view: view.count(Call)) == answers.total()
    assert fsck(store).clean


def test_keys_expire(installation: Installation, clock: ManualClock) -> None:
    call, _ = ask(installation, begin(installation, "monday"), 1)
    store = installation.store
    store.write(partial(permits.attempt, call=call, before=()), actor=AGENT)
    ended = partial(outcomes.finish, manifests=installation.manifests, call=call, outcome=Outcome.SUCCEEDED)
    store.write(ended, actor=AGENT)
    clock.advance(timedelta(days=91))
    assert store.write(partial(retention.expire_keys, manifests=installation.manifests), actor=LEE) == 1
    assert [key.expired for key in store.read(lambda view: list(view.each(Key)))] == [True]
    assert fsck(store).clean
