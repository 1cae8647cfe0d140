"""Read your writes: waits until processors have applied events that were just published.

The claims are the evidence: a claim is committed together with the effect of its event. Nothing of a processor's code
is needed here, so that any service can wait: the relay has registered what a processor wants and where its claims are.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import cast
from uuid import UUID

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from fundlyhub.database.arrays import array
from fundlyhub.database.engines import get_engine
from fundlyhub.database.faults import is_outage, refused, sqlstate, unavailable
from fundlyhub.errors import NotMigrated, WrongUse
from fundlyhub.events import Event
from fundlyhub.processing import registry
from fundlyhub.processing.claims import claimed, dropped
from fundlyhub.processing.routing import matching
from fundlyhub.settings import BRANCHES, Branch, get_settings

Events = Event | int | Iterable[Event | int]
"""One or many published events, or their positions."""

MOST = 10_000
"""Events of one wait at most: each look asks for all of them that are left."""
LONGEST = 300.0
"""Seconds of the longest wait."""
FIRST_PAUSE, LONGEST_PAUSE = 0.005, 0.25
"""Seconds between two looks at first, doubled with each, and at most."""

_REGISTERED = """
    SELECT name, patterns, from_position, database FROM events.processors
    WHERE name = ANY (%(names)s::text[]) ORDER BY name
"""
_LOGGED = "SELECT position, type, id FROM events.events WHERE position = ANY (%(positions)s::bigint[])"
_DEAD = """
    SELECT processor, position FROM events.dead_letters
    WHERE processor = ANY (%(names)s::text[]) AND position = ANY (%(positions)s::bigint[])
      AND state IN ('open', 'discarded')
"""
_NO_RIGHT, _NO_TABLE, _NO_COLUMN = "42501", "42P01", "42703"


@dataclass(frozen=True, slots=True)
class Applied:
    """The answer of ``wait_applied``: true when everything is applied, else it says what is not.

    ``waiting`` and ``dead`` hold positions by processor: what the time was too short for, and dead letters, which rest
    until a person decides. ``missing`` are positions that are not in the log: their transaction is not committed, or
    was rolled back. ``unknown`` are processors that no relay has registered.

    ::

        answer = wait_applied(event, "campaign_stats", timeout=2)
        if not answer:
            print(answer)
    """

    waiting: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    dead: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    missing: tuple[int, ...] = ()
    unknown: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether everything is applied."""
        return not (self.waiting or self.dead or self.missing or self.unknown)

    def __str__(self) -> str:
        """One line that says what is not applied, and why."""
        parts = [f"no processor is registered as {name!r}" for name in self.unknown]
        parts += [f"not committed, or not in the log: position {position}" for position in self.missing[:1]]
        parts += [f"{name}: {_some(positions)} dead" for name, positions in self.dead.items()]
        parts += [f"{name}: {_some(positions)} not applied in time" for name, positions in self.waiting.items()]
        return "; ".join(parts) or "all applied"


def wait_applied(events: Events, *processors: str, timeout: float = 5.0) -> Applied:
    """Wait until these processors have applied these events, at most ``timeout`` seconds; true when they have.

    Call it after the commit, without an open transaction. A dead letter ends the wait at once. An event that a
    processor does not handle is none to wait for, and with no events the answer is true. It needs the rights of the
    role ``reader``.

    Raises WrongUse for arguments that cannot be right, and Unavailable when a database does not answer.

    ::

        from fundlyhub import UserFollowedCampaign, publish_event, wait_applied

        event = publish_event(UserFollowedCampaign(user_id=ann, campaign_id=wells, follow_type="user"))
        if wait_applied(event, "subscription_write", timeout=2):
            print("the list of subscriptions has it")
    """
    wait = _Wait(events, processors, timeout)
    for pause in _pauses(timeout):
        wait.look()
        if wait.is_over:
            break
        time.sleep(pause)
    return wait.answer()


async def wait_applied_async(events: Events, *processors: str, timeout: float = 5.0) -> Applied:
    """Do what ``wait_applied`` does, without blocking the event loop: each look runs in a thread of its own.

    ::

        from fundlyhub import publish_event_async, wait_applied_async

        async def follow(sessions, payload):
            async with sessions.begin() as session:
                event = await publish_event_async(payload, session=session)
            return bool(await wait_applied_async(event, "subscription_write", timeout=2))
    """
    wait = _Wait(events, processors, timeout)
    for pause in _pauses(timeout):
        await asyncio.to_thread(wait.look)
        if wait.is_over:
            break
        await asyncio.sleep(pause)
    return wait.answer()


