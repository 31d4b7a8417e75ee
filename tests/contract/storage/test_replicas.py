"""Contract of servers that share a database, and of one server alone: whatever guards and people do at the same time, on whichever
server, the journal is one history in which every pause holds, every key and approval counts once, and no number is missing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from functools import partial

import pytest

from stopwork.kernel.errors import Conflict, StopworkError
from stopwork.ledger.records import Approval, Hold, Incident, Run, Scope
from stopwork.ledger.words import IncidentType, Outcome, ScopeKind, Verdict
from stopwork.operations import approvals, incidents
from stopwork.storage.fsck import fsck
from stopwork.storage.postgres import POLL_S
from stopwork.storage.view import View
from tests.support.databases import POSTGRESQL
from tests.support.history import history_faults
from tests.support.office import DANA, MANIFEST, WORKFLOW
from tests.support.postgres import PostgresServer
from tests.support.replicas import TOOL, Replica, at_once, permits_beside_pauses
from tests.support.told import recording, run_started

GUARDS = 8
SCOPES = [
    Scope(kind=ScopeKind.TOOL, name=TOOL, workflow=WORKFLOW),
    Scope(kind=ScopeKind.WORKFLOW, name=WORKFLOW),
    Scope(kind=ScopeKind.PERMISSION, name="crm.tasks.write"),
    Scope(kind=ScopeKind.EVERYTHING),
]


@pytest.fixture
def replicas(location: str) -> Iterator[list[Replica]]:
    """Two servers on PostgreSQL; on SQLite the one that there can be, twice."""
    shared = location.startswith(POSTGRESQL)
    with Replica.several(2 if shared else 1, partial(Replica.open, location)) as opened:
        opened[0].apply()
        yield opened if shared else opened * 2


@pytest.fixture
def pair(postgres: PostgresServer) -> Iterator[list[Replica]]:
    """Two servers on PostgreSQL."""
    with Replica.several(2, partial(Replica.open, postgres.database())) as opened:
        yield opened


# --- promise 1 ---------------------------------------------------------------------------------------


def test_no_permit_that_a_hold_covers_commits_after_its_pause(replicas: list[Replica]) -> None:
    assert permits_beside_pauses(replicas, SCOPES * 2, guards=GUARDS) == []
    assert fsck(replicas[0].store).clean


# --- promises 3 and 4 --------------------------------------------------------------------------------


def test_equal_calls_at_the_same_moment_are_permitted_once(replicas: list[Replica]) -> None:
    runs = [replicas[n % 2].begin("monday", run=f"run-{n}") for n in range(6)]
    for round_ in range(5):
        asked = [
            partial(
                replicas[n % 2].ask,
                run,
                "crm.update_account",
                f"call-{round_}-{n}",
                account_id=f"acme-{round_}",
                renewal="2026-09-01",
            )
            for n, run in enumerate(runs)
        ]
        verdicts = [each.verdict for each in at_once(asked) if not isinstance(each, StopworkError)]
        assert len(verdicts) == len(runs)
        assert verdicts.count(Verdict.ALLOW) == 1
    assert replicas[0].store.read(history_faults) == []


def test_a_key_that_was_given_back_is_taken_once(replicas: list[Replica]) -> None:
    runs = [replicas[n % 2].begin("monday", run=f"run-{n}") for n in range(4)]
    ask = {"account_id": "acme", "renewal": "2026-09-01"}
    replicas[0].ask(runs[0], "crm.update_account", "first", **ask)
    replicas[0].finish("first", outcome=Outcome.FAILED)
    again = [
        partial(replicas[n % 2].ask, run, "crm.update_account", f"call-{n}", **ask)
        for n, run in enumerate(runs)
    ]
    answers = at_once(again)
    assert [each.verdict for each in answers if not isinstance(each, StopworkError)].count(Verdict.ALLOW) == 1
    assert replicas[0].store.read(history_faults) == []


def test_an_approval_is_used_once_by_whoever_comes_first(replicas: list[Replica]) -> None:
    run = replicas[0].begin("monday")
    waiting = replicas[0].ask(run, "mail.send", "mail-1", to="someone@customer.test")
    assert waiting.verdict is Verdict.WAIT
    asked = replicas[1].store.read(lambda view: view.first(Approval, call="mail-1"))
    assert asked is not None
    replicas[1].write(partial(approvals.decide, approval=asked.id, approve=True), actor=DANA)
    at_once(
        [
            partial(replicas[n % 2].ask, run, "mail.send", "mail-1", to="someone@customer.test")
            for n in range(6)
        ]
    )
    assert replicas[0].store.read(history_faults) == []
    used = replicas[0].store.read(lambda view: view.entries(kinds=("approval.consumed",)))
    assert len(used) == 1


def test_a_budget_is_not_overrun_by_calls_that_come_together(location: str) -> None:
    shared = location.startswith(POSTGRESQL)
    with Replica.several(2 if shared else 1, partial(Replica.open, location)) as opened:
        opened[0].apply(MANIFEST + "budget: {run_calls: 5, day_calls: 8}\n")
        runs = [opened[n % len(opened)].begin(f"run-{n}") for n in range(3)]
        for round_ in range(4):
            at_once(
                [
                    partial(
                        opened[n % len(opened)].ask, run, TOOL, f"{run}-{round_}-{n}", title=f"{round_}/{n}"
                    )
                    for n, run in enumerate(runs * 2)
                ]
            )
        calls = opened[0].store.read(lambda view: [view.need(Run, run).calls for run in runs])
        assert max(calls) <= 5
        assert sum(calls) == 8


# --- one history -------------------------------------------------------------------------------------


def test_numbers_are_dense_and_in_the_order_of_the_commits(pair: list[Replica]) -> None:
    def write(n: int) -> None:
        for count in range(40):
            work = recording(run_started(f"run-{n}-{count}"), run_started(f"other-{n}-{count}"))
            pair[n % 2].store.write(work)

    seen: list[int] = []
    stop = threading.Event()

    def follow() -> None:
        while not stop.is_set() or seen[-1:] != [pair[0].store.read(View.last_seq)]:
            page = partial(View.entries, after=seen[-1] if seen else 0)
            seen.extend(entry.seq for entry in pair[1].store.read(page))

    follower = threading.Thread(target=follow, daemon=True)
    follower.start()
    at_once([partial(write, n) for n in range(6)])
    stop.set()
    follower.join(30)
    assert seen == list(range(1, 6 * 40 * 2 + 1))
    assert fsck(pair[0].store).clean


def test_who_loses_a_race_is_told_what_is_there(pair: list[Replica]) -> None:
    for n in range(20):
        work = recording(run_started(f"run-{n}"))
        answers = at_once([partial(each.store.write, work) for each in pair * 2])
        refused = [each for each in answers if isinstance(each, StopworkError)]
        assert len(refused) == 3
        assert all(isinstance(each, Conflict) and "exists already" in each.detail for each in refused)
    assert pair[0].store.read(lambda view: view.count(Run)) == 20


def test_incidents_are_counted_without_gap_or_repetition(replicas: list[Replica]) -> None:
    for each in replicas:
        each.begin(f"run-of-{id(each)}")

    def opened(number: int) -> None:
        replica = replicas[number % 2]
        kind = list(IncidentType)[number]
        replica.write(lambda tx: incidents.open_by_hand(tx, replica.manifests, workflow=WORKFLOW, type=kind))

    at_once([partial(opened, number) for number in range(6)])
    ids = replicas[0].store.read(lambda view: [each.id for each in view.each(Incident)])
    assert [name[-3:] for name in ids] == [f"{n:03d}" for n in range(1, len(ids) + 1)]


def test_the_control_epoch_rises_with_every_hold_wherever_it_is_set(replicas: list[Replica]) -> None:
    scopes = [Scope(kind=ScopeKind.EVERYTHING), *SCOPES[:3]]
    at_once([partial(replicas[n % 2].pause, scope) for n, scope in enumerate(scopes)])
    epochs = replicas[0].store.read(lambda view: sorted(hold.epoch for hold in view.each(Hold)))
    assert epochs == sorted(set(epochs))


def test_what_one_server_commits_is_read_and_heard_of_on_the_other(pair: list[Replica]) -> None:
    heard, took_s = threading.Event(), []
    with pair[1].store.listening(lambda _seq: heard.set()):
        for number in range(6):
            heard.clear()
            began = time.monotonic()
            seq = pair[0].store.write(recording(run_started(f"run-{number}"))).seq
            assert pair[1].store.read(lambda view, run=f"run-{number}": view.need(Run, run).id)  # type: ignore[misc]
            assert heard.wait(20)
            assert pair[1].store.wait_beyond(seq - 1, timeout_s=20)
            took_s.append(time.monotonic() - began)
    # Whoever heard of it by a look waits for the next one from then on; a busy machine is not as slow every time.
    assert min(took_s[1:]) < POLL_S / 2, "no hint came; the looks found it"
