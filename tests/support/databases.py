"""The databases on which the storage contract is held."""

from __future__ import annotations

from typing import Final

import pytest

from tests.support.postgres import PostgresServer

SQLITE: Final = "sqlite"
POSTGRESQL: Final = "postgresql"
DATABASES: Final = (SQLITE, POSTGRESQL)


def location_of(request: pytest.FixtureRequest, folders: pytest.TempPathFactory) -> str:
    """Answer a new database of the kind that the fixture is asked for."""
    if request.param == SQLITE:
        return str(folders.mktemp("store") / "test.db")
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.database()
