"""What several modules about the guard are given."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.unit.sdk.bench import Bench
from tests.unit.sdk.leased import World


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def make(request: pytest.FixtureRequest) -> Iterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def make(**more: Any) -> Bench:
        made.append(Bench(on_loop=request.param, **more))
        return made[-1]

    yield make
    for bench in made:
        bench.guard.close()


@pytest.fixture
def bench(make: Callable[..., Bench]) -> Bench:
    return make()


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.close()
