"""Fills a platform with a log, claims, dead letters, messages, quarantine and audits; the same for the same sizes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import orjson
import psycopg

from fundlyhub.cli.wiring import known_processors
from fundlyhub.events import lookup_keys
from fundlyhub.events.catalogue import CURRENT
from fundlyhub.processing.routing import wanting
from fundlyhub.relay.registration import register
from fundlyhub.testing import build

KINDS: Mapping[str, int] = {
    "donation.completed": 60, "user.followed_campaign": 15, "user.registered": 8, "user.logged_in": 7,
    "campaign.created": 4, "campaign.updated": 3, "donation.refunded": 2, "payout.completed": 1,
}  # fmt: skip
"""The types of the log, and of a hundred events how many are of each."""
TOGETHER = 250
"""Events of one transaction."""
LATE = 2_000
"""The newest events at most that no processor has applied yet."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many rows of each kind there are."""

    events: int = 1_000_000
    letters: int = 50_000
    faults: int = 200
    messages: int = 500_000
    contacts: int = 200_000
    quarantine: int = 100_000


# Functions that make ids: of an event, and of things; and a rank of which small ones are frequent.
_FUNCTIONS = """
CREATE SCHEMA bench;
CREATE FUNCTION bench.event(n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT (substr(made, 1, 8) || '-' || substr(made, 9, 4) || '-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid
    FROM (SELECT lpad(to_hex(1780000000000 + n * 30000), 12, '0') AS made) AS time $$;
CREATE FUNCTION bench.thing(kind int, n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT md5(kind || ' ' || n)::uuid $$;
CREATE FUNCTION bench.rank(most int) RETURNS int LANGUAGE sql VOLATILE AS $$
    SELECT floor(power(most + 1, random()))::int - 1 $$;
CREATE TABLE bench.kinds (low int, high int, type text, version text, payload jsonb);
"""

