"""Alembic's environment: runs one branch, ours or a package's, on the connection that migrate.py hands over."""

from __future__ import annotations

from alembic import context

options = context.config.attributes
context.configure(
    connection=options["connection"],
    version_table=options["version_table"],
    version_table_schema=options["branch"],
    transactional_ddl=True,
)
context.run_migrations()
