"""The events of a whole platform, that every row of the whole system works through, and the people in them.

Donations dominate, to few campaigns most; people register and follow each other, and payouts arrive. The cast is there
before: people, campaigns and requested payouts. The same count gives the same events; only their day is today's, since
nobody is told of old events.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from random import Random
from typing import Any, NamedTuple
from uuid import UUID

from benchmarks.data import SEED, Gift, gifts

USERS = 5_000
"""People of the cast: they give, own campaigns, follow and are followed."""
GIFT, FOLLOW, SIGN_UP, PAYOUT = "donation.completed", "user.followed_user", "user.registered", "payout.completed"
PAYOUTS = 5_000
"""Payouts that the cast has requested: a stream has no more that arrive, so it has at most 150,000 events."""
KINDS = {GIFT: 82, FOLLOW: 10, SIGN_UP: 5, PAYOUT: 3}
"""The types of events, and how many of a hundred there are of each."""
ENOUGH = 10
"""Donations and followers after which a person wants no messages of them: no hourly limit is ever reached."""

_FIRST = ["Amara", "Boris", "Chidi", "Dalia", "Emeka", "Fatou", "Gustav", "Hikari", "Ingrid", "Joaquin"]
_LAST = ["Abebe", "Brandt", "Castillo", "Dubois", "Eriksen", "Fernando", "Grigore", "Hofmann"]


def campaign(number: int) -> UUID:
    """The campaign of this rank, which begins with 1; the person of the same number owns it."""
    return UUID(int=number, version=4)


def user(number: int) -> UUID:
    """A person of the cast, or one who registers later."""
    return UUID(int=1_000_000 + number, version=4)


def request(number: int) -> UUID:
    """A requested payout."""
    return UUID(int=2_000_000 + number, version=4)


def number_of(id: str) -> int:
    """The number of a campaign, a person or a request."""
    return (UUID(id).int - campaign(0).int) % 1_000_000


class Happening(NamedTuple):
    """One event; ``number`` counts from 1, and ``payload`` is JSON in camelCase."""

    number: int
    id: UUID
    at: datetime
    type: str
    payload: Mapping[str, Any]

    def line(self) -> str:
        """As a line of JSON, which is what each row is given."""
        return json.dumps({**self._asdict(), "id": str(self.id), "at": self.at.isoformat()})


class Person(NamedTuple):
    """Somebody, by number."""

    number: int

    @property
    def name(self) -> str:
        """What they are called."""
        return f"{_FIRST[self.number % 10]} {_LAST[self.number % 8]}"

    @property
    def email(self) -> str:
        """Their address."""
        return f"person{self.number}@example.org"

    @property
    def phone(self) -> str | None:
        """Every second has one."""
        return f"+1202555{self.number:04d}" if self.number % 2 == 0 else None

    @property
    def device(self) -> str | None:
        """Every third has one."""
        return f"device-{self.number}" if self.number % 3 == 0 else None

    @property
    def locale(self) -> str:
        """Every fifth reads German."""
        return "de_DE" if self.number % 5 == 0 else "en_US"

    @property
    def wants_mails_of_follows(self) -> bool:
        """They are off unless somebody asks for them."""
        return self.number % 7 == 0


@dataclass
class Stream:
    """This many events."""

    count: int
    kinds: tuple[str, ...] = tuple(KINDS)
    """Types of events: a stream of some of them is for what handles no others."""
    start: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1))

    @cached_property
    def happenings(self) -> Sequence[Happening]:
        """The events, in their order."""
        rng, make = Random(SEED + 2), _Payloads(self.count, self.start)
        kinds = Random(SEED).choices(self.kinds, [KINDS[kind] for kind in self.kinds], k=self.count)
        return [
            Happening(number, UUID(int=rng.getrandbits(128), version=4), self.start + timedelta(milliseconds=number),
                      kind, make.of(kind))
            for number, kind in enumerate(kinds, 1)
        ]  # fmt: skip

    @property
    def name(self) -> str:
        """Its name among files and databases."""
        return f"{self.count}_{''.join(str(list(KINDS).index(kind)) for kind in self.kinds)}"

    @cached_property
    def tired(self) -> frozenset[int]:
        """People who want no messages of donations and follows: they would get too many."""
        told = Counter(number_of(one.payload["campaignId"]) for one in self.happenings if one.type == GIFT)
        told.update(number_of(one.payload["followedUserId"]) for one in self.happenings if one.type == FOLLOW)
        return frozenset(number for number, count in told.items() if count > ENOUGH)

    def write(self, folder: Path) -> Path:
        """The events as a file of lines, made once."""
        return write(folder / f"stream-{self.name}.jsonl", self.happenings)


def write(file: Path, happenings: Sequence[Happening]) -> Path:
    """Events as a file of lines, made once."""
    if not file.exists():
        making = file.with_suffix(".making")
        making.write_text("".join(one.line() + "\n" for one in happenings))
        making.rename(file)
    return file


class _Payloads:
    """Makes the payloads of a stream, one after the other."""

    def __init__(self, count: int, start: datetime) -> None:
        self._rng, self._gifts, self._start = Random(SEED + 1), gifts(count), start
        self._numbers: Counter[str] = Counter()
        self._pairs: set[tuple[int, int]] = set()

    def of(self, kind: str) -> Mapping[str, Any]:
        """The next one of this type."""
        self._numbers[kind] += 1
        nth = self._numbers[kind]
        match kind:
            case "donation.completed":
                return self._gift(next(self._gifts))
            case "user.registered":
                made = Person(USERS + nth)
                return {
                    "userId": str(user(made.number)), "email": made.email, "name": made.name,
                    "registrationMethod": "email",
                }  # fmt: skip
            case "user.followed_user":
                follower, followed = self._pair()
                return {"followerId": str(user(follower)), "followedUserId": str(user(followed))}
            case _:
                return {
                    "requestId": str(request(nth)), "stripeTransferId": f"tr_{nth}",
                    "actualArrivalDate": self._start.date().isoformat(), "completedAt": self._start.isoformat(),
                }  # fmt: skip

    def _gift(self, gift: Gift) -> Mapping[str, Any]:
        given = gift._replace(donor_id=user(self._rng.randrange(USERS)))
        return {**given.payload(), "isAnonymous": self._rng.random() < 0.25}

    def _pair(self) -> tuple[int, int]:
        """Two people of whom the first does not follow the second yet."""
        while True:
            pair = self._rng.randrange(USERS), self._rng.randrange(USERS)
            if pair[0] != pair[1] and pair not in self._pairs:
                self._pairs.add(pair)
                return pair
