"""The policy on whether a message goes out, and when. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import NamedTuple

from fundlyhub.channels.messages import ChannelName
from fundlyhub.processors.notifications.catalogue import Notice
from fundlyhub.processors.notifications.contacts import Person

PER_HOUR: dict[ChannelName, int] = {"email": 20, "push": 30, "sms": 5}
"""The most limited messages per recipient, channel and hour; further ones are gathered into a digest."""
GATHERED = "gathered into a digest"
"""Why a message beyond the limit is not sent by itself."""
QUIET = (time(22), time(8))
"""The quiet hours of people who have not set their own."""


class Decision(NamedTuple):
    """Why a message is not sent, or when it may be sent; with neither, it is sent now."""

    skip: str | None = None
    not_before: datetime | None = None


def judge(
    notice: Notice, channel: ChannelName, person: Person, address: str | None, suppression: str | None, recent: int,
    now: datetime,
) -> Decision:  # fmt: skip
    """Decide on a message; ``recent`` is how many limited ones its recipient got within the last hour."""
    if person.deleted:
        return Decision("account deleted")
    if address is None:
        return Decision("no device" if channel == "push" else "no address")
    if suppression == "bounced":
        return Decision("address bounced")
    if not notice.transactional:
        if suppression == "complained":
            return Decision("recipient complained")
        if person.suspended:
            return Decision("account suspended")
        if not person.wants(notice.category, channel):
            return Decision("opted out")
        if notice.is_limited and recent >= PER_HOUR[channel]:
            return Decision(GATHERED)
    if channel == "email" or notice.priority == "urgent":
        return Decision()
    return Decision(not_before=quiet_until(person, now))


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
