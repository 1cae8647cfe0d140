"""The policy on whether a message goes out, and when. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

from fundlyhub.channels.messages import ChannelName
from fundlyhub.processors.notifications.catalogue import Notice
from fundlyhub.processors.notifications.contacts import Person

PER_HOUR: dict[ChannelName, int] = {"email": 20, "push": 30, "sms": 5}
"""The most limited messages per recipient, channel and hour; further ones are gathered into a digest."""
GATHERED = "gathered into a digest"
"""Why a message beyond the limit is not sent by itself."""
QUIET = (time(22), time(8))
"""The quiet hours of people who have not set their own."""


def no_address(channel: ChannelName) -> str:
    """Why nothing is sent to a person without an address of this channel."""
    return "no device" if channel == "push" else "no address"


def skip_reason(
    notice: Notice, channel: ChannelName, person: Person, address: str | None, suppression: str | None, recent: int
) -> str | None:
    """Why a message is not sent, if so; ``recent`` is how many limited ones its recipient got in the last hour."""
    if person.deleted:
        return "account deleted"
    if address is None:
        return no_address(channel)
    if suppression == "bounced":
        return "address bounced"
    if notice.transactional:
        return None
    if suppression == "complained":
        return "recipient complained"
    if person.suspended:
        return "account suspended"
    if not person.wants(notice.category, channel):
        return "opted out"
    return GATHERED if notice.is_limited and recent >= PER_HOUR[channel] else None


def send_after(notice: Notice, channel: ChannelName, person: Person, now: datetime) -> datetime | None:
    """When a message may be sent; None is now. Only push and text messages make a sound."""
    return None if channel == "email" or notice.priority == "urgent" else quiet_until(person, now)


def quiet_until(person: Person, now: datetime) -> datetime | None:
    """When the recipient's quiet hours end, if they have begun."""
    begin, end = (person.quiet_from, person.quiet_until) if person.quiet_from and person.quiet_until else QUIET
    local = now.astimezone(person.zone)
    clock = local.time()
    quiet = begin <= clock < end if begin <= end else clock >= begin or clock < end
    if not quiet:
        return None
    day = local.date() + timedelta(days=1 if clock >= end else 0)
    return datetime.combine(day, end, local.tzinfo).astimezone(UTC)