_EVENTS = """
    INSERT INTO events.events (position, id, type, version, aggregate_type, aggregate_id, payload, correlation_id,
                               causation_id, occurred_at, recorded_at) OVERRIDING SYSTEM VALUE
    SELECT n, bench.event(n), type, version, split_part(type, '.', 1),
           CASE split_part(type, '.', 1) WHEN 'donation' THEN bench.thing(1, n)
                WHEN 'campaign' THEN bench.thing(2, mod(n, 20000)) ELSE bench.thing(3, mod(n, %(contacts)s)) END::text,
           payload || CASE WHEN type = 'donation.completed' THEN jsonb_build_object(
               'donationId', bench.thing(1, n), 'campaignId', bench.thing(2, mod(n * 7, 20000)),
               'donorId', bench.thing(3, mod(n * 3, %(contacts)s)), 'amount', (5 + mod(n, 200))::text,
               'currency', (ARRAY['USD', 'EUR', 'GBP'])[1 + mod(n, 3)]) ELSE '{}' END,
           bench.thing(4, n / 3), CASE WHEN mod(n, 10) = 9 THEN bench.event(n - 1) END, at, at + interval '20 ms'
    FROM generate_series(%(first)s::bigint, %(last)s::bigint) n
    JOIN bench.kinds ON mod(n * 37, 100) >= low AND mod(n * 37, 100) < high,
    LATERAL (SELECT now() - (%(events)s - n) * interval '30 s' AS at) AS time
"""
_CLAIMS = """
    INSERT INTO {schema}.processed_events (processor, position, event_id, processed_at)
    SELECT %(name)s, position, id, recorded_at + interval '40 ms' + mod(position, 97) * interval '1 ms'
    FROM events.events WHERE type = ANY (%(types)s) AND position <= %(settled)s
"""
_CURSORS = """
    INSERT INTO events.relay_cursors (name, system_identifier, seen)
    SELECT name, system_identifier, pg_current_snapshot()
    FROM pg_control_system(), (SELECT 'main' AS name UNION ALL SELECT 'sweep:' || name FROM events.processors) AS all_
"""
_ROWS = (
    """
    INSERT INTO events.dead_letters (processor, position, event_id, type, error_class, error_message, traceback,
        fingerprint, attempts, first_failed_at, last_failed_at, state, aggregate_type, aggregate_id)
    SELECT (ARRAY['email_notification', 'activity_feed', 'campaign_stats', 'search_index'])[1 + mod(fault, 4)],
           e.position, e.id, e.type, 'Fault' || fault, 'this went wrong for the ' || fault || 'th reason',
           repeat('  File "/app/processors/step.py", line 12, in apply' || E'\\n', 40), left(md5(fault::text), 12), 8,
           e.recorded_at, e.recorded_at + interval '1 hour',
           CASE WHEN n <= %(letters)s THEN 'open' ELSE 'resolved' END, e.aggregate_type, e.aggregate_id
    FROM (SELECT n, bench.rank(%(faults)s) AS fault FROM generate_series(1, %(letters)s::bigint * 6 / 5) n) AS made
    JOIN events.events e ON e.position = 1 + mod(n * 7919, %(events)s)
    ON CONFLICT DO NOTHING
    """,
    """
    INSERT INTO events.dead_letter_audit (letter_id, at, who, action, details)
    SELECT id, last_failed_at, CASE action WHEN 'failed' THEN 'worker' ELSE 'ann' END, action, 'looked at it'
    FROM events.dead_letters, unnest(CASE WHEN mod(id, 20) = 0 THEN ARRAY['failed', 'edited', 'replayed', 'failed']
                                          ELSE ARRAY['failed'] END) AS action
    """,
    """
    INSERT INTO events.attempts (processor, position, attempts, first_seen, next_at, error_class)
    SELECT 'search_index', position, 1 + mod(position, 5), now() - interval '5 min', now() + interval '5 min', 'Away'
    FROM events.events WHERE position > %(events)s - 1000
    """,
    """
    INSERT INTO events.quarantine (stream, entry_id, digest, type, fields, reason, state, received_at)
    SELECT 'stream-' || bench.rank(5), n || '-0', decode(md5(n::text), 'hex'), 'donation.completed',
           jsonb_build_array(jsonb_build_array('type', 'donation.completed'), jsonb_build_array('payload', '{{}}')),
           'the payload lacks donationId', CASE WHEN mod(n, 5) = 0 THEN 'open' ELSE 'released' END,
           now() - (%(quarantine)s - n) * interval '10 s'
    FROM generate_series(1, %(quarantine)s) n
    """,
    """
    INSERT INTO events.quarantine_audit (quarantine_id, who, action, details)
    SELECT id, 'worker', 'quarantined', reason FROM events.quarantine
    """,
    """
    INSERT INTO events.disclosures (at, who, command, what)
    SELECT now() - (%(letters)s - n) * interval '1 min', 'ann', 'console letters', 'dead letter ' || n
    FROM generate_series(1, %(letters)s) n
    """,
    """
    INSERT INTO events.console_audit (at, name, who, action, details)
    SELECT now() - (%(letters)s - n) * interval '1 min', 'ann', 'ann', 'signed in', 'password'
    FROM generate_series(1, %(letters)s) n
    """,
    """
    INSERT INTO events.processor_pause_audit (processor, kind, at, who, action, details)
    SELECT 'search_index', 'by hand', now() - n * interval '1 min', 'ann', 'paused', 'its server is upgraded'
    FROM generate_series(1, 2000) n
    """,
    """
    INSERT INTO app.contacts (user_id, name, email, phone)
    SELECT bench.thing(3, n), 'Person ' || n, 'Person-' || n || '@Example.org', '+4917' || lpad(n::text, 8, '0')
    FROM generate_series(0, %(contacts)s - 1) n
    """,
    """
    INSERT INTO app.notifications (id, event_id, position, channel, recipient, template, user_id, transactional, state,
                                   reason, tries, provider, created_at, sent_at, changed_at, matter)
    SELECT bench.event(n + 10000000), e.id, e.position, CASE WHEN mod(n, 4) = 0 THEN 'push' ELSE 'email' END,
           CASE WHEN mod(n, 5) = 0 THEN md5('guest ' || n) ELSE 'user:' || person END, 'donation_receipt',
           CASE WHEN mod(n, 5) > 0 THEN person END, true, state, NULL, 1, 'smtp', e.recorded_at,
           CASE WHEN state IN ('sent', 'delivered') THEN e.recorded_at END, e.recorded_at + interval '1 s',
           'donation_id=' || e.aggregate_id
    FROM (SELECT row_number() OVER (ORDER BY position) AS n, position, id, aggregate_id, recorded_at FROM events.events
          WHERE type = 'donation.completed' ORDER BY position LIMIT %(messages)s) AS e,
         LATERAL (SELECT bench.thing(3, mod(n, %(contacts)s)) AS person,
                         CASE mod(n, 100) WHEN 0 THEN 'unknown' WHEN 1 THEN 'failed' WHEN 2 THEN 'queued'
                              ELSE (ARRAY['sent', 'delivered', 'skipped'])[1 + mod(n, 3)] END AS state) AS chosen
    """,
    """
    INSERT INTO app.delivery_reports (provider, words, bytes, failed_at, error)
    SELECT 'sendgrid', '{{}}', 2, now(), 'it names no message of ours' FROM generate_series(1, %(faults)s) n
    """,
)


