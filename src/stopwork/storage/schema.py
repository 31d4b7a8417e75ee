"""Bringing a database to the schema this version needs (Alembic)."""

from __future__ import annotations

import threading
from typing import Final

import sqlalchemy as sa

from stopwork.kernel.errors import Unavailable

#: The newest migration. Comparing it first keeps Alembic out of an ordinary start.
HEAD: Final = "0006"
#: The key of the advisory lock under which a PostgreSQL database is migrated.
MIGRATION_LOCK: Final = 0x53_54_4F_51
#: Alembic keeps what it works on in a global.
_one_at_a_time: Final = threading.Lock()


def version_of(engine: sa.Engine) -> str | None:
    """Answer the database's schema version, or ``None`` when it is empty."""
    with engine.connect() as connection:
        if not sa.inspect(connection).has_table("alembic_version"):
            return None
        return connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()


def upgrade(engine: sa.Engine) -> None:
    """Run the migrations that are missing, in one transaction; a newer database is refused."""
    found = version_of(engine)
    if found == HEAD:
        return
    if found is not None and found > HEAD:
        raise Unavailable(
            f"the database has schema {found}, this version knows up to {HEAD}",
            hint="Start it with the version of Stopwork that wrote it, or a newer one.",
        )
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "stopwork:storage/migrations")
    with _one_at_a_time, engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
