"""Reading timelines page by page: a user's home feed, and the timeline of one user, organization or campaign."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection

from fundlyhub.errors import WrongUse
from fundlyhub.processors.shared.last_writer_fields import Entity
from fundlyhub.processors.writes.activity_feed.wording import sentence

MAX_PAGE = 100
"""Activities on a page at most."""
WINDOW = 1_000
"""Entries that one statement looks at, at most."""
ROUNDS = 10
"""Statements for one page, at most. What is hidden fills no page, and is passed over by further rounds."""

_ENTRIES = """
    SELECT occurred_at, position FROM timeline_entries AS entry
    WHERE entry.kind = {kind} AND entry.id = {id} AND (entry.occurred_at, entry.position) < (%(at)s, %(position)s)
    ORDER BY occurred_at DESC, position DESC
    LIMIT %(window)s
"""

_PROFILE = _ENTRIES.format(kind="%(kind)s", id="%(id)s")

# The newest of each timeline that the user follows, by the entries' key alone, and the newest of those. One
# activity may stand in two of them.
_HOME = f"""
    SELECT DISTINCT newest.occurred_at, newest.position
    FROM follows AS followed
    CROSS JOIN LATERAL ({_ENTRIES.format(kind="followed.kind", id="followed.followed_id")}) AS newest
    WHERE followed.follower_id = %(user)s AND followed.follows
    ORDER BY newest.occurred_at DESC, newest.position DESC
    LIMIT %(window)s
"""  # noqa: S608 - put together from constants

# What an activity's parts are called, and whether it may be shown: no part of it may be hidden, and a campaign or an
# update must be known to be public. The view `user_activities` has the same conditions.
_NAMES = """
    LEFT JOIN entities AS actor ON actor.kind = activity.actor_kind AND actor.id = activity.actor_id
    LEFT JOIN entities AS target ON target.kind = activity.target_kind AND target.id = activity.target_id
    LEFT JOIN entities AS detail ON detail.kind = activity.detail_kind AND detail.id = activity.detail_id
"""
_SHOWN = """(
    actor.shown IS NOT FALSE
    AND CASE activity.target_kind WHEN 'campaign' THEN target.shown IS TRUE ELSE target.shown IS NOT FALSE END
    AND (activity.detail_id IS NULL OR detail.shown IS TRUE)
)"""

# Users do not see their own actions in their home feed.
_PAGE = """
    WITH page AS MATERIALIZED ({entries})
    SELECT page.occurred_at, page.position, activity.type,
           activity.actor_kind, activity.actor_id, actor.name,
           activity.target_kind, activity.target_id, target.name,
           activity.detail_kind, activity.detail_id, detail.name, activity.amount, activity.currency,
           {shown} AND (%(user)s::uuid IS NULL OR activity.actor_id IS DISTINCT FROM %(user)s)
    FROM page JOIN activities AS activity ON activity.position = page.position
    {names}
    ORDER BY page.occurred_at DESC, page.position DESC
"""
HOME = _PAGE.format(entries=_HOME, names=_NAMES, shown=_SHOWN)
PROFILE = _PAGE.format(entries=_PROFILE, names=_NAMES, shown=_SHOWN)


class Mark(NamedTuple):
    """A place in a timeline: that of one activity. ``str()`` of it can go into an address and come back."""

    occurred_at: datetime
    position: int

    def __str__(self) -> str:
        return f"{self.occurred_at.isoformat()}~{self.position}"

    @classmethod
    def parse(cls, text: str) -> Mark:
        """The mark of a text; raises WrongUse when it is none."""
        when, _, position = text.partition("~")
        try:
            mark = cls(datetime.fromisoformat(when), int(position))
        except ValueError:
            raise WrongUse("before: is no mark of a page; give the one that the last page came with") from None
        if mark.occurred_at.tzinfo is None or not 0 <= mark.position < 2**63:
            raise WrongUse("before: is no mark of a page; give the one that the last page came with")
        return mark


class Named(NamedTuple):
    """An entity in a line; ``name`` is None until it is known."""

    kind: str
    id: UUID
    name: str | None


class Line(NamedTuple):
    """One activity as it is shown."""

    occurred_at: datetime
    position: int
    type: str
    actor: Named | None
    target: Named
    detail: Named | None
    amount: Decimal | None
    currency: str | None

    @property
    def text(self) -> str:
        """The line as a sentence."""
        actor, detail = (named.name if named else None for named in (self.actor, self.detail))
        return sentence(self.type, actor, self.target.name, detail, self.amount, self.currency)


class Page(NamedTuple):
    """Lines, the newest first, and the mark to ask for what comes after them; None when that is all."""

    lines: Sequence[Line]
    next: Mark | None


_NEWEST = Mark(datetime.max.replace(tzinfo=UTC), 2**63 - 1)


def home_feed(db: Connection, user: UUID, *, before: Mark | None = None, limit: int = 20) -> Page:
    """Home feed of a user, from the App DB: up to ``limit`` lines that come after ``before``.

    A page may be short, even empty, and still have a next one, when much of it is hidden.
    """
    return _pages(db, HOME, {"user": user}, before, limit)


def profile_feed(db: Connection, whose: Entity, *, before: Mark | None = None, limit: int = 20) -> Page:
    """Timeline of one user, organization or campaign, by the same rules as ``home_feed``."""
    return _pages(db, PROFILE, {"user": None, "kind": whose.kind, "id": whose.id}, before, limit)


def _pages(db: Connection, sql: str, whose: Mapping[str, Any], before: Mark | None, limit: int) -> Page:
    if not 1 <= limit <= MAX_PAGE:
        raise WrongUse(f"limit: must be from 1 to {MAX_PAGE}")
    lines: list[Line] = []
    mark, window = before or _NEWEST, limit + 1
    for _ in range(ROUNDS):
        rows = db.exec_driver_sql(sql, {**whose, "at": mark[0], "position": mark[1], "window": window}).all()
        for row in rows:
            if row[-1]:
                if len(lines) == limit:
                    return Page(lines, Mark(*lines[-1][:2]))
                lines.append(_line(row))
            mark = Mark(row[0], row[1])
        if len(rows) < window:
            return Page(lines, None)
        window = min(2 * window, WINDOW)
    return Page(lines, mark)


def _line(row: Sequence[Any]) -> Line:
    parts = [Named(*row[at : at + 3]) if row[at] is not None else None for at in (3, 6, 9)]
    assert parts[1] is not None
    return Line(row[0], row[1], row[2], parts[0], parts[1], parts[2], row[12], row[13])
