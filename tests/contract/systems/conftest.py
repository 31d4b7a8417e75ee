"""The database that an agent works on, of each kind of which rows are captured."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.databases import DATABASES, SQLITE
from tests.support.rows import World, postgres_world, sqlite_world


@pytest.fixture(params=DATABASES)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    if request.param == SQLITE:
        opened = sqlite_world(tmp_path / "crm.db")
    else:
        opened = postgres_world(request.getfixturevalue("postgres").empty_database())
    with opened as world:
        yield world