def fill(db: psycopg.Connection[Any], sizes: Sizes) -> None:
    """Fill empty databases that share one server: the schemas events, app and analytics. ``db`` is in autocommit."""
    given = asdict(sizes)
    settled = max(sizes.events - LATE, sizes.events * 9 // 10)
    db.execute(_FUNCTIONS)
    db.execute("SELECT setseed(0.5)")
    db.cursor().executemany("INSERT INTO bench.kinds VALUES (%s, %s, %s, %s, %s)", list(_kinds()))
    processors = known_processors()
    register(db, processors)
    for first, last in _transactions(1, settled):
        db.execute(_EVENTS, {**given, "first": first, "last": last})
    db.execute(_CURSORS)
    for first, last in _transactions(settled + 1, sizes.events):
        db.execute(_EVENTS, {**given, "first": first, "last": last})
    db.execute("ANALYZE events.events")
    for name, cls in processors.items():
        types = [kind for kind in KINDS if wanting(cls)(kind)]
        db.execute(_CLAIMS.format(schema=cls.database), {"name": name, "types": types, "settled": settled})
    for statement in _ROWS:
        db.execute(statement.replace("{{}}", "{}"), given)
    _look_up(db, settled)
    db.execute("VACUUM ANALYZE")  # as autovacuum does in time


def _transactions(first: int, last: int) -> Iterator[tuple[int, int]]:
    """Each publishes some hundred events: so large a log has many, and the planner knows it."""
    for start in range(first, last + 1, TOGETHER):
        yield start, min(start + TOGETHER - 1, last)


def _kinds() -> Iterator[tuple[int, int, str, str, str]]:
    low = 0
    for kind, share in KINDS.items():
        made = build(kind)
        payload = orjson.dumps(made.model_dump(mode="json", by_alias=True)).decode()
        yield low, low + share, kind, CURRENT[kind].event_version, payload
        low += share


def _look_up(db: psycopg.Connection[Any], settled: int) -> None:
    """The table of the processor event_lookup, whose keys PostgreSQL cannot make."""
    keys = "SELECT position, aggregate_id, correlation_id, causation_id FROM events.events WHERE position <= %s"
    with (
        psycopg.connect(db.info.dsn, password=db.info.password) as other,
        other.cursor("keys") as read,
        db.cursor().copy("COPY analytics.event_lookup (key, position) FROM STDIN") as copy,
    ):
        read.itersize = 10_000
        for position, aggregate, correlation, causation in read.execute(keys, (settled,)):
            copy.write_row((lookup_keys.aggregate(aggregate), position))
            copy.write_row((lookup_keys.correlation(correlation), position))
            if causation is not None:
                copy.write_row((lookup_keys.causation(causation), position))
