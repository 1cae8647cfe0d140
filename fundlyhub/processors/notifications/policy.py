"""The policy on whether a message goes out, and when. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from fundlyhub.channels.messages import ChannelName
from fundlyhub.processors.notifications.catalogue import Notice
from fundlyhub.processors.notifications.contacts import Person

PER_HOUR: dict[ChannelName, int] = {"email": 20, "push": 30, "sms": 5}
"""Messages that are limited, per recipient, channel and hour; what is beyond is gathered into a digest."""
GATHERED = "gathered into a digest"
"""Why a message beyond the limit is not sent by itself."""
QUIET = (time(22), time(8))
"""Quiet hours of those who have not set theirs."""


class Verdict(NamedTuple):
    """Why a message is not sent, if so; else when, if not now."""

    skip: str | None = None
    not_before: datetime | None = None


def judge(
    notice: Notice, channel: ChannelName, person: Person, address: str | None, suppression: str | None, recent: int,
    now: datetime,
) -> Verdict:  # fmt: skip
    """Whether a message may go out; ``recent`` is how many the recipient got within the last hour."""
    if person.deleted:
        return Verdict("account deleted")
    if address is None:
        return Verdict("no device" if channel == "push" else "no address")
    if suppression == "bounced":
        return Verdict("address bounced")
    if not notice.transactional:
        if suppression == "complained":
            return Verdict("recipient complained")
        if person.suspended:
            return Verdict("account suspended")
        if not person.wants(notice.category, channel):
            return Verdict("opted out")
        if notice.is_limited and recent >= PER_HOUR[channel]:
            return Verdict(GATHERED)
    if channel == "email" or notice.priority == "urgent":
        return Verdict()
    return Verdict(not_before=quiet_until(person, now))


def quiet_until(person: Person, now: datetime) -> datetime | None:
    """When the recipient's quiet hours end, if it is quiet there now."""
    begin, end = (person.quiet_from, person.quiet_until) if person.quiet_from and person.quiet_until else QUIET
    local = now.astimezone(_zone(person.time_zone))
    clock = local.time()
    quiet = begin <= clock < end if begin <= end else clock >= begin or clock < end
    if not quiet:
        return None
    day = local.date() + timedelta(days=1 if clock >= end else 0)
    return datetime.combine(day, end, local.tzinfo).astimezone(UTC)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # whatever the API wrote there
        return ZoneInfo("UTC")
