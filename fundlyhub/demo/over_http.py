"""The example API service as a source of events: callers use it over HTTP, and its answers are noted for the check.

The rows of the demo's tables come from the answers alone, not from the service's own tables.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import httpx
from sqlalchemy import Engine

from fundlyhub.database import connect
from fundlyhub.demo import business
from fundlyhub.demo.publisher import WRITERS, Tally
from fundlyhub.demo.scenario import CURRENCIES, DEEDS, FIRST_NAMES, LAST_NAMES, NOUNS
from fundlyhub.errors import Unavailable
from fundlyhub.events.log import head
from fundlyhub.settings import Settings

# By the correlation id that each request carries: other traffic does no harm.
COMMITTED = """
    SELECT position, type FROM events.events
    WHERE position > %(after)s AND correlation_id = %(correlation)s ORDER BY position
"""


class Served:
    """Callers of the service at ``url``: several at once, some with invalid or repeated requests.

    ``takers`` and ``tellers`` are those of the tally.
    """

    def __init__(
        self, url: str, settings: Settings, engine: Engine, run: int, seed: int, events: int,
        takers: Mapping[str, int], tellers: Mapping[str, int], stop: threading.Event,
    ) -> None:  # fmt: skip
        self._settings, self._engine, self._run, self._events = settings, engine, run, events
        self._takers, self._tellers, self._stop = takers, tellers, stop
        self._rng = random.Random(f"{seed}:{run}")
        self._correlation = uuid4()
        headers = {"X-Correlation-Id": str(self._correlation)}
        self._client = httpx.Client(base_url=url, headers=headers, timeout=30)
        self._lock = threading.Lock()
        self._users: list[str] = []
        self._campaigns: list[dict[str, Any]] = []
        self._gifts: list[dict[str, Any]] = []
        self._made = self._refused = self._repeated = 0
        with connect("events", settings=settings) as db:
            self._after = head(db)

    @property
    def tally(self) -> Tally:
        """The events of the log with this run's correlation id."""
        tally = Tally(self._takers, self._tellers, rolled_back=self._refused, duplicates=self._repeated)
        with connect("events", settings=self._settings) as db:
            for position, kind in db.execute(COMMITTED, {"after": self._after, "correlation": self._correlation}):
                tally.add(position, kind)
        return tally

    def rush(self) -> None:
        """Publish users and campaigns first, then a mix that donations dominate, by several callers at once."""
        people, campaigns = max(4, self._events // 20), max(2, self._events // 40)
        with ThreadPoolExecutor(WRITERS) as pool:
            for make, count in ((self.register, people), (self._open, campaigns)):
                for begun in [pool.submit(make) for _ in range(count)]:
                    begun.result()
            for call in [pool.submit(self._call) for _ in range(WRITERS)]:
                call.result()

    def _call(self) -> None:
        while self._made < self._events and not self._stop.is_set():
            chance = self._rng.random()
            if chance < 0.72:
                self.donate()
            elif chance < 0.78:
                self._refund()
            elif chance < 0.97:
                self._follow()
            else:
                self._ask_in_vain()

    def register(self) -> None:
        """Register a user."""
        name = f"{self._rng.choice(FIRST_NAMES)} {self._rng.choice(LAST_NAMES)}"
        found = self._ask("POST", "/users", {"name": name, "email": f"{uuid4().hex}@example.org"})
        reach = {"device": False, "phone": False, "wants_gifts": True, "wants_social": False}
        self._note(business.REACH, user_id=UUID(found["id"]), **reach)
        self._tell("user", found["id"], name=name)
        self._users.append(found["id"])

    def _open(self) -> None:
        body = {
            "owner_id": self._rng.choice(self._users),
            "title": f"{self._rng.choice(DEEDS)} the {self._rng.choice(NOUNS)}",
            "story": "<p>What it is for.</p>", "goal_amount": "10000", "currency": self._rng.choice(list(CURRENCIES)),
        }  # fmt: skip
        found = self._ask("POST", "/campaigns", body)
        self._note(
            business.CAMPAIGN, id=found["id"], owner_id=found["owner_id"], title=found["title"],
            currency=found["currency"], at=found["created_at"],
        )  # fmt: skip
        self._tell("campaign", found["id"], title=found["title"], status="active", visibility="public")
        self._campaigns.append(found)

    def donate(self) -> None:
        """Make a donation; one in fifty is requested twice with the same key."""
        # A few campaigns get most: the logarithm of the rank is even.
        campaign = self._campaigns[int(len(self._campaigns) ** self._rng.random()) - 1]
        body = {
            "campaign_id": campaign["id"], "donor_id": self._rng.choice([*self._users[:200], None]),
            "amount": str(Decimal(self._rng.randrange(500, 50_000)).scaleb(-CURRENCIES[campaign["currency"]])),
            "is_anonymous": self._rng.random() < 0.2,
        }  # fmt: skip
        key = str(uuid4())
        found = self._ask("POST", "/donations", body, key=key)
        if self._rng.random() < 0.02:
            again = self._ask("POST", "/donations", body, key=key, counts=False)
            if again["id"] != found["id"]:
                raise Unavailable("the API service made two gifts of one: it must not")
            with self._lock:
                self._repeated += 1
        row = {name: found[name] for name in ("id", "campaign_id", "donor_id", "is_anonymous", "completed_at")}
        self._note(
            business.DONATION, **row, amount=Decimal(found["amount"]), currency=campaign["currency"], guest_email=None
        )
        self._gifts.append(found)

    def _refund(self) -> None:
        """Refund half of a donation, if that much is left; then all of it, which is refused after publishing."""
        if not self._gifts:
            return
        gift = self._rng.choice(self._gifts)
        half = (Decimal(gift["amount"]) / 2).quantize(Decimal(gift["amount"]))
        body = {"donation_id": gift["id"], "amount": str(half), "initiated_by": self._rng.choice(self._users)}
        found = self._ask("POST", "/refunds", body, may_refuse=True)
        if found:
            self._note(
                business.REFUND, donation_id=gift["id"], transaction_id=found["id"],
                amount=Decimal(found["refunded"]), cumulative=True,
            )  # fmt: skip
        if self._ask("POST", "/refunds", {**body, "amount": gift["amount"]}, may_refuse=True):
            raise Unavailable("the API service gave back more than was given: it must not")

    def _follow(self) -> None:
        follower, other = self._rng.sample(self._users, 2)
        kind = self._rng.choice(("user", "campaign"))
        followed = other if kind == "user" else self._rng.choice(self._campaigns)["id"]
        follows = self._rng.random() < 0.8
        method, moment = ("PUT", "since") if follows else ("DELETE", "until")
        found = self._ask(method, f"/users/{follower}/follows/{kind}/{followed}", may_refuse=True)
        if found:
            self._note(
                business.FOLLOW, follower_id=follower, kind=kind, followed_id=followed, follows=follows,
                at=found[moment],
            )  # fmt: skip

    def _ask_in_vain(self) -> None:
        """Request an amount with too many decimals: the service refuses it when its transaction has begun."""
        body = {"campaign_id": self._rng.choice(self._campaigns)["id"], "amount": "10.001"}
        if self._ask("POST", "/donations", body, may_refuse=True):
            raise Unavailable("the API service took an amount that is none: it must not")

    def _ask(
        self, method: str, path: str, body: Any = None, *, key: str | None = None, may_refuse: bool = False,
        counts: bool = True,
    ) -> dict[str, Any]:  # fmt: skip
        """Send a request; returns the answer, empty when it was refused and may be."""
        try:
            answer = self._client.request(method, path, json=body, headers={"Idempotency-Key": key} if key else None)
        except httpx.HTTPError as error:
            raise Unavailable(f"the API service does not answer ({type(error).__name__}); see its log") from None
        refused = may_refuse and answer.status_code in (404, 409, 422)
        if not answer.is_success and not refused:
            raise Unavailable(f"the API service answered {answer.status_code} to {method} {path}; see its log")
        with self._lock:
            self._refused += refused
            self._made += counts and not refused
        found: dict[str, Any] = {} if refused else answer.json()
        return found

    def _note(self, statement: Any, **row: Any) -> None:
        with self._engine.begin() as db:
            db.execute(statement, {"run": self._run, **row})

    def _tell(self, kind: str, id: str, **fields: str) -> None:
        for field, value in fields.items():
            self._note(business.TOLD, kind=kind, id=id, field=field, value=value, at=datetime.now(UTC))
