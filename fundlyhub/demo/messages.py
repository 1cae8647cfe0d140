"""Checking messages: each one sent once, to the right person, or skipped for a valid reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

from fundlyhub.channels.messages import ChannelName
from fundlyhub.database import connect
from fundlyhub.demo import business
from fundlyhub.processors import notifications
from fundlyhub.processors.notifications.catalogue import BY_TEMPLATE, DIGESTS
from fundlyhub.processors.notifications.planning.overtaken import OVERTAKEN
from fundlyhub.processors.notifications.policy import GATHERED, PER_HOUR
from fundlyhub.settings import Settings

TELLERS = {cls.name: cls for cls in (getattr(notifications, name) for name in notifications.__all__)}
"""The processors that send messages."""

# The expected messages, from the business tables by docs/notifications.md, and those that are surely not sent. A matter
# has one message, even if several events report it.
EXPECTED = """
    WITH gifts AS (
        SELECT 'donation_id=' || d.id AS matter, d.donor_id, d.guest_email, c.owner_id FROM demo.donations d
        JOIN events.events e ON e.type = 'donation.completed' AND e.payload ->> 'donationId' = d.id::text
        JOIN demo.campaigns c ON c.id = d.campaign_id
        WHERE d.run = %(run)s
    ), told (template, matter, user_id, somewhere, overtaken) AS (
        SELECT 'welcome', 'user_id=' || r.user_id, r.user_id, true, false FROM demo.reach r
        JOIN events.events e ON e.type = 'user.registered' AND e.payload ->> 'userId' = r.user_id::text
        WHERE r.run = %(run)s
        UNION
        SELECT 'donation_receipt', matter, donor_id, donor_id IS NOT NULL OR guest_email IS NOT NULL, false
        FROM gifts
        UNION
        SELECT 'new_donation', matter, CASE WHEN owner_id IS DISTINCT FROM donor_id THEN owner_id END,
               owner_id IS DISTINCT FROM donor_id, false FROM gifts
        UNION
        SELECT 'refund', 'donation_id=' || d.id || ' refund_transaction_id=' || r.transaction_id
                   || ' refund_amount=' || trim_scale((e.payload ->> 'refundAmount')::numeric),
               d.donor_id, d.donor_id IS NOT NULL OR d.guest_email IS NOT NULL, false
        FROM demo.refunds r JOIN demo.donations d ON d.id = r.donation_id
        JOIN events.events e ON e.type = 'donation.refunded'
                            AND e.payload ->> 'refundTransactionId' = r.transaction_id
        WHERE r.run = %(run)s
        UNION
        SELECT 'donation_failed', 'donation_id=' || (e.payload ->> 'donationId'), NULL, false, false
        FROM demo.campaigns c
        JOIN events.events e ON e.type = 'donation.failed' AND e.payload ->> 'campaignId' = c.id::text
        WHERE c.run = %(run)s
        UNION
        SELECT 'new_follower', 'follower_id=' || f.follower_id || ' followed_user_id=' || f.followed_id,
               f.followed_id, true, EXISTS (
                   SELECT FROM demo.follows AS later WHERE NOT later.follows AND later.kind = 'user'
                       AND later.follower_id = f.follower_id AND later.followed_id = f.followed_id)
        FROM demo.follows f
        JOIN events.events e ON e.type = 'user.followed_user' AND e.payload ->> 'followerId' = f.follower_id::text
                            AND e.occurred_at = f.at
        WHERE f.run = %(run)s AND f.kind = 'user' AND f.follows
        UNION
        SELECT 'account_suspended', 'user_id=' || t.id || ' suspended_until=2026-01-01T00:00:00+00:00 reason=r',
               t.id, true, EXISTS (
                   SELECT FROM demo.told AS later
                   WHERE later.id = t.id AND later.field = 'suspended' AND later.value <> 'yes')
        FROM demo.told t
        JOIN events.events e ON e.type = 'admin.user.suspended' AND e.payload ->> 'userId' = t.id::text
                            AND e.occurred_at = t.at
        WHERE t.run = %(run)s AND t.field = 'suspended' AND t.value = 'yes'
        UNION
        SELECT CASE e.type WHEN 'payout.requested' THEN 'payout_requested' ELSE 'payout_completed' END,
               'request_id=' || p.id, p.user_id, true, e.type = 'payout.requested' FROM demo.payouts p
        JOIN events.events e ON e.type IN ('payout.requested', 'payout.completed')
                            AND e.payload ->> 'requestId' = p.id::text
        WHERE p.run = %(run)s
    )
    SELECT told.template, told.matter, told.user_id,
           CASE WHEN somewhere THEN NULL WHEN told.template = 'new_donation' THEN 'own donation' ELSE 'no address' END,
           coalesce(reach.device, false), coalesce(reach.phone, false),
           coalesce(CASE told.template WHEN 'new_donation' THEN reach.wants_gifts
                                       WHEN 'new_follower' THEN reach.wants_social END, true),
           overtaken
    FROM told LEFT JOIN demo.reach USING (user_id)
