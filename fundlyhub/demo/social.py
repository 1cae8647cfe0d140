"""Checking subscriptions, follow counts and feeds."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from fundlyhub.database import connect
from fundlyhub.database.engines import make_engine
from fundlyhub.demo import business
from fundlyhub.processors.writes.activity_feed.reading import Line, Mark, home_feed
from fundlyhub.settings import Settings

READERS = 25
"""How many users' feeds are read in whole: those who follow most."""

Checked = tuple[int, list[dict[str, Any]]]
"""How much was compared, and the differences."""
Follow = tuple[UUID, str, UUID, Any]

_SUBSCRIPTIONS = """
    SELECT follower_id, following_type, following_id, created_at FROM subscriptions
    WHERE follower_id = ANY (%(users)s)
"""
_COUNTS = "SELECT kind, id, follower_count, following_count FROM follow_counts WHERE id = ANY (%(ids)s)"
_CAST = "SELECT kind, id FROM demo.told WHERE run = %(run)s GROUP BY kind, id"


def _expected(settings: Settings, run: int, query: str) -> list[tuple[Any, ...]]:
    with connect("events", settings=settings) as db:
        return db.execute(query, {"run": run}).fetchall()


def check_subscriptions(settings: Settings, run: int) -> Checked:
    """Compare each subscription of the run's users, with its time."""
    expected = set(_expected(settings, run, business.FOLLOWS))
    users = [one for kind, one in _expected(settings, run, _CAST) if kind == "user"]
    with connect("app", settings=settings) as db:
        found = set(db.execute(_SUBSCRIPTIONS, {"users": users}).fetchall())
    return len(expected), [
        {"what": f"subscription: {row[0]} of {row[1]} {row[2]}", "expected": row in expected, "found": row in found}
        for row in sorted(expected ^ found)
    ]


def check_counts(settings: Settings, run: int) -> Checked:
    """Compare the counts of followers and followings with a recount."""
    expected: dict[tuple[str, UUID], list[int]] = defaultdict(lambda: [0, 0])
    for follower, kind, followed, _ in _expected(settings, run, business.FOLLOWS):
        expected[kind, followed][0] += 1
        expected["user", follower][1] += 1
    ids = [one for _, one in _expected(settings, run, _CAST)]
    with connect("app", settings=settings) as db:
        found = {(kind, one): counts for kind, one, *counts in db.execute(_COUNTS, {"ids": ids})}
    return 2 * len(expected), [
        {
            "what": f"followers and followings of {key[0]} {key[1]}",
            "expected": expected.get(key),
            "found": found.get(key),
        }
        for key in sorted(expected.keys() | found.keys())
        if expected.get(key) != found.get(key)
    ]


def check_feeds(settings: Settings, run: int) -> Checked:
    """Compare the home feeds of the users who follow most, line by line, through all pages."""
    following: dict[UUID, set[tuple[str, UUID]]] = defaultdict(set)
    for follower, kind, followed, _ in _expected(settings, run, business.FOLLOWS):
        following[follower].add((kind, followed))
    news = _expected(settings, run, business.NEWS)
    readers = [user for user, _ in Counter({user: len(all_) for user, all_ in following.items()}).most_common(READERS)]
    lines, wrong = 0, []
    engine = make_engine("app", settings, pooled=False)
    with engine.begin() as db:
        for reader in readers:
            should = [row for row in news if _concerns(row, reader, following[reader])]
            is_ = [_row(line) for line in _whole_feed(db, reader)]
            lines += len(should)
            if should != is_:
                wrong.append(_first_difference(reader, should, is_))
    return lines, wrong


def _concerns(row: Sequence[Any], reader: UUID, following: set[tuple[str, UUID]]) -> bool:
    """Whether a line belongs to the reader's feed; the reader's own actions do not."""
    _, type_, actor, kind, target = row
    acted = actor is not None and bool({("user", actor), ("organization", actor)} & following)
    happened = kind == "campaign" and type_ != "followed_campaign" and (kind, target) in following
    return actor != reader and (acted or happened)


def _whole_feed(db: Connection, reader: UUID) -> Iterator[Line]:
    mark: Mark | None = None
    while True:
        page = home_feed(db, reader, before=mark, limit=50)
        yield from page.lines
        if page.next is None:
            return
        mark = page.next


def _row(line: Line) -> tuple[Any, ...]:
    return line.occurred_at, line.type, line.actor.id if line.actor else None, line.target.kind, line.target.id


def _first_difference(reader: UUID, should: Sequence[Any], is_: Sequence[Any]) -> dict[str, Any]:
    at = next((n for n, (one, other) in enumerate(zip(should, is_, strict=False)) if one != other), None)
    at = min(len(should), len(is_)) if at is None else at
    sides = (str(side[at]) if at < len(side) else None for side in (should, is_))
    return {"what": f"line {at + 1} of the feed of {reader}", **dict(zip(("expected", "found"), sides, strict=True))}
