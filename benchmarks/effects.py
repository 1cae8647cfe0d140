"""The effects of a stream: what must stand in the tables after it, and which messages must have gone out, once each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

import psycopg

from benchmarks.data import Gift, totals
from benchmarks.stream import FOLLOW, GIFT, PAYOUT, SIGN_UP, USERS, Happening, Person, Stream, number_of, user

State = Mapping[str, Counter[Any]]
"""By what it is: rows, each as often as it is there."""

# The cast is in the tables too, so each statement says what of it is the stream's.
_STATE = {
    "statistics": """
        SELECT campaign_id, total_raised, donation_count, unique_donors, largest_donation, average_donation
        FROM analytics.campaign_stats_now
    """,
    "donations": "SELECT donation_id, campaign_id, donor_id, amount FROM app.gift_donors",
    "activities": """
        SELECT type, actor_id, target_id, amount FROM app.activities WHERE type <> 'campaign_created'
    """,
    "timelines": """
        SELECT entry.kind, entry.id, activity.type FROM app.timeline_entries AS entry
        JOIN app.activities AS activity USING (position) WHERE activity.type <> 'campaign_created'
    """,
    "follows": "SELECT follower_id, followed_id FROM app.follows WHERE follows",
    "follow counts": "SELECT id, follower_count, following_count FROM app.follow_counts",
    "contacts": "SELECT user_id, name, email FROM app.contacts",
    "names": "SELECT id, name, shown FROM app.entities WHERE kind = 'user'",
    "popularity": "SELECT kind, id, popularity FROM analytics.search_documents WHERE popularity > 0",
    "campaigns by popularity": "SELECT campaign_id, popularity FROM analytics.campaign_search_projection"
    " WHERE popularity > 0",
    "people by popularity": "SELECT user_id, name, popularity FROM analytics.user_search_projection",
    "payouts": "SELECT id, value #>> '{}' FROM app.entity_fields WHERE kind = 'payout' AND field = 'outcome'",
}


class Copy(NamedTuple):
    """A message that goes out: its channel, and the address, device or number that gets it."""

    channel: str
    to: str


def found(db: psycopg.Connection[Any]) -> State:
    """What stands in the tables."""
    return {what: Counter(db.execute(sql).fetchall()) for what, sql in _STATE.items()}


def wrong(expected: State, is_: State) -> list[str]:
    """Where two states differ."""
    return [
        f"{what}: {sum(should.values())} rows expected, {sum(is_[what].values())} found; {difference}"
        for what, should in expected.items()
        if (difference := _first(should, is_[what])) is not None
    ]


def _first(should: Counter[Any], is_: Counter[Any]) -> str | None:
    for words, rows in (("missing", should - is_), ("too many", is_ - should)):
        if rows:
            return f"{words}: {next(iter(rows))}"
    return None


def expected(happenings: Sequence[Happening]) -> State:
    """What must stand in the tables after these events, and after the cast."""
    paid = [_gift(one) for one in happenings if one.type == GIFT]
    named = {UUID(one.payload["donationId"]) for one in happenings if one.payload.get("isAnonymous") is False}
    pairs = [_pair(one) for one in happenings if one.type == FOLLOW]
    people = [*map(Person, range(USERS)), *_newcomers(happenings)]
    given, followers = Counter(gift.campaign_id for gift in paid), Counter(other for _, other in pairs)
    following = Counter(one for one, _ in pairs)
    popular = [("campaign", *one) for one in given.items()] + [("user", *one) for one in followers.items()]
    activities = [("donation_made", g.donor_id if g.donation_id in named else None, g.campaign_id, g.amount)
                  for g in paid] + [("followed_user", one, other, None) for one, other in pairs]  # fmt: skip
    return {
        "statistics": Counter((id, *total.row()) for id, total in totals(paid).items()),
        "donations": Counter((g.donation_id, g.campaign_id, g.donor_id, g.amount) for g in paid),
        "activities": Counter(activities),
        "timelines": Counter(entry for one in activities for entry in _timelines(*one)),
        "follows": Counter(pairs),
        "follow counts": Counter((id, followers[id], following[id]) for id in {*followers, *following}),
        "contacts": Counter((user(one.number), one.name, one.email) for one in people),
        "names": Counter((user(one.number), one.name, True) for one in people),
        "popularity": Counter(popular),
        "campaigns by popularity": Counter((id, count.bit_length()) for id, count in given.items()),
        "people by popularity": Counter(
            (user(one.number), one.name, followers[user(one.number)].bit_length()) for one in people
        ),
        "payouts": Counter(
            (UUID(one.payload["requestId"]), "completed") for one in happenings if one.type == PAYOUT
        ),
    }  # fmt: skip


def _gift(one: Happening) -> Gift:
    said = one.payload
    donation, campaign, donor = (UUID(said[name]) for name in ("donationId", "campaignId", "donorId"))
    return Gift(one.id, one.at, donation, campaign, donor, Decimal(str(said["amount"])))


def _pair(one: Happening) -> tuple[UUID, UUID]:
    return UUID(one.payload["followerId"]), UUID(one.payload["followedUserId"])


def _newcomers(happenings: Sequence[Happening]) -> Iterator[Person]:
    return (Person(number_of(one.payload["userId"])) for one in happenings if one.type == SIGN_UP)


def _timelines(kind: str, actor: UUID | None, target: UUID, _: object) -> Iterator[tuple[str, UUID, str]]:
    if actor is not None:
        yield "user", actor, kind
    if kind == "donation_made":
        yield "campaign", target, kind


def copies(stream: Stream, happenings: Sequence[Happening]) -> Counter[Copy]:
    """The messages that these events of a stream have."""
    return Counter(copy for one in happenings for copy in _copies(stream.tired, one))


def through(messages: Counter[Copy], channel: str | None) -> Counter[Copy]:
    """Those of one channel; of none there are none."""
    return Counter({one: count for one, count in messages.items() if one.channel == channel})


def _copies(tired: frozenset[int], one: Happening) -> Iterator[Copy]:
    said = one.payload
    match one.type:
        case "user.registered":
            yield Copy("email", said["email"])
        case "donation.completed":
            donor, owner = number_of(said["donorId"]), number_of(said["campaignId"])
            yield Copy("email", Person(donor).email)
            if donor != owner and owner not in tired:
                yield from _to(Person(owner), email=True)
        case "user.followed_user":
            followed = Person(number_of(said["followedUserId"]))
            if followed.number not in tired:
                yield from _to(followed, email=followed.wants_mails_of_follows)
        case _:
            paid = creditor(number_of(said["requestId"]))
            yield from _to(paid, email=True)
            if paid.phone:
                yield Copy("sms", paid.phone)


def creditor(number: int) -> Person:
    """Who has requested the payout of this number."""
    return Person(number % USERS)


def _to(person: Person, *, email: bool) -> Iterator[Copy]:
    if email:
        yield Copy("email", person.email)
    if person.device:
        yield Copy("push", person.device)
