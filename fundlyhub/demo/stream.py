"""The seeded stream: business transactions with their events; the same seed gives the same facts. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from fundlyhub.demo import gifts, people
from fundlyhub.demo.scenario import Cast, Transaction


class Stream:
    """Makes transactions until the wanted number of events is reached."""

    def __init__(self, seed: int, run: int, events: int) -> None:
        self.cast = Cast(seed, run)
        self._wanted = events
        self._late: list[Transaction] = []

    def transactions(self) -> Iterator[Transaction]:
        """People, organizations and campaigns first, then a mix that donations dominate."""
        left = self._wanted
        beginnings = (
            *[people.register] * max(2, left // 20),
            *[people.found] * max(2, left // 400),
            *[people.open_campaign] * max(1, min(500, left // 40)),
        )
        for make in beginnings:
            transaction = make(self.cast)
            left -= len(transaction.events)
            yield transaction
        rng = self.cast.rng
        while left > 0:
            transaction = self._any()
            transaction.rolls_back = rng.random() < 0.03
            transaction.published_twice = not transaction.rolls_back and rng.random() < 0.01
            left -= 0 if transaction.rolls_back else len(transaction.events)
            yield transaction
        yield from self._late

    def donation(self) -> Transaction:
        """One donation, without its refunds."""
        transaction = Transaction()
        list(gifts.donate(self.cast, transaction))
        return transaction

    def registration(self) -> Transaction:
        """One registration, which has a welcome mail."""
        return people.register(self.cast)

    def _any(self) -> Transaction:
        rng = self.cast.rng
        chance = rng.random()
        if self._late and chance < 0.05:
            return self._late.pop(rng.randrange(len(self._late)))
        if chance < 0.75:
            transaction = Transaction()
            for _ in range(rng.choice((1, 1, 1, 2, 3, 5))):
                self._late += gifts.donate(self.cast, transaction)
            return transaction
        if chance < 0.78:
            return gifts.fail(self.cast)
        if chance < 0.80:
            asked, arrived = gifts.pay_out(self.cast)
            self._late.append(arrived)
            return asked
        return people.follow(self.cast) if chance < 0.93 else people.change(self.cast)
