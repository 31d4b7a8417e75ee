"""A database as an earlier version wrote it, revision f885692 with schema 0012: row by row, in ``earlier.sql``.

A run had read an inbox and ended; a mail of it waits for approval. Another moved a renewal date and made one task twice. The incident about that was
sealed, contained, audited, its messages were drafted, and its recovery goes on.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config

from stopwork.operations.installation import DATABASE
from stopwork.storage.store import engine_of

SCHEMA: Final = "0012"
INCIDENT: Final = "AI-INC-2026-0302-001"
_ROWS: Final = Path(__file__).with_suffix(".sql")


def install(folder: Path) -> None:
    """Put the database where an installation opens it, with the key that it is sealed with: 32 zeros, for nothing else to use."""
    write(folder / DATABASE)
    (folder / "signing.key").write_text(f"stopwork.local/earlier {bytes(32).hex()}\n", encoding="utf-8")
    (folder / "signing.key").chmod(0o600)


def write(path: Path) -> Path:
    """Put the database there."""
    make(path, version=SCHEMA)
    with closing(sqlite3.connect(path)) as database, database:
        database.executescript(_ROWS.read_text(encoding="utf-8"))
    return path


def make(path: Path | str, *, version: str) -> None:
    """Make an empty database as that version of the schema had it, in a file or at an address."""
    config = Config()
    config.set_main_option("script_location", "stopwork:storage/migrations")
    engine = engine_of(path)
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, version)
    engine.dispose()
