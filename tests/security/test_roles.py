"""An attacker who has the login of one process: what that role may not do fails, and what it is for works."""

from __future__ import annotations

from collections.abc import Mapping

import psycopg
import pytest

from fundlyhub.database.roles import ROLES
from fundlyhub.retention.archives.older_transactions import wait_for_older
from tests.support.roles import Roles

# What nobody but the owner may do, in any role.
NOBODY = [
    "UPDATE events.events SET payload = '{}'",
    "DELETE FROM events.events",
    "TRUNCATE events.events",
    "ALTER TABLE events.events DISABLE TRIGGER ALL",
    "CREATE TABLE events.mine (a int)",
    "CREATE FUNCTION app.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE TABLE public.mine (a int)",
    "CREATE SCHEMA mine",
    "CREATE ROLE mine",
    "ALTER ROLE fundlyhub_owner PASSWORD 'x'",
    "GRANT fundlyhub_owner TO CURRENT_USER",
    "SET ROLE fundlyhub_owner",
    "GRANT SELECT ON events.events TO PUBLIC",
    "DROP TABLE app.notifications",
    "DELETE FROM events.dead_letters",
    "UPDATE events.dead_letter_audit SET who = 'x'",
    "DELETE FROM events.dead_letter_audit",
    "UPDATE events.disclosures SET who = 'x'",
    "DELETE FROM events.disclosures",
    "DELETE FROM app.processed_events",
    "DELETE FROM events.secret_keys",
    "UPDATE events.archives SET file = 'x'",
    "UPDATE analytics.alembic_version SET version_num = 'x'",
    "COPY (SELECT 1) TO PROGRAM 'id'",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT setval('events.events_position_seq', 9000000)",
    "SELECT nextval('events.events_position_seq')",
    "INSERT INTO events.events (position, id, type, version, payload, metadata, occurred_at) OVERRIDING SYSTEM VALUE "
    "VALUES (99, gen_random_uuid(), 'search.query.submitted', '1.0.0', '{}', '{}', now())",
    "INSERT INTO events.events (xid, id, type, version, payload, metadata, occurred_at) "
    "VALUES ('3', gen_random_uuid(), 'search.query.submitted', '1.0.0', '{}', '{}', now())",
]
CONTACTS = "SELECT email, phone FROM app.contacts"
PAYLOADS = "SELECT payload FROM events.events"
METADATA = "SELECT metadata FROM events.events"
QUARANTINE = "SELECT fields FROM events.quarantine"
CORRECTIONS = "SELECT payload FROM events.corrections"
TOKENS = "SELECT token FROM app.devices"
GUESTS = "SELECT email FROM app.gift_donors"
SLEEP = "SELECT setval('events.relay_sleep', 2)"
CURSOR = "UPDATE events.relay_cursors SET seen = '1:1:'"
PUBLISH = "INSERT INTO events.events (id) VALUES (gen_random_uuid())"
CLAIM = "INSERT INTO app.processed_events (processor, position, event_id) VALUES ('x', 1, gen_random_uuid())"
DROP_CLAIMS = "SELECT app.drop_claims_partition('processed_events_0', 0, 9999999, 'x')"
SUPPRESS = "INSERT INTO app.suppressions (channel, address_hash, reason) VALUES ('email', 'x', 'bounced')"
STATS = "UPDATE analytics.campaign_stats_projection SET total_raised = 0"
LETTERS = "INSERT INTO events.dead_letters (processor) VALUES ('x')"
PAUSE = "INSERT INTO events.processor_pauses (processor, kind, who, reason) VALUES ('x', 'by hand', 'x', 'x')"
PEOPLE = [CONTACTS, TOKENS, GUESTS, QUARANTINE, CORRECTIONS]
MUST_NOT: Mapping[str, list[str]] = {
    "publisher": [*PEOPLE, PAYLOADS, METADATA, PUBLISH, "SELECT position FROM events.events", SLEEP,
                  "SELECT events.insert_events('[]', false)", "SELECT * FROM events.event_ids",
                  "INSERT INTO events.publisher_types (publisher, type, who) VALUES ('x', 'x', 'x')",
                  CURSOR, CLAIM, DROP_CLAIMS, SUPPRESS, STATS, LETTERS, PAUSE,
                  "SELECT * FROM events.dead_letters", "SELECT * FROM app.notifications",
                  "SELECT xid FROM events.events"],
    "contacts": [PAYLOADS, METADATA, GUESTS, QUARANTINE, CORRECTIONS, PUBLISH, CLAIM, DROP_CLAIMS, SUPPRESS, STATS,
                 LETTERS],
    "ingest": [*PEOPLE, PAYLOADS, METADATA, PUBLISH, CURSOR, CLAIM, DROP_CLAIMS, SUPPRESS, STATS, LETTERS, PAUSE,
               "UPDATE events.quarantine SET state = 'released'", "DELETE FROM events.quarantine"],
    "relay": [CONTACTS, TOKENS, GUESTS, QUARANTINE, PUBLISH, CLAIM, SUPPRESS, STATS,
              "UPDATE app.notifications SET state = 'sent'", "DELETE FROM events.processors"],
    "worker": [QUARANTINE, PUBLISH, CURSOR, SLEEP, DROP_CLAIMS, "UPDATE events.corrections SET payload = '{}'",
               "SELECT events.publish_event('search.query.submitted', '{\"query\": \"x\"}')",
               "INSERT INTO events.payment_decisions VALUES (gen_random_uuid(), true, 'x', 'x')",
               "SELECT * FROM events.disclosures", "DELETE FROM analytics.processed_events"],
    "webhooks": [*PEOPLE, PAYLOADS, METADATA, PUBLISH, CLAIM, DROP_CLAIMS, STATS, LETTERS,
                 "SELECT position FROM events.events", "SELECT recipient FROM app.notifications",
                 "SELECT wanted FROM app.preferences", "DELETE FROM app.suppressions",
                 "SELECT said FROM app.suppression_causes", "DELETE FROM app.notifications",
                 "UPDATE app.notifications SET recipient = 'x'", "SELECT * FROM analytics.campaign_stats_projection"],
    "monitor": [*PEOPLE, PAYLOADS, METADATA, PUBLISH, CLAIM, SLEEP, CURSOR, DROP_CLAIMS, SUPPRESS, STATS, LETTERS,
                PAUSE],
    # Operators send messages again and look for them by address, so this role reads addresses.
    "console": [CURSOR, SLEEP, CLAIM, DROP_CLAIMS, STATS, "DELETE FROM app.notifications",
                "UPDATE events.quarantine SET fields = '[]'", "DELETE FROM events.quarantine"],
    # It reads all that is held of a person, and changes nothing of the log but words (test_eraser.py).
    "eraser": [PUBLISH, CURSOR, SLEEP, CLAIM, DROP_CLAIMS, SUPPRESS, STATS, LETTERS, PAUSE,
               "UPDATE events.corrections SET payload = '{}'", "DELETE FROM events.erasures",
               "DELETE FROM app.erasures", "DELETE FROM events.quarantine", "DELETE FROM events.quarantine_audit",
               "SELECT token FROM events.console_tokens", "SELECT password FROM events.console_users",
               "SELECT events.only_erased('{}', '{}', '', NULL, false)", "SELECT * FROM events.fact_keys",
               "UPDATE events.fact_keys SET keys = '{}'", "UPDATE analytics.donation_facts SET amount = 0",
               "SELECT events.publish_event('search.query.submitted', '{\"query\": \"x\"}')",
               "UPDATE app.rebuilds SET schema_name = 'app'", "DROP SCHEMA app"],
    "reader": [*PEOPLE, PAYLOADS, METADATA, PUBLISH, CLAIM, SLEEP, CURSOR, DROP_CLAIMS, SUPPRESS, STATS, LETTERS, PAUSE,
               "SELECT traceback FROM events.dead_letters", "SELECT error_message FROM events.dead_letters",
               "INSERT INTO app.follows DEFAULT VALUES", "UPDATE app.notifications SET state = 'sent'",
               "SELECT events.publish_event('search.query.submitted', '{\"query\": \"x\"}')"],
}  # fmt: skip