"""
# Refunds and payouts whose donation or request was rolled back: their messages wait for it in vain.
ORPHANS = """
    SELECT (SELECT count(*) FROM demo.refunds r WHERE r.run = %(run)s
                AND NOT EXISTS (SELECT FROM demo.donations d WHERE d.id = r.donation_id))
         + %(channels)s * (SELECT count(*) FROM events.events e WHERE e.position = ANY (%(positions)s)
                AND e.type = 'payout.completed'
                AND NOT EXISTS (SELECT FROM demo.payouts p WHERE p.id::text = e.payload ->> 'requestId'))
"""
SUSPENDED = "SELECT DISTINCT id FROM demo.told WHERE run = %(run)s AND field = 'suspended' AND value = 'yes'"
# The amounts in messages about refunds, whether they are sent or skipped.
TELLINGS = """
    SELECT donation_id, sum(amount) FROM refund_tellings WHERE donation_id = ANY (%(donations)s) GROUP BY donation_id
"""
LEDGER = """
    SELECT template, channel, matter, id, user_id, state, reason, created_at
    FROM notifications WHERE position = ANY (%(positions)s) AND template <> ALL (%(digests)s)
"""
SUMMING = "SELECT id FROM notifications WHERE position = ANY (%(positions)s) AND template = ANY (%(digests)s)"

TOLD_BY_ANOTHER = "nothing more was returned"
Key = tuple[str, ChannelName, str]
"""Template, channel and matter: in the demo each has one message."""
Recipient = tuple[ChannelName, UUID | None]


class Wanted(NamedTuple):
    """An expected message: its user, why it is surely not sent, if so, and whether it may be overtaken."""

    user_id: UUID | None
    skip: str | None
    overtaken: bool


class Found(NamedTuple):
    """A message in the ledger."""

    id: UUID
    user_id: UUID | None
    state: str
    reason: str | None
    at: datetime


class Told(NamedTuple):
    """The result of the check: messages compared, messages sent by channel, and differences."""

    checked: int
    sent: Mapping[str, int]
    mismatches: list[dict[str, Any]]


def orphans(settings: Settings, run: int, positions: Sequence[int]) -> int:
    """How many messages wait for something that was rolled back."""
    given = {"run": run, "positions": list(positions), "channels": len(BY_TEMPLATE["payout_completed"].channels)}
    with connect("events", settings=settings) as db:
        row = db.execute(ORPHANS, given).fetchone()
    return int(row[0]) if row else 0


def outbox(folder: Path) -> Counter[UUID]:
    """How many files of each message the file backends have written: the reference is the end of the name."""
    return Counter(UUID(file.stem.split("-", 1)[1]) for file in (folder / "outbox").glob("*/[0-9]*"))


def check_messages(settings: Settings, run: int, positions: Sequence[int], copies: Mapping[UUID, int]) -> Told:
    """Compare the ledger of a run's events, and the copies that really went out, with the expected messages."""
    with connect("events", settings=settings) as db:
        wanted = dict(pair for row in db.execute(EXPECTED, {"run": run}) for pair in _per_channel(*row))
        suspended = {one for (one,) in db.execute(SUSPENDED, {"run": run})}
        returned = {gift: amount for gift, _, amount in db.execute(business.RETURNED, {"run": run}) if amount}
    digests = [notice.template for notice in DIGESTS.values()]
    with connect("app", settings=settings) as db:
        summing = {one for (one,) in db.execute(SUMMING, {"positions": list(positions), "digests": digests})}
        rows = db.execute(LEDGER, {"positions": list(positions), "digests": digests}).fetchall()
        tellings: dict[UUID, Any] = dict(db.execute(TELLINGS, {"donations": list(returned)}).fetchall())
    found: dict[Key, Found] = {(row[0], row[1], row[2]): Found(*row[3:]) for row in rows}
    full = _full(found)
    mismatches = [
        {"what": f"message {key[0]} by {key[1]} about {key[2]}", "expected": expected, "found": is_}
        for key in sorted(wanted.keys() | found.keys())
        for expected, is_ in _differences(key, wanted.get(key), found.get(key), copies, suspended, full)
    ]
    strays = copies.keys() - {one.id for one in found.values()} - summing
    mismatches += [{"what": f"copy {one}", "expected": "a message in the ledger", "found": None} for one in strays]
    mismatches += _too_many(found)
    mismatches += [
        {"what": f"refunds of {gift} in messages", "expected": str(amount), "found": str(tellings.get(gift))}
        for gift, amount in returned.items()
        if tellings.get(gift) != amount
    ]
    by_channel = Counter(key[1] for key, one in found.items() if one.state == "sent")
    return Told(len(wanted), dict(sorted(by_channel.items())), mismatches)


