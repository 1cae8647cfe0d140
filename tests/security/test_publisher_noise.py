"""A role that notifies the relay without end: however many notifications came, they are one look into the log."""

from __future__ import annotations

import psycopg

from fundlyhub.relay.leader import CHANNEL, Wake


def test_a_thousand_notifications_are_one(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as db, psycopg.connect(dsn, autocommit=True) as noisy:
        wake = Wake(db)
        for number in range(1_000):
            noisy.execute("SELECT pg_notify(%s, %s)", (CHANNEL, str(number)))
        db.execute("SELECT 1")  # while the relay does something else they are kept
        assert wake.wait(10)
        assert not wake.wait(0.01)
