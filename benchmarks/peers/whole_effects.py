"""All effects of the platform's events as plain statements, for one event or for thousands; nothing of fundlyhub.

Each statement takes arrays, and does in one round trip what one of our processors does: the rows against repeats, and
the effect of what is new. What our processors keep so that any order of events ends in the same rows is left out. Rows
are written in one order everywhere, so that no two statements deadlock. Positions begin behind those of the cast.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import psycopg

from benchmarks.peers.work import Event

GIFT, FOLLOW, SIGN_UP, PAYOUT = "donation.completed", "user.followed_user", "user.registered", "payout.completed"

_CLAIMED = """
    WITH claimed AS (
        INSERT INTO bench.handled (handler, number, event_id)
        SELECT '{handler}', number, id FROM unnest($1::bigint[], $2::uuid[]) AS given(number, id) ORDER BY number
        ON CONFLICT DO NOTHING RETURNING number
    ), given AS (
        SELECT given.*, number + 1000000 AS position
        FROM unnest($1::bigint[], {arrays}) AS given(number, {columns}) JOIN claimed USING (number)
    )
"""
CLAIM = """
    INSERT INTO bench.handled (handler, number, event_id)
    SELECT handler, number, id FROM unnest($1::text[], $2::bigint[], $3::uuid[]) AS given(handler, number, id)
    ORDER BY handler, number ON CONFLICT DO NOTHING RETURNING number
"""
"""The rows against repeats alone."""


class Effect(NamedTuple):
    """What one handler does for one type of event: its statement, and what it takes of each event's payload."""

    handler: str
    sql: str
    values: Callable[[Event], Sequence[Any]]

    def apply(self, db: psycopg.Connection[Any], events: Sequence[Event]) -> None:
        """The effect of these events, in a transaction of its own where the connection is in autocommit."""
        rows = [(event["number"], event["id"], *self.values(event)) for event in events]
        db.execute(self.sql, [array(column) for column in zip(*rows, strict=True)], prepare=True)


def array(values: Iterable[Any]) -> str:
    """An array literal. No value has a quotation mark."""
    return "{" + ",".join("NULL" if value is None else f'"{value}"' for value in values) + "}"


def _effect(handler: str, columns: Mapping[str, str], sql: str, values: Callable[[Event], Sequence[Any]]) -> Effect:
    arrays = ", ".join(f"${number}::{kind}[]" for number, kind in enumerate(columns.values(), 3))
    claimed = _CLAIMED.format(handler=handler, arrays=arrays, columns=", ".join(columns))
    return Effect(handler, f"{claimed} {sql}", values)


def _paid(*names: str) -> Callable[[Event], Sequence[Any]]:
    """The time of an event, and these fields of it."""
    return lambda event: (event["at"], *(event["payload"][name] for name in names))


