"""What every test may ask for; fixtures of one kind of test live beside it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support.office import Office

# A machine shared with other work is slow in bursts: how long an example takes says nothing about the code.
settings.register_profile("stopwork", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("stopwork")


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with Office(tmp_path) as opened:
        yield opened


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse a name that shows a set: its order differs between processes, and then workers do not run the same tests."""
    for item in items:
        if "frozenset({" in item.nodeid:
            raise pytest.UsageError(f"{item.nodeid}: give its parameters ids, a set is written in any order")