@pytest.fixture
def roles(dsn: str) -> Roles:
    return Roles(dsn)


def test_each_role_is_attacked() -> None:
    assert set(MUST_NOT) == set(ROLES)


@pytest.mark.parametrize("role", ROLES)
def test_a_role_may_not_do_what_is_none_of_its_business(roles: Roles, role: str) -> None:
    allowed = [one for one in (*NOBODY, *MUST_NOT[role]) if roles.may(role, one)]
    assert allowed == []


def test_the_owner_could_do_all_of_it(roles: Roles) -> None:
    """With the one role that was documented before, each of these attacks succeeded."""
    server = {
        one for one in NOBODY if "ROLE" in one or "fundlyhub_owner" in one or "PROGRAM" in one or "pg_read" in one
    }
    mine = {one for statements in (NOBODY, *MUST_NOT.values()) for one in statements} - server
    assert [one for one in mine if not roles.may("owner", one) and "public." not in one] == []


def test_the_owner_is_no_superuser(roles: Roles) -> None:
    for one in ("CREATE ROLE mine", "COPY (SELECT 1) TO PROGRAM 'id'", "SELECT pg_read_file('/etc/passwd')"):
        assert not roles.may("owner", one)


def test_an_archive_waits_for_transactions_of_other_roles(roles: Roles) -> None:
    """The owner does not see what kind of process theirs are: it must not take that for none of its business."""
    seen: list[int] = []

    def waiting(left: int) -> None:
        seen.append(left)
        writer.rollback()

    with psycopg.connect(roles.dsn("publisher")) as writer, roles.connect("owner") as owner:
        writer.execute("SELECT pg_current_xact_id()")
        wait_for_older(owner, waiting)
    assert seen == [1]
