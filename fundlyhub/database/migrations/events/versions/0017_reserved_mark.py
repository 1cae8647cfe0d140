"""The mark of an erasure in an event's metadata is ours: no publisher may write it.

It says that the event's words are gone, so that processors read them as absent, and that a publication of the same id
is a duplicate whatever it says.
"""

from importlib import import_module

from alembic import op

revision = "events_0017"
down_revision = "events_0016"

RULE = """
    ELSIF metadata ? 'erased' THEN
        RAISE EXCEPTION 'publish_event: metadata must not have the key erased, which is reserved'
            USING ERRCODE = 'invalid_parameter_value';
    ELSIF occurred_at IS NULL"""

_PUBLISHERS = import_module("fundlyhub.database.migrations.events.versions.0012_publishers")


PLAIN = "NOT metadata ?| '{{all}}'"


def upgrade() -> None:
    rules = _former().replace(PLAIN, f"{PLAIN} AND NOT metadata ? 'erased'")  # what is not plain is checked
    _write(rules.replace("\n    ELSIF occurred_at IS NULL", RULE))


def downgrade() -> None:
    _write(_former())


def _former() -> str:
    """The two functions that decide on metadata, as they were."""
    checks: str = _PUBLISHERS.CHECKS
    return checks[: checks.index("-- Refuses the first of some types")]


def _write(functions: str) -> None:
    for name, value in _PUBLISHERS.VALUES.items():
        functions = functions.replace(f"{{{{{name}}}}}", value)
    op.get_bind().exec_driver_sql(functions.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION"))