def _per_channel(
    template: str,
    matter: str,
    user_id: UUID | None,
    nobody: str | None,
    device: bool,
    phone: bool,
    wants: bool,
    overtaken: bool,
) -> Iterator[tuple[Key, Wanted]]:
    for channel in BY_TEMPLATE[template].channels:
        here = {"email": True, "push": device, "sms": phone}[channel]
        lacks = "no device" if channel == "push" else "no address"
        unwished = "opted out" if channel == "email" and not wants else None
        skip = (nobody if channel == "email" or nobody == "own donation" else lacks) if nobody else None
        yield (template, channel, matter), Wanted(user_id, skip or (None if here else lacks) or unwished, overtaken)


def _differences(
    key: Key, wanted: Wanted | None, found: Found | None, copies: Mapping[UUID, int], suspended: set[UUID],
    full: set[Recipient],
) -> Iterator[tuple[Any, Any]]:  # fmt: skip
    if wanted is None or found is None:
        yield wanted and "a message", found and "a message"
        return
    if key[0] == "refund" and (found.state, found.reason) == ("skipped", TOLD_BY_ANOTHER):
        return  # the API and the webhook report the same refund, and one message is enough
    if wanted.overtaken and (found.state, found.reason) == ("skipped", OVERTAKEN):
        return
    if wanted.user_id != found.user_id:
        yield f"for {wanted.user_id}", f"for {found.user_id}"
    allowed: set[tuple[str, str | None]] = {("skipped", wanted.skip) if wanted.skip else ("sent", None)}
    if _limited(key):
        allowed |= {("skipped", "account suspended")} if wanted.user_id in suspended else set()
        allowed |= {("skipped", GATHERED)} if (key[1], wanted.user_id) in full else set()
    if (found.state, found.reason) not in allowed:
        yield (
            " or ".join(sorted(f"{state} {reason or ''}".strip() for state, reason in allowed)),
            (f"{found.state} {found.reason or ''}".strip()),
        )
    if copies.get(found.id, 0) != (found.state == "sent"):
        yield f"{int(found.state == 'sent')} copies", f"{copies.get(found.id, 0)} copies"


def _sent(found: Mapping[Key, Found]) -> Counter[Recipient]:
    """How many messages that are limited each recipient got through each channel."""
    return Counter((key[1], one.user_id) for key, one in found.items() if one.state == "sent" and _limited(key))


def _full(found: Mapping[Key, Found]) -> set[Recipient]:
    """Recipients whose limit is reached: further messages are gathered into digests."""
    return {recipient for recipient, count in _sent(found).items() if count >= PER_HOUR[recipient[0]]}


def _too_many(found: Mapping[Key, Found]) -> list[dict[str, Any]]:
    """Recipients who got more messages than the limit allows for the duration of the run."""
    times = [one.at for one in found.values()]
    hours = 1 + (max(times) - min(times)) // timedelta(hours=1) if times else 1
    return [
        {"what": f"messages to {user} by {channel}", "expected": f"at most {hours * PER_HOUR[channel]}", "found": count}
        for (channel, user), count in _sent(found).items()
        if count > hours * PER_HOUR[channel]
    ]


def _limited(key: Key) -> bool:
    """Whether the hourly limit applies."""
    return BY_TEMPLATE[key[0]].is_limited
