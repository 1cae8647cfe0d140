"""The seeded stream: business transactions with their events; the same seed gives the same facts. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any
from uuid import UUID

from fundlyhub import (
    CampaignCreated,
    DonationCompleted,
    DonationFailed,
    DonationRefunded,
    Event,
    UserFollowedUser,
    UserRegistered,
    UserUnfollowedUser,
)
from fundlyhub.demo import business
from fundlyhub.demo.business import Statement

CURRENCIES = {"USD": 2, "EUR": 2, "GBP": 2, "JPY": 0}
"""The currencies of the demo and their decimals."""
START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Transaction:
    """Business rows and events that are committed together, or rolled back together."""

    statements: list[Statement] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    rolls_back: bool = False
    published_twice: bool = False

    def add(self, statement: Any, row: dict[str, Any], event: Event) -> None:
        """A row and its event."""
        self.statements.append((statement, [row]))
        self.events.append(event)


class Stream:
    """Makes transactions until so many events would be committed."""

    def __init__(self, seed: int, run: int, events: int) -> None:
        self._rng = Random(f"{seed}:{run}")
        self._run, self._wanted = run, events
        self._clock = START
        self.users: list[UUID] = []
        self.campaigns: list[tuple[UUID, str]] = []
        self._late: list[Transaction] = []

    def transactions(self) -> Iterator[Transaction]:
        """People and campaigns first, then a mix that donations dominate."""
        left = self._wanted
        for make in (*[self._user] * max(2, left // 20), *[self._campaign] * max(1, min(500, left // 40))):
            transaction = make()
            left -= len(transaction.events)
            yield transaction
        while left > 0:
            transaction = self._any()
            transaction.rolls_back = self._rng.random() < 0.03
            transaction.published_twice = not transaction.rolls_back and self._rng.random() < 0.01
            left -= 0 if transaction.rolls_back else len(transaction.events)
            yield transaction
        yield from self._late

    def donation(self) -> Transaction:
        """One gift, and nothing else."""
        transaction = Transaction()
        self._donate(transaction)
        return transaction

    def _any(self) -> Transaction:
        chance = self._rng.random()
        if self._late and chance < 0.05:
            return self._late.pop(self._rng.randrange(len(self._late)))
        if chance < 0.85:
            transaction = Transaction()
            for _ in range(self._rng.choice((1, 1, 1, 2, 3, 5))):
                self._donate(transaction)
            return transaction
        return self._failure() if chance < 0.89 else self._follow()

    def _user(self) -> Transaction:
        user = self._uuid()
        self.users.append(user)
        name = f"Person {len(self.users)}"
        payload = UserRegistered(
            user_id=user, email=f"person{len(self.users)}@example.org", name=name, registration_method="email"
        )
        transaction = Transaction()
        transaction.add(business.USER, {"run": self._run, "id": user, "name": name}, self._event(payload))
        return transaction

    def _campaign(self) -> Transaction:
        campaign, owner = self._uuid(), self._rng.choice(self.users)
        currency = self._rng.choice(("USD", "USD", "EUR", "GBP", "JPY"))
        self.campaigns.append((campaign, currency))
        title = f"Campaign {len(self.campaigns)}"
        payload = CampaignCreated(
            campaign_id=campaign, user_id=owner, title=title, slug=f"campaign-{campaign}", story="What it is for.",
            goal_amount=Decimal(10_000), currency=currency, visibility="public", status="active",
        )  # fmt: skip
        row = {"run": self._run, "id": campaign, "owner_id": owner, "title": title, "currency": currency}
        transaction = Transaction()
        transaction.add(business.CAMPAIGN, row, self._event(payload))
        return transaction

    def _donate(self, transaction: Transaction) -> None:
        # A few campaigns get most: the logarithm of the rank is even.
        campaign, currency = self.campaigns[int(len(self.campaigns) ** self._rng.random()) - 1]
        if self._rng.random() < 0.05:
            currency = self._rng.choice(list(CURRENCIES))
        donation, amount = self._uuid(), self._amount(currency)
        donor = None if self._rng.random() < 0.2 else self._rng.choice(self.users)
        payload = DonationCompleted(
            donation_id=donation, campaign_id=campaign, donor_id=donor, amount=amount, currency=currency,
            net_amount=amount, payment_provider="stripe", transaction_id=f"pi_{donation.hex}",
        )  # fmt: skip
        event = self._event(payload)
        row = {
            "run": self._run, "id": donation, "campaign_id": campaign, "donor_id": donor, "amount": amount,
            "currency": currency, "completed_at": event.timestamp,
        }  # fmt: skip
        transaction.add(business.DONATION, row, event)
        if self._rng.random() < 0.06:
            self._refund(donation, amount, CURRENCIES[currency])

    def _refund(self, donation: UUID, amount: Decimal, digits: int) -> None:
        """One to three refunds, which come later, or before their donation is known: order is nobody's promise.

        A donation that rolls back leaves refunds without a gift, which count for nobody.
        """
        cumulative = self._rng.random() < 0.5
        part = round(amount * Decimal(self._rng.choice(("0.25", "0.5", "1"))), digits)
        if part <= 0:
            return
        for n in range(1, self._rng.choice((1, 1, 2, 3)) + 1):
            name = f"re_{donation.hex}_{n}"
            said = part * n if cumulative else part
            payload = DonationRefunded(
                donation_id=donation, original_amount=amount, refund_amount=said, reason="asked for",
                refund_transaction_id=name, initiated_by="system" if cumulative else self._rng.choice(self.users),
            )  # fmt: skip
            row = {
                "run": self._run, "donation_id": donation, "transaction_id": name, "amount": said,
                "cumulative": cumulative,
            }  # fmt: skip
            transaction = Transaction()
            transaction.add(business.REFUND, row, self._event(payload))
            self._late.append(transaction)

    def _failure(self) -> Transaction:
        campaign, currency = self._rng.choice(self.campaigns)
        payload = DonationFailed(
            donation_id=f"pi_{self._uuid().hex}", campaign_id=campaign, amount=self._amount(currency), reason="declined"
        )
        return Transaction(events=[self._event(payload)])

    def _follow(self) -> Transaction:
        follower, followed = self._rng.sample(self.users, 2)
        row = {"run": self._run, "follower_id": follower, "followed_id": followed}
        transaction = Transaction()
        if self._rng.random() < 0.8:
            payload: Any = UserFollowedUser(follower_id=follower, followed_user_id=followed)
            transaction.add(business.FOLLOW, row, self._event(payload))
        else:
            payload = UserUnfollowedUser(follower_id=follower, unfollowed_user_id=followed)
            transaction.add(business.UNFOLLOW, row, self._event(payload))
        return transaction

    def _amount(self, currency: str) -> Decimal:
        return Decimal(self._rng.randrange(500, 50_000)).scaleb(-CURRENCIES[currency])

    def _event(self, payload: Any) -> Event:
        self._clock += timedelta(milliseconds=self._rng.randrange(1, 2_000))
        return Event.of(payload, id=self._uuid(), timestamp=self._clock)

    def _uuid(self) -> UUID:
        return UUID(int=self._rng.getrandbits(128), version=4)
