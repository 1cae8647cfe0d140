"""Draws campaigns at random, with all events of their donations.

The statistics of a campaign follow from the events of those donations of which a completion names it, and from no
others. So these events alone make its rows.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fundlyhub.events.catalogue import ALIASES, DonationCompleted, DonationRefunded
from fundlyhub.verification.scope import Db

# A campaign without a donation in the log may be in the projection all the same: drawn from both.
_FROM_LOG = """
    SELECT lower(left(payload ->> 'campaignId', 40)) FROM events.events
    WHERE type = ANY (%(completed)s) AND position > %(since)s AND left(payload ->> 'campaignId', 40) ~* %(uuid)s
    GROUP BY 1 ORDER BY random() LIMIT %(size)s
"""
_FROM_PROJECTION = """
    SELECT campaign_id::text FROM campaign_stats_projection GROUP BY 1 ORDER BY random() LIMIT %(size)s
"""
_DONATIONS = """
    SELECT DISTINCT lower(left(payload ->> 'donationId', 40)) FROM events.events
    WHERE type = ANY (%(completed)s) AND lower(payload ->> 'campaignId') = ANY (%(campaigns)s)
      AND left(payload ->> 'donationId', 40) ~* %(uuid)s
"""
_POSITIONS = """
    SELECT position FROM events.events
    WHERE type = ANY (%(kinds)s) AND lower(payload ->> 'donationId') = ANY (%(donations)s) ORDER BY position
"""
_UUID = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"


def spellings(kind: str) -> list[str]:
    """A type, and the aliases that SQL may have let in."""
    return [kind, *(alias for alias, meant in ALIASES.items() if meant == kind)]


COMPLETED = spellings(DonationCompleted.event_type)
REFUNDED = spellings(DonationRefunded.event_type)


@dataclass(frozen=True, slots=True)
class Sample:
    """Campaigns, their donations, and the positions of all events of these, in order."""

    campaigns: Sequence[str]
    donations: Sequence[str]
    positions: Sequence[int]

    @property
    def rows(self) -> dict[str, Any]:
        """What tells its rows from others."""
        return {"campaigns": list(self.campaigns), "donations": list(self.donations)}


def draw(events: Db, analytics: Db, size: int, since: int) -> Sample:
    """Up to ``size`` campaigns; those with gifts after ``since``, if that is not 0."""
    events.execute("SET statement_timeout = '6h'")  # each statement here is a pass over the log
    given: dict[str, Any] = {"completed": COMPLETED, "since": since, "size": size, "uuid": _UUID}
    known = {campaign for (campaign,) in events.execute(_FROM_LOG, given)}
    if not since:
        known |= {campaign for (campaign,) in analytics.execute(_FROM_PROJECTION, given)}
    return sample_of(events, random.sample(sorted(known), min(size, len(known))))


def sample_of(events: Db, campaigns: Sequence[str]) -> Sample:
    """These campaigns, with all events of their donations: two passes over the log."""
    events.execute("SET statement_timeout = '6h'")
    given: dict[str, Any] = {"completed": COMPLETED, "campaigns": list(campaigns), "uuid": _UUID}
    donations = [donation for (donation,) in events.execute(_DONATIONS, given)]
    kinds = {"kinds": [*COMPLETED, *REFUNDED], "donations": donations}
    positions = [position for (position,) in events.execute(_POSITIONS, kinds)]
    return Sample(campaigns, donations, positions)
