"""Runs migrations on the connection it is given; see :mod:`stopwork.storage.schema`."""

from __future__ import annotations

from alembic import context

from stopwork.storage.schema import MIGRATION_LOCK, require_unused
from stopwork.storage.tables import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, transaction_per_migration=True)
if connection.dialect.name == "sqlite":
    connection.exec_driver_sql("BEGIN IMMEDIATE")
else:
    connection.exec_driver_sql("BEGIN")
    # Replicas that start together: one migrates, the others wait and find it done.
    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})")
driver = connection.connection  # the driver's own commit is a no-op where Alembic committed already
try:
    if connection.dialect.name != "sqlite":  # a file has one owner anyway
        require_unused(connection)
    context.run_migrations()
except BaseException:
    driver.rollback()
    raise
driver.commit()
