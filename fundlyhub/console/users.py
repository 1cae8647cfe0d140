"""Users of the console: names, levels and hashes of passwords, in the Events DB. Only the owner's role changes them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError
from sqlalchemy import Connection

from fundlyhub.console.levels import Level
from fundlyhub.database.console_audit import note
from fundlyhub.errors import Unavailable, WrongState, WrongUse
from fundlyhub.forks import process_cache

SHORTEST, LONGEST = 12, 200
"""Characters of a password."""

NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")
NAME_RULE = "a name has 1 to 64 small letters, digits and . _ @ -, and begins with a letter or a digit"

_ADD = """
    INSERT INTO events.console_users (name, level, password) VALUES (%(name)s, %(level)s, %(password)s)
    ON CONFLICT (name) DO NOTHING
"""
_LIST = """
    SELECT name, level, password IS NOT NULL, made_at, disabled_at,
           (SELECT max(seen_at) FROM events.console_sessions s WHERE s.name = u.name)
    FROM events.console_users u ORDER BY name
"""
_FIND = "SELECT level, password FROM events.console_users WHERE name = %(name)s AND disabled_at IS NULL"
_DISABLE_TOKENS = """
    UPDATE events.console_tokens SET disabled_at = clock_timestamp() WHERE user_name = %(name)s AND disabled_at IS NULL
"""


@dataclass(frozen=True, slots=True)
class User:
    """A user. ``last_seen`` is the last look of a session that has not ended; a disabled user can do nothing."""

    name: str
    level: Level
    has_password: bool
    made_at: datetime
    disabled_at: datetime | None
    last_seen: datetime | None


def add(db: Connection, name: str, level: Level, password: str | None, *, who: str) -> None:
    """Add a user; without a password, for a trusted proxy or one-time links. Raises WrongUse and WrongState."""
    if not NAME.fullmatch(name):
        raise WrongUse(NAME_RULE)
    hashed = None if password is None else _hashed(password)
    if not db.exec_driver_sql(_ADD, {"name": name, "level": level, "password": hashed}).rowcount:
        raise WrongState(f"there is a user {name} already: change its level or its password, or enable it")
    note(db, name, who=who, action="added", details=level)


def set_level(db: Connection, name: str, level: Level, *, who: str) -> None:
    """Change what a user may do, from the next request on. Raises WrongState where there is no such user."""
    _change(db, name, "level = %(value)s", level)
    note(db, name, who=who, action="level", details=level)


def set_password(db: Connection, name: str, password: str, *, who: str) -> None:
    """Change the password, and end all sessions of the user, but no tokens. Raises WrongUse and WrongState."""
    _change(db, name, "password = %(value)s", _hashed(password))
    _end_sessions(db, name)
    note(db, name, who=who, action="password")


def disable(db: Connection, name: str, *, who: str) -> None:
    """Let a user do nothing more, from the next request on, and disable the user's tokens for good.

    Raises WrongState where there is no such user.
    """
    _change(db, name, "disabled_at = coalesce(disabled_at, clock_timestamp())")
    _end_sessions(db, name)
    db.exec_driver_sql(_DISABLE_TOKENS, {"name": name})
    note(db, name, who=who, action="disabled")


def enable(db: Connection, name: str, *, who: str) -> None:
    """Let a disabled user in again. Raises WrongState where there is no such user."""
    _change(db, name, "disabled_at = NULL")
    note(db, name, who=who, action="enabled")


def listed(db: Connection) -> list[User]:
    """All users, by name."""
    return [User(*row) for row in db.exec_driver_sql(_LIST)]


def level_of(db: Connection, name: str) -> Level | None:
    """What a user may do; None for one that is disabled or not there."""
    row = db.exec_driver_sql(_FIND, {"name": name}).one_or_none()
    return None if row is None else row[0]


def verify(db: Connection, name: str, password: str) -> bool:
    """Whether this is the user's password. It takes as long for a user that is not there.

    Raises Unavailable where it cannot be found out, as without the 64 MiB that a hash takes: that is no wrong password.
    """
    row = db.exec_driver_sql(_FIND, {"name": name}).one_or_none()
    known = row[1] if row else None
    try:
        _hasher().verify(known or _nobodys(), password[: LONGEST + 1])
    except (VerifyMismatchError, InvalidHashError):
        return False
    except VerificationError as error:
        raise Unavailable(f"the password cannot be checked now: {error}") from error
    return known is not None


def _change(db: Connection, name: str, what: str, value: str | None = None) -> None:
    statement = f"UPDATE events.console_users SET {what} WHERE name = %(name)s"  # noqa: S608  # our own columns
    if not db.exec_driver_sql(statement, {"name": name, "value": value}).rowcount:
        raise WrongState(f"there is no user {name[:64]!r}; see `fundlyhub console user list`")


def _end_sessions(db: Connection, name: str) -> None:
    for table in ("console_sessions", "console_links"):
        db.exec_driver_sql(f"DELETE FROM events.{table} WHERE name = %(name)s", {"name": name})  # noqa: S608


def _hashed(password: str) -> str:
    if not SHORTEST <= len(password) <= LONGEST:
        raise WrongUse(f"a password has {SHORTEST} to {LONGEST} characters")
    return _hasher().hash(password)


@process_cache
def _hasher() -> PasswordHasher:
    return PasswordHasher()


@process_cache
def _nobodys() -> str:
    """The hash that is compared where there is no user, so that nobody learns from the time who there is."""
    return _hasher().hash("nobody's password")
