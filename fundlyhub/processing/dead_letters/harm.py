"""The harm of a fault: how many people, campaigns and how much money wait behind its dead letters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import Connection

from fundlyhub.processing.dead_letters.finding import Filter

# Who is meant by a payload, the likeliest first: a guest has an address alone. Nobody is named in the answer.
_PERSON = ("donorId", "donorEmail", "userId", "followerId", "authorId", "fundraiserId")
_HARM = f"""
    WITH letters AS MATERIALIZED (
        SELECT d.position, d.event_id FROM events.dead_letters d WHERE CONDITIONS LIMIT %(most)s
    ), said AS MATERIALIZED (
        SELECT lower(coalesce({", ".join(f"payload ->> '{field}'" for field in _PERSON)})) AS person,
               lower(payload ->> 'campaignId') AS campaign, upper(payload ->> 'currency') AS currency,
               CASE WHEN payload ->> 'amount' ~ '^[0-9]{{1,15}}([.][0-9]{{1,9}})?$'
                    THEN (payload ->> 'amount')::numeric END AS amount
        FROM letters JOIN events.events e ON e.position = letters.position AND e.id = letters.event_id
    ), money AS (
        SELECT currency, sum(amount) AS total FROM said
        WHERE amount IS NOT NULL AND currency ~ '^[A-Z]{{3}}$' GROUP BY currency ORDER BY currency LIMIT 20
    )
    SELECT (SELECT count(*) FROM letters), count(DISTINCT person), count(DISTINCT campaign),
           (SELECT array_agg(currency) FROM money), (SELECT array_agg(total) FROM money)
    FROM said
"""  # noqa: S608  # our own constants


@dataclass(frozen=True, slots=True)
class Harm:
    """What waits behind letters: ``letters`` says how many of them were looked at, ``money`` is by currency."""

    letters: int
    people: int
    campaigns: int
    money: Mapping[str, Decimal]


def harm_of(db: Connection, wanted: Filter, *, most: int) -> Harm:
    """What waits behind the letters of a filter, of which at most ``most`` are read.

    It counts what the events say: nothing of those that are archived, and no words that were erased.
    """
    row = db.exec_driver_sql(wanted.query(_HARM), wanted.values(most=most)).one()
    letters, people, campaigns, currencies, totals = row
    return Harm(letters, people, campaigns, dict(zip(currencies or (), totals or (), strict=True)))
