"""What every test may ask for; fixtures of one kind of test live beside it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support.databases import DATABASES, location_of
from tests.support.office import Office
from tests.support.postgres import PostgresServer
from tests.support.trouble import Trouble

# A machine shared with other work is slow in bursts: how long an example takes says nothing about the code.
settings.register_profile("stopwork", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("stopwork")


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with Office(tmp_path) as opened:
        yield opened


@pytest.fixture
def trouble(office: Office) -> Trouble:
    """An incident of what the agent did there."""
    return Trouble(office)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One server for all tests of a process; each takes a database of its own there."""
    with PostgresServer.started() as server:
        yield server


@pytest.fixture(params=DATABASES)
def location(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A new database of each kind."""
    return location_of(request, tmp_path_factory)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse a name that shows a set: its order differs between processes, and then workers do not run the same tests."""
    for item in items:
        if "frozenset({" in item.nodeid:
            raise pytest.UsageError(f"{item.nodeid}: give its parameters ids, a set is written in any order")
