"""A recovery that is killed with no warning, at whatever moment and however often: it goes on by itself, every object is changed exactly once,
and none is left out. The undo of the recovery is killed in the same way.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

import pytest

from stopwork.ledger.records import Item, Plan
from stopwork.ledger.words import ItemState, PlanState
from stopwork.operations import plans
from stopwork.operations.installation import Installation
from stopwork.storage.fsck import fsck
from stopwork.storage.view import View
from tests.support import damage
from tests.support.databases import DATABASES, POSTGRESQL, SQLITE
from tests.support.doomed import carry_out_until_killed, doomed, wait_for
from tests.support.postgres import PostgresServer
from tests.support.targets import PostgresRows, Rows, Target, served, system_at
from tests.support.undoing import approved, reversal

SEED = int(os.environ.get("STOPWORK_TEST_SEED", "20261123"))
LONGEST_LIFE_S = 0.4
ROWS, OVER_HTTP = 600, 60


class Place:
    """Where a recovery's records are, and what it is to put right."""

    def __init__(self, folder: Path, database: str | None, target: Target) -> None:
        self.folder, self.database, self.target = folder, database, target

    def opened(self) -> Installation:
        systems = {"crm": system_at(self.target.address)}
        return Installation.open(self.folder / "data", database=self.database, systems=systems)


@contextmanager
def rows(folder: Path, server: PostgresServer | None, numbers: range) -> Iterator[Target]:
    yield PostgresRows(server.empty_database(), numbers) if server else Rows(folder / "crm.db", numbers)


@contextmanager
def over_http(_folder: Path, _server: PostgresServer | None, numbers: range) -> Iterator[Target]:
    with served(numbers) as place:
        yield place


TARGETS: dict[str, tuple[Callable[..., AbstractContextManager[Target]], int]] = {
    "rows": (rows, ROWS),
    "http": (over_http, OVER_HTTP),
}


def killed_until_done(place: Place, plan: Plan, chance: random.Random, where: str) -> int:
    """Let one process after the other carry the plan out, kill each, and answer how many were killed at their work."""
    kills = 0
    for life in range(1_000):
        mark = place.folder / f"{plan.id}-{life}"
        with doomed(
            carry_out_until_killed, place.folder, place.database, place.target.address, plan.id, mark
        ) as doer:
            wait_for(mark.exists, doer)
            doer.join(chance.uniform(0, LONGEST_LIFE_S))
            if not doer.is_alive():
                assert doer.exitcode == 0, where
                return kills
            kills += 1
    raise AssertionError(f"it comes to no end: {where}")


def survives(place: Place, numbers: range, *, kills: int, seed: int) -> None:
    chance, where = random.Random(seed), f"STOPWORK_TEST_SEED={seed}"
    with place.opened() as installation:
        damage.record(installation, numbers)
        plan = approved(installation, damage.WORKFLOW)
    killed, rounds = 0, 0
    while killed < kills:
        killed += killed_until_done(place, plan, chance, f"{where}, round {rounds}")
        rounds += 1
        with place.opened() as installation:
            known, items = installation.store.read(partial(_outcome, plan=plan.id))
            assert known.state is PlanState.FINISHED, where
            states = Counter(item.state for item in items)
            assert states == {ItemState.VERIFIED: len(numbers)}, f"{where}: {states}"
            assert place.target.dates() == {damage.BEFORE if rounds % 2 else damage.DAMAGE}, where
            often = place.target.counted()
            assert often == dict.fromkeys(numbers, rounds), f"{where}: not once each: {often.most_common(3)}"
            if killed < kills:
                plan = reversal(installation, plan)
            else:
                assert fsck(installation.store).clean


def _outcome(view: View, plan: str) -> tuple[Plan, list[Item]]:
    return view.need(Plan, plan), plans.items_of(view, plan)


def story(
    tmp_path: Path, request: pytest.FixtureRequest, kind: str, target: str, *, kills: int, seed: int
) -> None:
    server = request.getfixturevalue("postgres") if kind == POSTGRESQL else None
    make, many = TARGETS[target]
    numbers = range(1, many + 1)
    with make(tmp_path, server, numbers) as made:
        place = Place(tmp_path, server.database() if server else None, made)
        survives(place, numbers, kills=kills, seed=seed)


@pytest.mark.parametrize(("kind", "target"), [(SQLITE, "rows"), (POSTGRESQL, "http")])
def test_killed_a_few_times(tmp_path: Path, request: pytest.FixtureRequest, kind: str, target: str) -> None:
    story(tmp_path, request, kind, target, kills=2, seed=SEED)


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("kind", DATABASES)
def test_killed_at_fifty_points(
    tmp_path: Path, request: pytest.FixtureRequest, kind: str, target: str
) -> None:
    story(tmp_path, request, kind, target, kills=50, seed=SEED + 1)
