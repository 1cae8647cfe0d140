"""Tokens for the console's API. Each belongs to a user, and may at most what its user may. Only hashes are kept."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from sqlalchemy import Connection

from fundlyhub.console.levels import LEVELS, Level
from fundlyhub.console.users import NAME, NAME_RULE, level_of
from fundlyhub.database.console_audit import note
from fundlyhub.errors import WrongState, WrongUse

PREFIX = "fundlyhub_"
"""What every token begins with, so that scanners find one that was committed by mistake."""
MOST_DAYS = 366

_SHAPE = re.compile(rf"{PREFIX}[A-Za-z0-9_-]{{43}}")
_ADD = """
    INSERT INTO events.console_tokens (name, user_name, level, token, until)
    VALUES (%(name)s, %(user)s, %(level)s, %(token)s, clock_timestamp() + %(life)s) ON CONFLICT (name) DO NOTHING
"""
_LIST = """
    SELECT name, user_name, level, made_at, until, used_at, disabled_at FROM events.console_tokens ORDER BY name
"""
_DISABLE = """
    UPDATE events.console_tokens SET disabled_at = coalesce(disabled_at, clock_timestamp()) WHERE name = %(name)s
    RETURNING user_name
"""
_FIND = """
    SELECT t.user_name, t.name, t.level, u.level, t.used_at >= clock_timestamp() - interval '1 minute'
    FROM events.console_tokens t JOIN events.console_users u ON u.name = t.user_name
    WHERE t.token = %(token)s AND t.disabled_at IS NULL AND t.until > clock_timestamp() AND u.disabled_at IS NULL
"""
_USED = "UPDATE events.console_tokens SET used_at = clock_timestamp() WHERE token = %(token)s"


@dataclass(frozen=True, slots=True)
class Token:
    """A token without its secret. ``used_at`` is exact to a minute; None for one that nobody has used."""

    name: str
    user: str
    level: Level
    made_at: datetime
    until: datetime
    used_at: datetime | None
    disabled_at: datetime | None


@dataclass(frozen=True, slots=True)
class Bearer:
    """Who calls with a token: its user, and the lower of their levels."""

    user: str
    token: str
    level: Level

    @property
    def who(self) -> str:
        """The name for audits: no name of a user has a slash in it."""
        return f"{self.user}/{self.token}"


def add(db: Connection, name: str, user: str, *, days: int, level: Level | None = None, who: str) -> str:
    """Make a token for a user, and return it: it is known to nobody afterwards.

    Without ``level`` it may what its user may. Raises WrongUse and WrongState.
    """
    if not NAME.fullmatch(name):
        raise WrongUse(NAME_RULE)
    if not 1 <= days <= MOST_DAYS:
        raise WrongUse(f"a token is good for 1 to {MOST_DAYS} days")
    of_user = level_of(db, user)
    if of_user is None:
        raise WrongUse(f"there is no user {user[:64]!r} who may sign in; see `fundlyhub console user list`")
    if level is not None and _lower(level, of_user) != level:
        raise WrongUse(f"{user} is {of_user}: a token may at most what its user may")
    token = PREFIX + secrets.token_urlsafe(32)
    given = {
        "name": name,
        "user": user,
        "level": level or of_user,
        "token": hashed(token),
        "life": timedelta(days=days),
    }
    if not db.exec_driver_sql(_ADD, given).rowcount:
        raise WrongState(f"there is or was a token {name}: take another name")
    note(db, user, who=who, action="token added", details=f"{name}, {given['level']}, {days} days")
    return token


def listed(db: Connection) -> list[Token]:
    """All tokens, by name."""
    return [Token(*row) for row in db.exec_driver_sql(_LIST)]


def disable(db: Connection, name: str, *, who: str) -> None:
    """Let nobody in with a token any more. Raises WrongState where there is no such token."""
    user = db.exec_driver_sql(_DISABLE, {"name": name}).scalar_one_or_none()
    if user is None:
        raise WrongState(f"there is no token {name[:64]!r}; see `fundlyhub console token list`")
    note(db, user, who=who, action="token disabled", details=name)


def find(db: Connection, token: str) -> Bearer | None:
    """Who calls with this token, and that it is in use; None for one that is not good, or not any more."""
    if not _SHAPE.fullmatch(token):
        return None
    row = db.exec_driver_sql(_FIND, {"token": hashed(token)}).one_or_none()
    if row is None:
        return None
    user, name, level, of_user, is_noted = row
    if not is_noted:
        db.exec_driver_sql(_USED, {"token": hashed(token)})
    return Bearer(user, name, _lower(level, of_user))


def _lower(one: Level, other: Level) -> Level:
    return min(one, other, key=LEVELS.index)


def hashed(token: str) -> bytes:
    """What the table keeps of a token."""
    return sha256(token.encode()).digest()
