"""Feeds over many activities: filling the tables, reading pages, and fan-out on write beside them."""

from __future__ import annotations

import time
from uuid import UUID

from sqlalchemy import Connection

from benchmarks.reading.plan import Measured, median_ms, planned
from fundlyhub.processors.shared.last_writer_fields import Entity
from fundlyhub.processors.writes.activity_feed.reading import HOME, PROFILE, Mark, home_feed, profile_feed

FOLLOWING = (10, 100, 1_000, 5_000)
"""How many things the readers follow."""

# Users are numbered from 0, campaigns too; a few of each do, and are followed by, most: their rank's logarithm is even.
FILL = """
    CREATE FUNCTION pg_temp.id(kind int, n int) RETURNS uuid LANGUAGE sql IMMUTABLE AS
        $$ SELECT (lpad(to_hex(kind), 8, '0') || '-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid $$;
    CREATE FUNCTION pg_temp.rank(most int) RETURNS int LANGUAGE sql VOLATILE AS
        $$ SELECT floor(power(most, random()))::int - 1 $$;
    SELECT setseed(0.5);
    INSERT INTO entities SELECT 'user', pg_temp.id(1, n), 'Person ' || n, NULL, mod(n, 50) <> 7
        FROM generate_series(0, {users} - 1) n;
    INSERT INTO entities SELECT 'campaign', pg_temp.id(2, n), 'Campaign ' || n, NULL, mod(n, 20) <> 3
        FROM generate_series(0, {campaigns} - 1) n;
    INSERT INTO activities (position, occurred_at, type, actor_kind, actor_id, target_kind, target_id, amount, currency)
        SELECT n, '2025-01-01'::timestamptz + n * interval '30 s', 'donation_made',
               'user', pg_temp.id(1, (random() * ({users} - 1))::int),
               'campaign', pg_temp.id(2, pg_temp.rank({campaigns})), 25, 'USD'
        FROM generate_series(1, {activities}) n;
    INSERT INTO timeline_entries SELECT actor_kind, actor_id, occurred_at, position FROM activities;
    INSERT INTO timeline_entries SELECT target_kind, target_id, occurred_at, position FROM activities;
    INSERT INTO follows SELECT DISTINCT ON (1, 2, 3) pg_temp.id(1, (random() * ({users} - 1))::int), kind,
               pg_temp.id(CASE kind WHEN 'user' THEN 1 ELSE 2 END,
                          pg_temp.rank(CASE kind WHEN 'user' THEN {users} ELSE {campaigns} END)), now(), n, true
        FROM generate_series(1, {follows}) n, LATERAL (SELECT (ARRAY['user', 'campaign'])[1 + mod(n, 2)]) AS k(kind);
"""
READER = """
    INSERT INTO follows SELECT %(reader)s, kind, id, now(), 1, true FROM (
        SELECT kind, id FROM entities ORDER BY md5(id::text) LIMIT %(following)s
    ) AS chosen
"""

# Fan-out on write: one row per activity and follower of its actor or its campaign.
INBOX = """
    CREATE TABLE inbox (reader_id uuid, occurred_at timestamptz, position bigint,
                        PRIMARY KEY (reader_id, occurred_at, position))
"""
FAN_OUT = """
    INSERT INTO inbox
    SELECT DISTINCT follower_id, entry.occurred_at, entry.position
    FROM timeline_entries AS entry JOIN follows ON follows.kind = entry.kind AND followed_id = entry.id
    WHERE follows AND entry.position BETWEEN %(first)s AND %(last)s
"""
ENTRIES_AGAIN = """
    INSERT INTO again SELECT * FROM timeline_entries WHERE position BETWEEN %(first)s AND %(last)s
"""
INBOX_PAGE = """
    SELECT occurred_at, position FROM inbox WHERE reader_id = %(reader)s
    ORDER BY occurred_at DESC, position DESC LIMIT 21
"""


def fill(db: Connection, activities: int) -> None:
    """Tables of this size, and readers who follow more and more."""
    sizes = {"activities": activities, "users": activities // 10, "campaigns": activities // 50, "follows": activities}
    for statement in FILL.format(**sizes).split(";\n"):
        if statement.strip():
            db.exec_driver_sql(statement)
    for following in FOLLOWING:
        db.exec_driver_sql(READER, {"reader": UUID(int=following), "following": following})


def reads(db: Connection) -> list[Measured]:
    """Pages of home feeds, the first ones and those far down, and of a profile."""
    found = []
    for following in FOLLOWING:
        reader = UUID(int=following)
        first = home_feed(db, reader)
        ms = median_ms(lambda reader=reader: home_feed(db, reader))
        given = {"user": reader, "at": "9999-12-31T23:59:59Z", "position": 2**63 - 1, "window": 21}
        plan = planned(db, HOME, given) if following == 100 else None
        found.append(Measured(f"home feed of a user who follows {following:,}: first page", len(first.lines), ms, plan))
        deep = Mark(first.lines[-1].occurred_at.replace(year=2025, month=6), 500_000)
        ms = median_ms(lambda reader=reader, deep=deep: home_feed(db, reader, before=deep))
        found.append(Measured("the same, a page far down", len(home_feed(db, reader, before=deep).lines), ms, None))
    busiest = Entity("campaign", UUID("00000002-0000-4000-8000-000000000000"))
    ms = median_ms(lambda: profile_feed(db, busiest))
    given = {"user": None, "kind": "campaign", "id": busiest.id, "at": "9999-12-31T23:59:59Z", "position": 2**63 - 1}
    plan = planned(db, PROFILE, {**given, "window": 21})
    found.append(Measured("the busiest campaign's own: first page", len(profile_feed(db, busiest).lines), ms, plan))
    return found


def fan_outs(db: Connection, activities: int, sample: int = 2_000) -> dict[str, float]:
    """Rows and seconds for the newest activities, fanned out to timelines (as we do) and to every follower."""
    db.exec_driver_sql(INBOX)
    db.exec_driver_sql("CREATE TABLE again (LIKE timeline_entries INCLUDING ALL)")
    given = {"first": activities - sample + 1, "last": activities}
    result = {}
    for name, sql in (("timelines", ENTRIES_AGAIN), ("inboxes", FAN_OUT)):
        began = time.perf_counter()
        result[f"{name}_rows"] = float(db.exec_driver_sql(sql, given).rowcount) / sample
        result[f"{name}_ms"] = (time.perf_counter() - began) * 1_000 / sample
    result["inbox_read_ms"] = median_ms(
        lambda: db.exec_driver_sql(INBOX_PAGE, {"reader": UUID(int=FOLLOWING[-1])}).all()
    )
    return result