class _Wait:
    """What is left of one wait. ``look`` is called until ``is_over``, and reads all events of a database at once."""

    def __init__(self, events: Events, processors: tuple[str, ...], timeout: float) -> None:
        self._positions = _checked(events, processors, timeout)
        self._names = tuple(dict.fromkeys(processors))
        self._left: dict[str, dict[int, UUID | None]] | None = None
        self._branches: dict[str, Branch] = {}
        self._dead: dict[str, set[int]] = {}
        self._missing: set[int] = set()
        self._unknown: tuple[str, ...] = ()

    @property
    def is_over(self) -> bool:
        """Whether no further look can change that all is applied, or that it will not be."""
        return not self._positions or bool(self._dead or self._missing or self._unknown) or not any(self._rest.values())

    @property
    def _rest(self) -> dict[str, dict[int, UUID | None]]:
        return self._left or {}

    def look(self) -> None:
        """Look once: for claims, and for dead letters among what has none."""
        if not self._positions:
            return
        first = self._left is None
        if first:
            self._left = self._begin()
        for branch in BRANCHES:
            names = [name for name in self._rest if self._branches[name] == branch and self._rest[name]]
            if names:
                with _reading(branch) as db:
                    for name in names:
                        self._strike(name, claimed(db, name, list(self._rest[name])), db if first else None)
        if any(self._rest.values()):
            self._find_dead()

    def _begin(self) -> dict[str, dict[int, UUID | None]]:
        """What each processor has to apply. Of a position that is not in the log only a claim can tell."""
        with _reading("events") as db:
            registered = db.exec_driver_sql(_REGISTERED, {"names": list(self._names)}).all()
            logged = db.exec_driver_sql(_LOGGED, {"positions": array(self._positions)}).all()
        absent: dict[int, UUID | None] = dict.fromkeys(set(self._positions) - {row.position for row in logged})
        wanted: dict[str, dict[int, UUID | None]] = {}
        for name, patterns, start, database in registered:
            if (branch := _branch(name, database)) is None:
                continue
            self._branches[name] = branch
            wants = matching(patterns)
            wanted[name] = absent | {row.position: row.id for row in logged if row.position > start and wants(row.type)}
        self._unknown = tuple(name for name in self._names if name not in wanted)
        return wanted

    def _strike(self, name: str, claims: Mapping[int, UUID], db: Connection | None) -> None:
        """Take away what is applied. With ``db``, at the first look, claims that were dropped count too."""
        left = self._rest[name]
        for position, id in claims.items():
            if left[position] in (None, id):  # else a restored log: the claim is that of another event
                del left[position]
        if db is not None and left:
            for position in dropped(db, list(left)):  # they are dropped when all is settled
                del left[position]
            self._missing |= {position for position, id in left.items() if id is None}

    def _find_dead(self) -> None:
        left = {position for positions in self._rest.values() for position in positions}
        with _reading("events") as db:
            for name, position in db.exec_driver_sql(_DEAD, {"names": list(self._names), "positions": array(left)}):
                if position in self._rest.get(name, ()):
                    self._dead.setdefault(name, set()).add(position)

    def answer(self) -> Applied:
        """What has become of it."""
        waiting = {
            name: tuple(sorted(set(positions) - self._dead.get(name, set()) - self._missing))
            for name, positions in self._rest.items()
        }
        return Applied(
            {name: positions for name, positions in waiting.items() if positions},
            {name: tuple(sorted(positions)) for name, positions in self._dead.items()},
            tuple(sorted(self._missing)),
            self._unknown,
        )


def _checked(events: Events, processors: tuple[object, ...], timeout: float) -> list[int]:
    """The positions, each once. Raises WrongUse."""
    if not processors or not all(isinstance(name, str) and name for name in processors):
        raise WrongUse('wait_applied takes the names of processors, as in wait_applied(event, "campaign_stats")')
    if not 0 <= timeout <= LONGEST:
        raise WrongUse(f"timeout must be from 0 to {LONGEST:g} seconds")
    given = [events] if isinstance(events, (Event, int)) else list(events)
    if len(given) > MOST:
        raise WrongUse(f"wait_applied takes at most {MOST} events at a time")
    positions = [item.position if isinstance(item, Event) else item for item in given]
    if not all(isinstance(position, int) and 0 < position < 2**63 for position in positions):
        raise WrongUse("wait_applied takes events as publish_event returns them, or their positions")
    return list(dict.fromkeys(cast("list[int]", positions)))


def _pauses(timeout: float) -> Iterator[float]:
    """The pause after each look; the last look is when the time is over."""
    end, pause = time.monotonic() + timeout, FIRST_PAUSE
    while (left := end - time.monotonic()) > 0:
        yield min(pause, left)
        pause = min(2 * pause, LONGEST_PAUSE)
    yield 0.0


def _branch(name: str, registered: str | None) -> Branch | None:
    """The database of a processor. One that a relay of the release before has registered is known by its code alone."""
    known = registry.processors().get(name)
    found = registered or (known.database if known else None)
    return found if found in BRANCHES else None


@contextmanager
def _reading(branch: Branch) -> Iterator[Connection]:
    """A connection to a database. Raises Unavailable when it does not answer or lets us not read."""
    try:
        with get_engine(branch).connect() as db:
            yield db
    except DBAPIError as error:
        code = sqlstate(error)
        if code in (_NO_TABLE, _NO_COLUMN):
            raise NotMigrated(f"the {branch} database is older than this code: run `fundlyhub migrate` on it") from None
        if code == _NO_RIGHT:
            raise refused(branch, error.orig) from None
        if is_outage(error):
            raise unavailable(branch, get_settings().dsn(branch), error.orig) from None
        raise


def _some(positions: tuple[int, ...]) -> str:
    """``1 event (position 7)``, ``3 events (the first at position 7)``."""
    first = f"position {positions[0]}" if len(positions) == 1 else f"the first at position {positions[0]}"
    return f"{len(positions)} event{'s' * (len(positions) > 1)} ({first})"
