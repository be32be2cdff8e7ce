"""What alembic runs to upgrade a database: on the connection it is handed, in the transaction that is open there."""

from __future__ import annotations

from alembic import context

from engine.migrations import VERSION_TABLE
from engine.models import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    render_as_batch=True,  # SQLite changes a table by copying it
)
context.run_migrations()
