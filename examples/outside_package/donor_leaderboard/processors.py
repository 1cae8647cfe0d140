"""The read models of this package: what each donor gave to each campaign, and their badges."""

from __future__ import annotations

from sqlalchemy import Connection

from donor_leaderboard.events import BadgeAwarded
from fundlyhub import DonationCompleted, DonationRefunded, Event, ProjectionProcessor

# Whatever comes when, the event that is first in the log says what was given.
_GIFT = """
    INSERT INTO leaderboard_gifts AS known (donation_id, position, campaign_id, donor_id, currency, amount)
    VALUES (%(donation)s, %(position)s, %(campaign)s, %(donor)s, %(currency)s, %(amount)s)
    ON CONFLICT (donation_id) DO UPDATE SET position = excluded.position, campaign_id = excluded.campaign_id,
        donor_id = excluded.donor_id, currency = excluded.currency, amount = excluded.amount
    WHERE excluded.position < known.position
"""
# The payment webhook says how much was returned so far: the largest counts. Others say each refund for itself.
_REFUND = """
    INSERT INTO leaderboard_refunds AS known (donation_id, refund_id, cumulative, position, amount)
    VALUES (%(donation)s, %(refund)s, %(cumulative)s, %(position)s, %(amount)s)
    ON CONFLICT (donation_id, refund_id, cumulative) DO UPDATE
    SET position = excluded.position, amount = excluded.amount
    WHERE CASE WHEN known.cumulative THEN (excluded.amount, known.position) > (known.amount, excluded.position)
               ELSE excluded.position < known.position END
"""
_BADGE = """
    INSERT INTO leaderboard_badges AS known (campaign_id, donor_id, badge, place, awarded_at)
    VALUES (%(campaign)s, %(donor)s, %(badge)s, %(place)s, %(at)s)
    ON CONFLICT (campaign_id, donor_id, badge) DO UPDATE
    SET place = least(known.place, excluded.place), awarded_at = least(known.awarded_at, excluded.awarded_at)
"""


class LeaderboardProcessor(ProjectionProcessor):
    """What was given and returned; the view ``leaderboard_totals`` adds it up, in each currency by itself."""

    handles = (DonationCompleted, DonationRefunded)
    tables = ("leaderboard_gifts", "leaderboard_refunds")

    def handle(self, event: Event, db: Connection) -> None:
        """Write down one donation, or one refund: it may come before its donation."""
        match event.payload:
            case DonationCompleted() as gift:
                donor = None if gift.is_anonymous else gift.donor_id  # who gives anonymously is on no board
                given = {"donation": gift.donation_id, "campaign": gift.campaign_id, "donor": donor,
                         "currency": gift.currency, "amount": gift.amount}  # fmt: skip
                db.exec_driver_sql(_GIFT, {**given, "position": event.position})
            case DonationRefunded() as refund:
                returned = {"donation": refund.donation_id, "refund": refund.refund_transaction_id,
                            "cumulative": refund.is_cumulative, "amount": refund.refund_amount}  # fmt: skip
                db.exec_driver_sql(_REFUND, {**returned, "position": event.position})


class BadgesProcessor(ProjectionProcessor):
    """The badges of each donor, from this package's own events."""

    name = "leaderboard_badges"
    handles = (BadgeAwarded,)
    tables = ("leaderboard_badges",)

    def handle(self, event: Event, db: Connection) -> None:
        """Keep a badge with the best place that it was awarded for."""
        badge = event.payload
        assert isinstance(badge, BadgeAwarded)  # older versions were upcast
        given = {"campaign": badge.campaign_id, "donor": badge.donor_id, "badge": badge.badge, "place": badge.place}
        db.exec_driver_sql(_BADGE, {**given, "at": event.timestamp})
