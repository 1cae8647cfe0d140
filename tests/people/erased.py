"""Short ways to erase a person, and to look for what is left of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from fundlyhub import DonationCompleted
from fundlyhub.events.log import head
from fundlyhub.people.erasing import Erased, Tell, erase
from fundlyhub.people.person import Person
from fundlyhub.retention.archives.file import write
from fundlyhub.settings import get_settings
from tests.support.make import completed
from tests.verification import world
from tests.verification.world import OURS, WELLS, sql

GUEST, GUS = "gus.guest@example.org", "Gus Guest"
GIFT = UUID(int=951)
TABLES = """
    SELECT table_schema, table_name FROM information_schema.tables
    WHERE table_schema IN ('events', 'app', 'analytics') AND table_type = 'BASE TABLE'
"""
STATS = "SELECT * FROM analytics.campaign_stats_now ORDER BY 1, 2"
FACTS = """
    SELECT position, id, xid::text, type, version, aggregate_id, occurred_at, recorded_at FROM events.events
    ORDER BY position
"""


def person(*ids: UUID, address: str | None = None) -> Person:
    """A person by what an operator knows."""
    one = Person(get_settings().secret)
    for id in ids:
        one.add_id(id)
    if address:
        one.add_address(address)
    return one


def nobody(what: str, done: int, total: int) -> None:
    """Nobody wants to know."""


def erased(*ids: UUID, address: str | None = None, tell: Tell = nobody) -> Erased:
    """An erasure to its end."""
    return erase(get_settings(), OURS, person(*ids, address=address), who="Olga", reason="a request", tell=tell)


def places(value: str) -> list[str]:
    """The tables in which a text stands, in whatever column."""
    return [
        f"{schema}.{table}"
        for schema, table in sql(TABLES)
        if sql(f"SELECT 1 FROM {schema}.{table} t WHERE strpos(lower(t::text), lower(%s)) > 0 LIMIT 1", value)
    ]


def archive(db: psycopg.Connection[Any], folder: Path) -> None:
    """Write the whole log into an archive that counts as restored."""
    last = head(db)
    away = write(db, 1, last, folder, lambda done: None)
    db.execute(
        "INSERT INTO events.archives (low, high, events, types, file, sha256, system_identifier, who, restored_at)"
        " SELECT 1, %s, %s, %s, %s, %s, system_identifier, 'test', now() FROM pg_control_system()",
        (last, away.events, Jsonb(dict(away.types)), str(away.file), away.sha256),
    )


def guest_gift() -> DonationCompleted:
    """A donation of somebody who has no account."""
    return completed(WELLS, donation_id=GIFT, donor_id=None, donor_email=GUEST, donor_name=GUS, is_anonymous=False)


def take_up() -> None:
    """Relayed, and taken up by all processors."""
    world.relay()
    world.apply(OURS.values())
