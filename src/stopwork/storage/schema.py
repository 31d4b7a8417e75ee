"""Bringing a database to the schema this version needs (Alembic)."""

from __future__ import annotations

import threading
from typing import Final

import sqlalchemy as sa

from stopwork.kernel.errors import Conflict, Unavailable

#: The newest migration. Comparing it first keeps Alembic out of an ordinary start.
HEAD: Final = "0021"
#: The key of the advisory lock under which a PostgreSQL database is migrated.
MIGRATION_LOCK: Final = 0x53_54_4F_51
#: The key of the advisory lock that every server shares while it uses a PostgreSQL database.
IN_USE_LOCK: Final = 0x53_54_4F_52
#: Alembic keeps what it works on in a global.
_one_at_a_time: Final = threading.Lock()


def version_of(engine: sa.Engine) -> str | None:
    """Answer the database's schema version, or ``None`` when it is empty."""
    with engine.connect() as connection:
        if not sa.inspect(connection).has_table("alembic_version"):
            return None
        return connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()


def require_unused(connection: sa.Connection) -> None:
    """Raise ``Conflict`` when servers of an earlier version use the PostgreSQL database that is to be migrated, and keep others off."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return
    found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    if found == HEAD:
        return
    if not connection.exec_driver_sql(f"SELECT pg_try_advisory_xact_lock({IN_USE_LOCK})").scalar():
        raise Conflict(
            f"the database has schema {found}, this version needs {HEAD}, and servers of the earlier version use it",
            hint="Stop all of them, then start this one again: servers of two versions never share a database.",
            expected=HEAD,
            found=found,
        )


def upgrade(engine: sa.Engine) -> None:
    """Run the migrations that are missing, in one transaction; a newer database is refused, and one that other servers use."""
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
