"""The snapshot cursor: each committed event once, in order, whatever the writers do."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from fundlyhub.errors import Unavailable
from fundlyhub.relay.cursor import _FLOORS, _PAGE, LostLeadership, SnapshotCursor
from fundlyhub.relay.rebase import rebase
from tests.relay.writers import INSERT, SCHEMA, LongTransaction, Writer, order_kept

Db = psycopg.Connection[Any]
PAYLOAD: dict[str, object] = {"n": 1}


@pytest.fixture
def db(dsn: str) -> Iterator[Db]:
    """The relay's connection."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(SCHEMA)
        yield connection


def drain(cursor: SnapshotCursor, limit: int = 200) -> list[int]:
    """All rows that there are now, page by page."""
    positions: list[int] = []
    while cursor.open():
        rows = cursor.page(limit)
        positions += [row[0] for row in rows]
        cursor.move(rows[-1][0] if len(rows) == limit else None)
        if len(rows) < limit:
            break
    return positions


def insert(dsn: str, count: int = 1) -> list[int]:
    """Commit so many events."""
    with psycopg.connect(dsn) as db:
        return [
            row[0] for _ in range(count) for row in db.execute(INSERT + " RETURNING position", ("a.b", None, Jsonb({})))
        ]


@pytest.mark.parametrize(("limit", "seed"), [(7, 1), (200, 2)])
def test_eight_writers_with_rollbacks_and_an_open_transaction_lose_and_double_nothing(
    db: Db, dsn: str, limit: int, seed: int
) -> None:
    cursor = SnapshotCursor.take(db, "main")
    rng = random.Random(seed)
    early = LongTransaction(dsn, "a.b", PAYLOAD)
    writers = [Writer(dsn, seed * 100 + n, 60, "a.b", PAYLOAD) for n in range(8)]
    for writer in writers:
        writer.start()
    positions: list[int] = []
    while any(writer.is_alive() for writer in writers):
        positions += drain(cursor, limit)
        if rng.random() < 0.1:  # as after a crash: everything is read from the table again
            cursor = SnapshotCursor.take(db, "main")
    positions += drain(cursor, limit)
    committed = sum(writer.committed for writer in writers)
    assert len(positions) == committed, "what was committed was relayed while an older transaction was open"
    early.commit()
    positions += drain(cursor, limit)
    assert len(positions) == len(set(positions)) == committed + 1
    order = dict(db.execute("SELECT position, aggregate_id FROM events.events").fetchall())
    assert set(order) == set(positions)
    assert order_kept([order[position] for position in positions])


def test_a_crash_before_the_move_hands_the_page_over_again_and_one_after_it_does_not(db: Db, dsn: str) -> None:
    sent = insert(dsn, 25)
    cursor = SnapshotCursor.take(db, "main")
    assert cursor.open()
    assert [row[0] for row in cursor.page(10)] == sent[:10]
    cursor = SnapshotCursor.take(db, "main")  # crashed before the move
    assert cursor.open()
    assert [row[0] for row in cursor.page(10)] == sent[:10]
    cursor.move(sent[9])
    late = insert(dsn, 3)
    cursor = SnapshotCursor.take(db, "main")  # crashed after the move, in mid-window
    assert cursor.window is not None
    assert [row[0] for row in cursor.page(100)] == sent[10:], "the window ends where it was opened"
    cursor.move(None)
    assert drain(cursor) == late


def test_a_transaction_that_commits_out_of_order_is_found(db: Db, dsn: str) -> None:
    cursor = SnapshotCursor.take(db, "main")
    early = LongTransaction(dsn, "a.b", PAYLOAD)
    later = insert(dsn, 2)
    assert drain(cursor) == later
    early.commit()
    assert drain(cursor) == [later[0] - 1]
    assert drain(cursor) == []


def test_an_empty_window_writes_nothing(db: Db, dsn: str) -> None:
    insert(dsn)
    cursor = SnapshotCursor.take(db, "main")
    drain(cursor)
    moved = db.execute("SELECT moved_at FROM events.relay_cursors").fetchone()
    for _ in range(5):
        assert drain(cursor) == []
    assert db.execute("SELECT moved_at FROM events.relay_cursors").fetchone() == moved


def test_a_former_owner_writes_nothing(db: Db, dsn: str) -> None:
    insert(dsn, 3)
    former = SnapshotCursor.take(db, "main")
    assert former.open()
    owner = SnapshotCursor.take(db, "main")
    before = db.execute("SELECT seen::text, target::text, after FROM events.relay_cursors").fetchone()
    with pytest.raises(LostLeadership):
        former.move(None)
    assert db.execute("SELECT seen::text, target::text, after FROM events.relay_cursors").fetchone() == before
    assert len(drain(owner)) == 3


