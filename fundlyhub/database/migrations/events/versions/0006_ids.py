"""Ids in the order of time for what SQL publishes without one, as Python's door makes them."""

from importlib import import_module

from alembic import op

revision = "events_0006"
down_revision = "events_0005"

RANDOM = "gen_random_uuid()"
# Written into the function, since a function of its own would need a grant for every publisher. PostgreSQL's
# uuidv7() came with 18.
ORDERED = """
        -- UUIDv7 (RFC 9562): the first 48 bits of a random one become the milliseconds, and its version 4 becomes 7.
        encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid())
            PLACING substring(int8send(floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3)
            FROM 1 FOR 6), 52, 1), 53, 1), 'hex')::uuid"""


def _publish_event(new_id: str) -> str:
    before: str = import_module("fundlyhub.database.migrations.events.versions.0001_log").PUBLISH_EVENT
    text = before.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION").replace(RANDOM, new_id)
    return text.replace(":", r"\:")


def upgrade() -> None:
    op.execute(_publish_event(ORDERED))


def downgrade() -> None:
    op.execute(_publish_event(RANDOM))
