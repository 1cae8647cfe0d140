"""Sessions of signed-in users, and links that sign somebody in once. Of their tokens the database keeps hashes."""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Literal

from sqlalchemy import Connection

from fundlyhub.console.levels import Level
from fundlyhub.database.console_audit import note
from fundlyhub.errors import WrongState

IDLE = timedelta(minutes=45)
"""A session ends when nobody has looked for so long."""
LONGEST = timedelta(hours=12)
"""And after so long in any case."""
LINK_LIFE = timedelta(minutes=30)
"""A link that signs in is good for so long, and for once."""

Via = Literal["password", "link", "proxy"]

_BEGIN = """
    INSERT INTO events.console_sessions (token, name, via)
    SELECT %(token)s, name, %(via)s FROM events.console_users WHERE name = %(name)s AND disabled_at IS NULL
"""
_FIND = """
    SELECT s.name, u.level, s.via, s.began_at, s.seen_at < clock_timestamp() - interval '1 minute'
    FROM events.console_sessions s JOIN events.console_users u USING (name)
    WHERE s.token = %(token)s AND u.disabled_at IS NULL
      AND s.seen_at > clock_timestamp() - %(idle)s AND s.began_at > clock_timestamp() - %(longest)s
"""
_SEEN = "UPDATE events.console_sessions SET seen_at = clock_timestamp() WHERE token = %(token)s"
_END = "DELETE FROM events.console_sessions WHERE token = %(token)s RETURNING name"
_FORGET = """
    DELETE FROM events.console_sessions
    WHERE seen_at <= clock_timestamp() - %(idle)s OR began_at <= clock_timestamp() - %(longest)s
"""
_LINK = """
    INSERT INTO events.console_links (token, name, until)
    VALUES (%(token)s, %(name)s, clock_timestamp() + %(life)s)
"""
_TAKE = "DELETE FROM events.console_links WHERE token = %(token)s RETURNING name, until > clock_timestamp()"


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who is signed in, by the token of the session."""

    name: str
    level: Level
    via: Via
    since: datetime
    token: str

    @property
    def csrf(self) -> str:
        """What each form and each request that changes something carries: no other site can know it."""
        return sha256(f"csrf:{self.token}".encode()).hexdigest()

    def has_sent(self, csrf: str) -> bool:
        """Whether a request's token is this session's."""
        return hmac.compare_digest(csrf.encode(), self.csrf.encode())


def begin(db: Connection, name: str, via: Via) -> str:
    """Begin a session and return its token, which is new each time. Raises WrongState for a disabled user."""
    token = secrets.token_urlsafe(32)
    db.exec_driver_sql(_FORGET, {"idle": IDLE, "longest": LONGEST})
    if not db.exec_driver_sql(_BEGIN, {"token": _hash(token), "name": name, "via": via}).rowcount:
        raise WrongState("this user may not sign in")
    note(db, name, who=name, action="signed in", details=via)
    return token


def find(db: Connection, token: str) -> Visitor | None:
    """Whose session it is, and that it is in use; None for one that has ended, or whose user is disabled."""
    values = {"token": _hash(token), "idle": IDLE, "longest": LONGEST}
    row = db.exec_driver_sql(_FIND, values).one_or_none()
    if row is None:
        return None
    name, level, via, since, is_old = row
    if is_old:
        db.exec_driver_sql(_SEEN, {"token": _hash(token)})
    return Visitor(name, level, via, since, token)


def end(db: Connection, token: str) -> None:
    """End a session. Safe to repeat."""
    name = db.exec_driver_sql(_END, {"token": _hash(token)}).scalar_one_or_none()
    if name is not None:
        note(db, name, who=name, action="signed out")


def make_link(db: Connection, name: str, *, who: str) -> str:
    """The token of a link that signs a user in once, within ``LINK_LIFE``."""
    token = secrets.token_urlsafe(32)
    db.exec_driver_sql(_LINK, {"token": _hash(token), "name": name, "life": LINK_LIFE})
    note(db, name, who=who, action="link made")
    return token


def take_link(db: Connection, token: str) -> str | None:
    """Use a link up and begin a session: its token, or None for a link that is used, too old or none of ours."""
    row = db.exec_driver_sql(_TAKE, {"token": _hash(token)}).one_or_none()
    return begin(db, row[0], "link") if row and row[1] else None


def _hash(token: str) -> bytes:
    return sha256(token.encode(errors="replace")).digest()