_STATISTICS = """
    , fact AS (
        INSERT INTO analytics.donation_facts
            (donation_id, position, campaign_id, currency, donor_id, amount, donated_at, refunded, refund_count)
        SELECT donation, position, campaign, currency, donor, amount, at, 0, 0 FROM given ORDER BY donation
    ), met AS (
        INSERT INTO analytics.campaign_donors (campaign_id, currency, donor_id)
        SELECT DISTINCT campaign, currency, donor FROM given ORDER BY 1, 2, 3
        ON CONFLICT DO NOTHING RETURNING campaign_id AS campaign, currency
    ), sums AS (
        SELECT campaign, currency, sum(amount) AS raised, count(*) AS gifts, max(amount) AS largest, min(at) AS first,
               max(at) AS last
        FROM given GROUP BY campaign, currency
    )
    INSERT INTO analytics.campaign_stats_projection AS known
        (campaign_id, currency, total_raised, donation_count, unique_donors, largest_donation, first_donation_at,
         last_donation_at, refund_count, total_refunded)
    SELECT campaign, currency, raised, gifts, coalesce(donors, 0), largest, first, last, 0, 0
    FROM sums LEFT JOIN (SELECT campaign, currency, count(*) AS donors FROM met GROUP BY campaign, currency) AS fresh
        USING (campaign, currency)
    ORDER BY campaign, currency
    ON CONFLICT (campaign_id, currency) DO UPDATE
    SET total_raised = known.total_raised + excluded.total_raised,
        donation_count = known.donation_count + excluded.donation_count,
        unique_donors = known.unique_donors + excluded.unique_donors,
        largest_donation = greatest(known.largest_donation, excluded.largest_donation),
        first_donation_at = least(known.first_donation_at, excluded.first_donation_at),
        last_donation_at = greatest(known.last_donation_at, excluded.last_donation_at)
"""
_DONORS = """
    INSERT INTO app.gift_donors (donation_id, position, campaign_id, donor_id, amount, currency, transaction_id)
    SELECT donation, position, campaign, donor, amount, currency, transaction FROM given ORDER BY donation
"""
_FEED_OF_GIFTS = """
    , line AS (
        INSERT INTO app.activities
            (position, occurred_at, type, actor_kind, actor_id, target_kind, target_id, amount, currency)
        SELECT position, at, 'donation_made', CASE WHEN NOT anonymous THEN 'user' END,
               CASE WHEN NOT anonymous THEN donor END, 'campaign', campaign, amount, currency
        FROM given ORDER BY position
    )
    INSERT INTO app.timeline_entries (kind, id, occurred_at, position)
    SELECT 'campaign', campaign, at, position FROM given
    UNION ALL SELECT 'user', donor, at, position FROM given WHERE NOT anonymous
    ORDER BY 1, 2, 3, 4
"""
# How well known something is, is one of a few levels: only a new one changes the document that is found.
_DOCUMENTS = """
    , document AS (
        INSERT INTO analytics.search_documents AS known (kind, id, popularity)
        SELECT '{kind}', {id}, count(*) FROM counted GROUP BY {id} ORDER BY {id}
        ON CONFLICT (kind, id) DO UPDATE SET popularity = known.popularity + excluded.popularity
        RETURNING id, popularity
    )
    UPDATE analytics.{kind}_search_projection AS found
    SET popularity = level, hot = created_at + level * interval '30 days'
    FROM (SELECT id, length(ltrim(popularity::int::bit(32)::text, '0'))::smallint AS level FROM document) AS document
    WHERE found.{kind}_id = document.id AND found.popularity <> level
"""
_SEARCH_OF_GIFTS = """
    , counted AS (
        INSERT INTO analytics.search_gifts (campaign_id, donation_id) SELECT campaign, donation FROM given ORDER BY 1, 2
        RETURNING campaign_id
    )
""" + _DOCUMENTS.format(kind="campaign", id="campaign_id")
_SUBSCRIPTIONS = """
    , pair AS (
        INSERT INTO app.follows (follower_id, kind, followed_id, occurred_at, position, follows)
        SELECT follower, 'user', followed, at, position, true FROM given ORDER BY follower, followed
        RETURNING follower_id, followed_id
    )
    INSERT INTO app.follow_counts AS known (kind, id, follower_count, following_count)
    SELECT 'user', id, sum(followers), sum(following)
    FROM pair, LATERAL (VALUES (followed_id, 1, 0), (follower_id, 0, 1)) AS change(id, followers, following)
    GROUP BY id ORDER BY id
    ON CONFLICT (kind, id) DO UPDATE
    SET follower_count = known.follower_count + excluded.follower_count,
        following_count = known.following_count + excluded.following_count
"""
_FEED_OF_FOLLOWS = """
    , line AS (
        INSERT INTO app.activities (position, occurred_at, type, actor_kind, actor_id, target_kind, target_id)
        SELECT position, at, 'followed_user', 'user', follower, 'user', followed FROM given ORDER BY position
    )
    INSERT INTO app.timeline_entries (kind, id, occurred_at, position)
    SELECT 'user', follower, at, position FROM given ORDER BY follower, at, position
"""
_SEARCH_OF_FOLLOWS = """
    , counted AS (
        INSERT INTO analytics.search_follows (follower_id, kind, followed_id, occurred_at, position, follows)
        SELECT follower, 'user', followed, at, position, true FROM given ORDER BY follower, followed
        RETURNING followed_id
    )
""" + _DOCUMENTS.format(kind="user", id="followed_id")
_CONTACTS = "INSERT INTO app.contacts (user_id, name, email) SELECT person, name, email FROM given ORDER BY person"
_NAMES = "INSERT INTO app.entities (kind, id, name, shown) SELECT 'user', person, name, true FROM given ORDER BY person"
_PEOPLE_FOUND = """
    , document AS (
        INSERT INTO analytics.search_documents (kind, id, popularity)
        SELECT 'user', person, 0 FROM given ORDER BY person
    )
    INSERT INTO analytics.user_search_projection
        (user_id, name, bio, location, is_verified, created_at, popularity, hot, title_key, title_vector, search_vector)
    SELECT person, name, '', '', false, at, 0, at, lower(name), words, words
    FROM given, LATERAL (
        SELECT setweight(to_tsvector('analytics.search_stem', name) || to_tsvector('analytics.search_plain', name), 'A')
    ) AS said(words)
    ORDER BY person
"""
_PAYOUTS = """
    INSERT INTO app.entity_fields (kind, id, field, value, occurred_at, position)
    SELECT 'payout', request, 'outcome', '"completed"', at, position FROM given ORDER BY request
"""

_AT = {"at": "timestamptz"}
_MONEY = {**_AT, "donation": "uuid", "campaign": "uuid", "donor": "uuid", "amount": "numeric", "currency": "text"}
_of_gift = ("donationId", "campaignId", "donorId", "amount", "currency")
_PAIR, _of_pair = {**_AT, "follower": "uuid", "followed": "uuid"}, ("followerId", "followedUserId")
_PERSON, _of_person = {**_AT, "person": "uuid", "name": "text", "email": "text"}, ("userId", "name", "email")

EFFECTS: Mapping[str, Sequence[Effect]] = {
    GIFT: (
        _effect("donors", {**_MONEY, "transaction": "text"}, _DONORS, _paid(*_of_gift, "transactionId")),
        _effect("feed", {**_MONEY, "anonymous": "boolean"}, _FEED_OF_GIFTS, _paid(*_of_gift, "isAnonymous")),
        _effect("search", _MONEY, _SEARCH_OF_GIFTS, _paid(*_of_gift)),
        _effect("statistics", _MONEY, _STATISTICS, _paid(*_of_gift)),
    ),
    FOLLOW: (
        _effect("subscriptions", _PAIR, _SUBSCRIPTIONS, _paid(*_of_pair)),
        _effect("feed", _PAIR, _FEED_OF_FOLLOWS, _paid(*_of_pair)),
        _effect("search", _PAIR, _SEARCH_OF_FOLLOWS, _paid(*_of_pair)),
    ),
    SIGN_UP: (
        _effect("contacts", _PERSON, _CONTACTS, _paid(*_of_person)),
        _effect("names", _PERSON, _NAMES, _paid(*_of_person)),
        _effect("search", _PERSON, _PEOPLE_FOUND, _paid(*_of_person)),
    ),
    PAYOUT: (_effect("payouts", {**_AT, "request": "uuid"}, _PAYOUTS, _paid("requestId")),),
}
"""The effects of each type of event in the tables, in the order in which they are applied."""
