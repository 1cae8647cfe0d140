"""Whether a message goes out, when, and what to do with one that is on its way. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from fundlyhub.channels.messages import ChannelName
from fundlyhub.processors.notifications.catalogue import Notice
from fundlyhub.processors.notifications.contacts import Person
from fundlyhub.processors.notifications.ledger import Row

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


@dataclass(frozen=True, slots=True)
class Next:
    """What a run does about a message: send it, wait so many seconds, or leave it settled, failed or unknown."""

    step: Literal["send", "wait", "settled", "failed", "unknown"]
    seconds: float = 0.0


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


def next_step(row: Row, *, again: bool, replayed_after: datetime | None) -> Next:
    """What is to be done about a message; ``again`` is its template's policy for calls with unknown outcome."""
    replayed = replayed_after is not None and row.changed_at <= replayed_after
    match row.state:
        case "queued" if row.wait is not None and row.wait > 0:
            return Next("wait", row.wait)
        case "queued":
            return Next("send")
        case "sending" if row.lease is not None and row.lease > 0:
            return Next("wait", row.lease)
        case "sending":
            return Next("send" if again else "unknown")
        case "failed" if row.accepted:  # it bounced later, as the provider told us: that is no fault of the event
            return Next("settled")
        case "failed":
            return Next("send" if replayed else "failed")
        case "unknown":
            return Next("send" if replayed else "unknown")
        case _:
            return Next("settled")
