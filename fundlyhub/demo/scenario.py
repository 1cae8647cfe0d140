"""The cast of a run, and its transactions of business rows and events. Pure; the same seed makes the same cast."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any
from uuid import UUID

from fundlyhub import Event
from fundlyhub.demo import business
from fundlyhub.demo.business import Statement

CURRENCIES = {"USD": 2, "EUR": 2, "GBP": 2, "JPY": 0}
"""The currencies of the demo and their decimals."""
START = datetime(2026, 1, 1, tzinfo=UTC)

# Words so different that none is the beginning, another form, or a typo of another one.
_FIRST = "Amara Boris Chidi Dalia Emeka Fatou Gustav Hikari Ingrid Joaquin Kwame Liang Mbali Nasrin Ottavia"
_LAST = "Abebe Brandt Castillo Dubois Eriksen Fernando Grigore Hofmann Ivanova Jankowski Kimura Lefebvre"
_NOUNS = "Orchestra Hospital Bridge Garden Kitchen Library Stadium Museum Bicycle Lighthouse Village Forest"
_DEEDS = "Rebuild Protect Illuminate Finance Discover Celebrate Equip Nourish"
FIRST_NAMES, LAST_NAMES, NOUNS, DEEDS = (words.split() for words in (_FIRST, _LAST, _NOUNS, _DEEDS))


@dataclass(slots=True)
class Transaction:
    """Business rows and events that are committed together, or rolled back together.

    ``kept`` are rows of the App DB, which the API service writes before, in a transaction of its own.
    """

    statements: list[Statement] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    kept: Sequence[Statement] = ()
    rolls_back: bool = False
    published_twice: bool = False

    def add(self, statement: Any, row: dict[str, Any], event: Event | None = None) -> None:
        """A row, and its event if it has one of its own."""
        self.statements.append((statement, [row]))
        if event is not None:
            self.events.append(event)


class Cast:
    """The people, organizations and campaigns of a run; ids, times and amounts come from its seed."""

    def __init__(self, seed: int, run: int) -> None:
        self.rng = Random(f"{seed}:{run}")
        self.run = run
        self.users: list[UUID] = []
        self.organizations: list[UUID] = []
        self.campaigns: list[tuple[UUID, UUID, str]] = []
        """Campaign, owner and currency."""
        self._clock = START

    def event(self, payload: Any) -> Event:
        """An event a moment after the last one: no two share their time."""
        self._clock += timedelta(milliseconds=self.rng.randrange(1, 2_000))
        return Event.of(payload, id=self.uuid(), timestamp=self._clock)

    def uuid(self) -> UUID:
        """A new id."""
        return UUID(int=self.rng.getrandbits(128), version=4)

    def told(self, kind: str, one: UUID, payload: Any, **fields: str) -> Transaction:
        """A transaction with an event and the fields that it sets."""
        transaction, event = Transaction(), self.event(payload)
        transaction.events.append(event)
        for name, value in fields.items():
            row = {"run": self.run, "kind": kind, "id": one, "field": name, "value": value, "at": event.timestamp}
            transaction.add(business.TOLD, row)
        return transaction

    def popular_campaign(self) -> tuple[UUID, UUID, str]:
        """A few campaigns get most: the logarithm of the rank is even."""
        return self.campaigns[int(len(self.campaigns) ** self.rng.random()) - 1]

    def amount(self, currency: str) -> Decimal:
        """Some money, in whole minor units."""
        return Decimal(self.rng.randrange(500, 50_000)).scaleb(-CURRENCIES[currency])
