"""Ceilings on all messages to one person, address or number: above them a message is held back for an operator.

Anybody can make the platform write to an address that is not theirs: by signing up with it, or by signing in again and
again. The ledger counts. A message counts from the transaction that writes its row, so that a retry, a second worker
or a crash counts none twice; what is skipped or held back does not count. Two workers that plan messages to the same
address count one after the other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from logging import getLogger
from typing import NamedTuple

from sqlalchemy import Connection

from fundlyhub.channels.messages import ChannelName
from fundlyhub.database.arrays import array
from fundlyhub.processors.notifications.message import Message
from fundlyhub.settings import Settings

log = getLogger(__name__)

HELD = "over the ceiling"
"""How the reason of a message that is held back begins."""

# In one order everywhere, and after the contacts, so that two workers cannot deadlock.
_LOCK = "SELECT count(pg_advisory_xact_lock(hashtextextended(key, 0))) FROM unnest(%(keys)s::text[]) AS key"
_COUNTED = "state NOT IN ('skipped', 'held') AND created_at > clock_timestamp() - interval '1 day'"
_HOUR = "created_at > clock_timestamp() - interval '1 hour'"
# One message to several devices is one message to its user.
_COUNT = f"""
    SELECT ceiling_key, template, count(*) FILTER (WHERE {_HOUR}), count(*) FROM notifications
    WHERE channel = %(channel)s AND ceiling_key = ANY (%(keys)s::text[]) AND {_COUNTED}
    GROUP BY ceiling_key, template
    UNION ALL
    SELECT user_id::text, template, count(DISTINCT event_id) FILTER (WHERE {_HOUR}), count(DISTINCT event_id)
    FROM notifications
    WHERE channel = %(channel)s AND user_id = ANY (%(users)s::uuid[]) AND {_COUNTED}
    GROUP BY user_id, template
"""  # noqa: S608 - put together from constants


class Ceiling(NamedTuple):
    """Most messages of a channel to one recipient, in an hour and in a day; 0 is no limit."""

    hour: int
    day: int


def ceiling(channel: ChannelName, settings: Settings) -> Ceiling:
    """The ceiling of a channel, from its setting: ``5/hour 10/day``."""
    hour, day = (int(part.partition("/")[0]) for part in getattr(settings, f"{channel}_ceiling").split())
    return Ceiling(hour, day)


def hold_back(db: Connection, messages: Sequence[Message], settings: Settings) -> list[Message]:
    """These new messages of one channel, of which those above a ceiling are held back; locks their addresses.

    Each counts for the next ones. The recipients' contacts are to be locked already.
    """
    going = [one for one in messages if one.ceiling_key and one.skip is None]
    limits = ceiling(messages[0].channel, settings) if going else Ceiling(0, 0)
    if not going or limits == Ceiling(0, 0):
        return list(messages)
    db.exec_driver_sql(_LOCK, {"keys": array(sorted({one.ceiling_key for one in going if one.ceiling_key}))})
    counts = _Counts(db, going, limits)
    found = [one if one.skip or not one.ceiling_key else counts.judged(one) for one in messages]
    if held := sum(one.held for one in found):
        log.warning("%s: %d messages are held back: %s", messages[0].channel, held, HELD)
    return found


class _Counts:
    """How many messages each recipient got: by address or user, and by template."""

    def __init__(self, db: Connection, going: Sequence[Message], limits: Ceiling) -> None:
        self._limits = limits
        self._hour: Counter[str] = Counter()
        self._day: Counter[str] = Counter()
        self._of_kind: Counter[tuple[str, str]] = Counter()
        self._told: set[tuple[str, object, str]] = set()
        given = {
            "channel": going[0].channel,
            "keys": array({one.ceiling_key for one in going if one.ceiling_key}),
            "users": array({one.person.user_id for one in going if one.person.user_id}),
        }
        for subject, template, hour, day in db.exec_driver_sql(_COUNT, given):
            self._hour[subject] += hour
            self._day[subject] += day
            self._of_kind[subject, template] += day

    def judged(self, message: Message) -> Message:
        """The message, held back if it is above a ceiling; else it counts."""
        subjects = list(self._subjects(message))
        for subject, whom in subjects:
            if reason := self._reason(subject, message):
                return replace(message, skip=f"{HELD}: {reason} to one {whom}", held=True)
        for subject, _ in subjects:
            self._hour[subject] += 1
            self._day[subject] += 1
            self._of_kind[subject, message.notice.template] += 1
            self._told.add((subject, message.event_id, message.notice.template))
        return message

    def _subjects(self, message: Message) -> Iterator[tuple[str, str]]:
        """Who the message counts for, unless it counts for them already: another device had it."""
        assert message.ceiling_key is not None
        yield message.ceiling_key, _ADDRESSES[message.channel]
        user = str(message.person.user_id)
        if message.person.user_id and (user, message.event_id, message.notice.template) not in self._told:
            yield user, "user"

    def _reason(self, subject: str, message: Message) -> str | None:
        kind = message.notice.per_day
        if kind and self._of_kind[subject, message.notice.template] >= kind:
            return f"{kind} of its kind in a day"
        if self._limits.hour and self._hour[subject] >= self._limits.hour:
            return f"{self._limits.hour} in an hour"
        if self._limits.day and self._day[subject] >= self._limits.day:
            return f"{self._limits.day} in a day"
        return None


_ADDRESSES = {"email": "address", "sms": "number", "push": "device"}
