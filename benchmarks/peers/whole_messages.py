"""Which messages the platform's events have, and what the tables say of their recipients; nothing of fundlyhub."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import psycopg

from benchmarks.peers.whole_effects import FOLLOW, GIFT, PAYOUT, SIGN_UP, array
from benchmarks.peers.work import Event

Channel = Literal["email", "push", "sms"]

CHANNELS: Mapping[str, Sequence[Channel]] = {
    GIFT: ("email", "push"), FOLLOW: ("email", "push"), SIGN_UP: ("email",), PAYOUT: ("email", "push", "sms"),
}  # fmt: skip
"""The channels through which each type of event may send something."""

# Whom a message goes to, and what it says: all that is asked of the tables, in one statement for any number of them.
_LOOK = """
    SELECT given.number, given.template, person.user_id, person.name, person.email, person.phone, person.locale,
           device.token, campaign.name, other.name, payout.amount, payout.currency,
           coalesce((SELECT jsonb_object_agg(category || '/' || channel, wanted) FROM app.preferences AS wish
                     WHERE wish.user_id = person.user_id), '{}')
    FROM unnest($1::bigint[], $2::text[], $3::uuid[], $4::uuid[], $5::uuid[], $6::uuid[])
        AS given(number, template, person, campaign, other, request)
    LEFT JOIN app.entities AS campaign ON campaign.kind = 'campaign' AND campaign.id = given.campaign
    LEFT JOIN app.payout_requests AS payout ON payout.request_id = given.request
    JOIN app.contacts AS person ON person.user_id = coalesce(given.person, payout.user_id, campaign.owner_id)
    LEFT JOIN app.entities AS other ON other.kind = 'user' AND other.id = given.other
    LEFT JOIN app.devices AS device ON device.user_id = person.user_id AND device.gone_at IS NULL
"""
_DEFAULTS = {"social/email": False}
_CATEGORIES = {"new_donation": "donations", "new_follower": "social"}
"""Of what may be opted out of."""


class Message(NamedTuple):
    """A message to somebody who wants it."""

    event: Event
    template: str
    channel: Channel
    to: str
    name: str
    locale: str
    campaign: str | None
    other: str | None
    amount: Any
    currency: str | None


class _Asked(NamedTuple):
    """What is asked for one message: without a person, the campaign's owner or the one who requested the payout."""

    number: int
    template: str
    person: str | None
    campaign: str | None = None
    other: str | None = None
    request: str | None = None


def messages(db: psycopg.Connection[Any], events: Iterable[Event], channels: Sequence[Channel]) -> Iterator[Message]:
    """The messages of these events through these channels."""
    by_number = {event["number"]: event for event in events}
    for event in by_number.values():
        if event["type"] == SIGN_UP and "email" in channels:
            said = event["payload"]
            yield Message(event, "welcome", "email", said["email"], said["name"], "en", None, None, None, None)
    asked = [one for event in by_number.values() for one in _asked(event, channels)]
    if not asked:
        return
    columns = [array(column) for column in zip(*asked, strict=True)]
    for number, template, person, *found in db.execute(_LOOK, columns, prepare=True):
        event = by_number[number]
        if template != "new_donation" or str(person) != event["payload"]["donorId"]:
            yield from _wanted(event, template, channels, *found)


def _asked(event: Event, channels: Sequence[Channel]) -> Iterator[_Asked]:
    number, said = event["number"], event["payload"]
    match event["type"]:
        case "donation.completed":
            if "email" in channels:
                yield _Asked(number, "donation_receipt", said["donorId"], said["campaignId"])
            yield _Asked(number, "new_donation", None, said["campaignId"],
                         None if said["isAnonymous"] else said["donorId"])  # fmt: skip
        case "user.followed_user":
            yield _Asked(number, "new_follower", said["followedUserId"], None, said["followerId"])
        case "payout.completed":
            yield _Asked(number, "payout_completed", None, request=said["requestId"])


def _wanted(
    event: Event, template: str, channels: Sequence[Channel], name: str, email: str, phone: str | None, locale: str,
    device: str | None, campaign: str | None, other: str | None, amount: Any, currency: str | None,
    wishes: Mapping[str, bool],
) -> Iterator[Message]:  # fmt: skip
    """One message for each of the channels by which the person is reached, and wants to be."""
    said = event["payload"]
    money = (amount, currency) if amount else (said.get("amount"), said.get("currency"))
    addresses: dict[Channel, str | None] = {"email": email}
    if template != "donation_receipt":
        addresses["push"] = device
    if template == "payout_completed":
        addresses["sms"] = phone
    for channel, to in addresses.items():
        key = f"{_CATEGORIES.get(template)}/{channel}"
        if to and channel in channels and wishes.get(key, _DEFAULTS.get(key, True)):
            yield Message(event, template, channel, to, name, locale, campaign, other, *money)
