"""Contract: a build from which a safeguard was taken out is found out by its history, by name; with the safeguard the same story is clean."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from stopwork.control import protocol as p
from stopwork.kernel.clock import SystemClock
from stopwork.kernel.errors import StopworkError
from stopwork.kernel.ids import TimeOrderedIds
from stopwork.ledger.records import Approval, Scope
from stopwork.ledger.words import Outcome, ScopeKind, Verdict
from stopwork.operations import approvals, desk
from stopwork.storage.postgres import Postgres
from stopwork.storage.sqlite import Sqlite
from stopwork.storage.store import Store
from stopwork.storage.view import View
from tests.support.broken import WithoutLock, WithoutUrgency
from tests.support.databases import POSTGRESQL
from tests.support.history import Fault, Paused, Rule, Witness, history_faults
from tests.support.office import AGENT, DANA, MANIFEST, WORKFLOW
from tests.support.postgres import PostgresServer
from tests.support.replicas import SESSION, TOOL, Replica, at_once, permits_beside_pauses

GUARDS = 8
MAX_ROUNDS = 60
WAITING = 2_500
LIMITED = MANIFEST + "budget: {run_calls: 4}\n"  # no story but those about it asks for more
SCOPES = [
    Scope(kind=ScopeKind.TOOL, name=TOOL, workflow=WORKFLOW),
    Scope(kind=ScopeKind.WORKFLOW, name=WORKFLOW),
    Scope(kind=ScopeKind.PERMISSION, name="crm.tasks.write"),
    Scope(kind=ScopeKind.EVERYTHING),
]

Story = Callable[[list[Replica]], list[Fault]]


def told(story: Story, build: type[Postgres], location: str, *, manifest: str = MANIFEST) -> list[Fault]:
    """Let the story happen on two servers of this build."""
    with Replica.several(2, lambda: Replica.on(build.open(location))) as replicas:
        replicas[0].apply(manifest)
        return story(replicas)


def until_found(rule: Rule, step: Callable[[list[Replica], int], None]) -> Story:
    """A race is lost by chance: repeat the step until the history shows it, at most so often."""

    def story(replicas: list[Replica]) -> list[Fault]:
        faults: list[Fault] = []
        for number in range(MAX_ROUNDS):
            step(replicas, number)
            if number % 5 == 4:
                faults = replicas[0].store.read(history_faults)
                if rule in {fault.rule for fault in faults}:
                    return faults
        return faults

    return story


def same_key(replicas: list[Replica], number: int) -> None:
    """A piece of work is tried, fails, and four runs try it again at the same moment."""
    work = {"account_id": f"account-{number}", "renewal": "2026-09-01"}
    runs = [replicas[n % 2].begin("monday", run=f"run-{number}-{n}") for n in range(4)]
    first = replicas[0].ask(runs[0], "crm.update_account", f"first-{number}", **work)
    replicas[0].finish(first.call, Outcome.FAILED)
    at_once(
        [
            partial(replicas[n % 2].ask, run, "crm.update_account", f"again-{number}-{n}", **work)
            for n, run in enumerate(runs)
        ]
    )


def same_run(replicas: list[Replica], number: int) -> None:
    """Four calls are left to a run, and eight are asked for at the same moment."""
    run = replicas[0].begin(f"run-{number}")
    at_once([partial(replicas[n % 2].ask, run, TOOL, f"call-{number}-{n}", title=f"{n}") for n in range(8)])


def reads_beside(replicas: list[Replica], number: int) -> None:
    """A guard reports the reads of two runs while both ask elsewhere; then each run goes on until it is refused."""
    runs, _ = reported_and_asked(replicas, number)
    for run in runs:
        for n in range(3):
            replicas[1].ask(run, TOOL, f"more-{run}-{n}", title=f"{n}")


def reported_and_asked(replicas: list[Replica], number: int) -> tuple[list[str], list[object]]:
    """Answer two runs, and what came of a report of two reads of each and a permit of each, all at the same moment."""
    runs = [replicas[0].begin(f"run-{number}-{n}") for n in range(2)]
    point = replicas[0].send(p.RegisterPoint(workflow=WORKFLOW, name="a guard", point="point-1")).point
    reads = tuple(_read(run, f"read-{run}-{n}") for n in range(2) for run in runs)
    works: list[Callable[[], object]] = [
        partial(replicas[0].send, p.ReportReads(point=point, reads=reads)),
        *(partial(replicas[1].ask, run, TOOL, f"call-{run}", title=run) for run in reversed(runs)),
    ]
    return runs, list(at_once(works))


def _read(run: str, call: str) -> p.LeasedRead:
    return p.LeasedRead(
        call=call,
        run=run,
        tool="crm.read_account",
        args={"account_id": call},
        version=1,
        epoch=0,
        began_ago_s=0.1,
        outcome=Outcome.SUCCEEDED,
    )


def same_approval(replicas: list[Replica], number: int) -> None:
    """A mail was approved and failed; it is approved once more, and both servers are asked for it at the same moment."""
    run = replicas[0].begin(f"run-{number}")
    to = "someone@customer.test"

    def approved(call: str) -> str:
        assert replicas[0].ask(run, "mail.send", call, to=to).verdict is Verdict.WAIT
        question = replicas[1].store.read(lambda view: view.first(Approval, call=call))
        assert question is not None
        replicas[1].write(partial(approvals.decide, approval=question.id, approve=True), actor=DANA)
        return call

    # The new row of a key is a safeguard of its own; this one is there already.
    first = approved(f"first-{number}")
    assert replicas[0].ask(run, "mail.send", first, to=to).verdict is Verdict.ALLOW
    replicas[0].finish(first, Outcome.FAILED)
    again = approved(f"again-{number}")
    at_once([partial(replicas[n % 2].ask, run, "mail.send", again, to=to) for n in range(6)])


def pauses(replicas: list[Replica]) -> list[Fault]:
    # Each pause meets several permits between their look at the holds and their commit; one that is late is enough.
    return permits_beside_pauses(replicas, SCOPES * 5, guards=GUARDS)


CASES: dict[str, tuple[Rule, Story]] = {
    "a permit that is decided beside a pause": (Rule.PAUSE, pauses),
    "a key that two take": (Rule.KEY, until_found(Rule.KEY, same_key)),
    "a budget that two spend": (Rule.BUDGET, until_found(Rule.BUDGET, same_run)),
    "reads that are reported beside permits": (Rule.BUDGET, until_found(Rule.BUDGET, reads_beside)),
    "an approval that two use": (Rule.APPROVAL, until_found(Rule.APPROVAL, same_approval)),
}


@pytest.mark.parametrize("name", CASES)
def test_a_build_without_the_lock_is_found_out(postgres: PostgresServer, name: str) -> None:
    rule, story = CASES[name]
    limited = LIMITED if rule is Rule.BUDGET else MANIFEST
    assert rule in {fault.rule for fault in told(story, WithoutLock, postgres.database(), manifest=limited)}


@pytest.mark.parametrize("step", [same_key, same_run, reads_beside, same_approval])
def test_the_same_story_is_clean_where_servers_take_turns(
    postgres: PostgresServer, step: Callable[[list[Replica], int], None]
) -> None:
    def story(replicas: list[Replica]) -> list[Fault]:
        for number in range(8):
            step(replicas, number)
        return replicas[0].store.read(history_faults)

    assert told(story, Postgres, postgres.database(), manifest=LIMITED) == []


def test_neither_a_report_of_reads_nor_a_permit_is_refused_for_the_other(postgres: PostgresServer) -> None:
    with Replica.several(2, partial(Replica.open, postgres.database())) as replicas:
        replicas[0].apply()
        for number in range(20):
            _, answers = reported_and_asked(replicas, number)
            assert len(answers) == 3
            assert not [each for each in answers if isinstance(each, StopworkError)]
        assert replicas[0].store.read(history_faults) == []


# --- the order in line -------------------------------------------------------------------------------


def pause_behind_much_work(store: Store) -> list[Fault]:
    """Let much work wait, then pause; answer what the history says of that pause."""
    replica = Replica(store)
    replica.apply()
    run = replica.begin("monday")
    waiting = [
        store.submit(
            partial(
                desk.answer,
                manifests=replica.manifests,
                request=p.AskPermit(
                    call=f"call-{n}", run=run, tool=TOOL, args={"title": f"{n}"}, session=SESSION
                ),
            ),
            actor=AGENT,
        )
        for n in range(WAITING)
    ]
    asked_seq = store.read(View.last_seq)
    hold = replica.pause(SCOPES[0])
    witness = Witness(paused=[Paused(hold=hold.id, returned_s=time.monotonic(), asked_seq=asked_seq)])
    for future in waiting:
        future.result(60)
    return store.read(partial(history_faults, witness=witness))


def opened(kind: type[Store], location: str) -> Store:
    clock = SystemClock()
    database: Any = (
        Postgres.open(location) if location.startswith(POSTGRESQL) else Sqlite.open(Path(location))
    )
    return kind(database, clock=clock, ids=TimeOrderedIds(clock))


def test_a_build_in_which_a_pause_waits_its_turn_is_found_out(location: str) -> None:
    with opened(WithoutUrgency, location) as store:
        assert {fault.rule for fault in pause_behind_much_work(store)} == {Rule.URGENT}


def test_a_pause_goes_before_everything_that_waits(location: str) -> None:
    with opened(Store, location) as store:
        assert pause_behind_much_work(store) == []