def test_a_cursor_of_another_cluster_is_refused_with_what_to_do(db: Db) -> None:
    SnapshotCursor.take(db, "main")
    db.execute("UPDATE events.relay_cursors SET system_identifier = 42")
    with pytest.raises(Unavailable, match="fundlyhub relay rebase"):
        SnapshotCursor.take(db, "main")


def test_after_a_rebase_what_lies_above_the_floor_is_handed_over_and_nothing_below(db: Db, dsn: str) -> None:
    sent = insert(dsn, 10)
    drain(SnapshotCursor.take(db, "main"))
    # As if copied from an older cluster: ids that this one has not given out yet.
    db.execute("UPDATE events.events SET xid = (position + 4000000000)::text::xid8")
    db.execute("UPDATE events.relay_cursors SET system_identifier = 42")
    with psycopg.connect(dsn, autocommit=True) as other:
        assert rebase(other, floor=sent[6]) == 3
    cursor = SnapshotCursor.take(db, "main")
    assert drain(cursor) == sent[7:]
    assert drain(cursor) == []
    assert drain(cursor) + insert(dsn, 2) == drain(cursor)


def test_a_rebase_after_pg_upgrade_only_restamps(db: Db, dsn: str) -> None:
    insert(dsn, 4)
    drain(SnapshotCursor.take(db, "main"))
    late = insert(dsn, 2)
    db.execute("UPDATE events.relay_cursors SET system_identifier = 42")
    with psycopg.connect(dsn, autocommit=True) as other:
        rebase(other, floor=None, same_xids=True)
    assert drain(SnapshotCursor.take(db, "main")) == late


def test_a_rebase_is_refused_while_a_relay_leads(db: Db, dsn: str) -> None:
    from fundlyhub.relay.leader import try_to_lead

    assert try_to_lead(db, "main")
    with psycopg.connect(dsn, autocommit=True) as other, pytest.raises(Unavailable, match="stop all relays"):
        rebase(other, floor=0)


@pytest.fixture
def grown(db: Db, dsn: str) -> Iterator[tuple[Db, SnapshotCursor, LongTransaction]]:
    """A log of 100,000 events behind a transaction that is open since before the first of them."""
    early = LongTransaction(dsn, "a.b", PAYLOAD)
    db.execute(
        """INSERT INTO events.events (id, type, version, payload, occurred_at)
           SELECT gen_random_uuid(), 'a.b', '1.0.0', '{}', now() FROM generate_series(1, 100000)"""
    )
    cursor = SnapshotCursor.take(db, "main")
    drain(cursor, 20_000)
    insert(dsn, 3)
    yield db, cursor, early


@pytest.mark.parametrize("analyzed", [False, True])
def test_a_poll_reads_little_behind_an_open_transaction_and_after_it(
    grown: tuple[Db, SnapshotCursor, LongTransaction], dsn: str, analyzed: bool
) -> None:
    db, cursor, early = grown
    if analyzed:
        db.execute("ANALYZE events.events")
    floors = buffers(db, _FLOORS, {"seen": cursor.seen, "target": None})
    assert floors < 50
    assert page_buffers(cursor) < 50
    assert len(drain(cursor)) == 3
    early.commit()
    insert(dsn, 2)
    assert page_buffers(cursor) < 50, "the late rows are not sought from the early one on"
    assert len(drain(cursor)) == 3


def test_paging_through_a_backlog_reads_each_page_once(
    grown: tuple[Db, SnapshotCursor, LongTransaction], dsn: str
) -> None:
    db, cursor, early = grown
    db.execute(
        """INSERT INTO events.events (id, type, version, payload, occurred_at)
           SELECT gen_random_uuid(), 'a.b', '1.0.0', '{}', now() FROM generate_series(1, 50000)"""
    )
    reads = []
    while cursor.open():
        rows = cursor.page(5_000)
        reads.append(page_buffers(cursor, 5_000))
        cursor.move(rows[-1][0] if len(rows) == 5_000 else None)
        if len(rows) < 5_000:
            break
    assert len(reads) == 11
    assert max(reads[:10]) < 3 * min(reads[:10]), "a later page costs what an early one costs"
    early.commit()


def page_buffers(cursor: SnapshotCursor, limit: int = 200) -> int:
    """The blocks that the next page touches."""
    assert cursor.open()
    assert cursor.window is not None
    window = cursor.window
    place = {"target": window.target, "after": window.after, "late": window.late}
    return buffers(cursor.db, _PAGE, {"seen": cursor.seen, "limit": limit, **place})


def buffers(db: Db, query: str, values: dict[str, Any]) -> int:
    """The blocks that a statement touches."""
    row = db.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {query}", values).fetchone()
    assert row is not None
    (plan,) = row[0] if isinstance(row[0], list) else json.loads(row[0])
    return int(plan["Plan"]["Shared Hit Blocks"]) + int(plan["Plan"]["Shared Read Blocks"])
