"""Messages through their door: taken in the ledger, handed to the provider, settled by what it answered."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID, uuid4

import psycopg
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_exponential

from fundlyhub.channels.gateway import Door
from fundlyhub.channels.messages import Message
from fundlyhub.database import is_outage
from fundlyhub.errors import AddressGone, Limited, OutcomeUnknown, Permanent, Snooze, Transient, describe
from fundlyhub.observability.context import at
from fundlyhub.processors.notifications import contacts
from fundlyhub.processors.notifications.broadcasts import open_messages
from fundlyhub.processors.notifications.broadcasts.rate import Rate
from fundlyhub.processors.notifications.ledger import leases
from fundlyhub.processors.notifications.ledger.leases import Hold, Wanted
from fundlyhub.processors.notifications.ledger.state import next_step
from fundlyhub.processors.notifications.outgoing import Letter
from fundlyhub.processors.notifications.rendering.compose import compose
from fundlyhub.settings import Settings

UNKNOWN = "outcome unknown"


@dataclass(frozen=True, slots=True)
class _Ready:
    """A letter that is written, and the hold on it that we ask for."""

    letter: Letter
    message: Message = field(repr=False)
    wanted: Wanted


class Busy(Snooze):
    """Only this message is to wait: another worker has it, or its time has not come."""


class Sending:
    """Sends letters of one channel, as many side by side as its door lets through.

    Those are taken in one statement and settled in one, so that ``pool``'s threads do nothing but call. A worker that
    is killed leaves no more of them in doubt than were being called.

    ``for_many`` is for broadcasts and digests, whose messages are tried again one by one and not with their event:
    twice as many are under way, so that those of one half are called while the other half is settled; ``rate`` holds
    them back.
    """

    def __init__(
        self, door: Door[Message], pool: ThreadPoolExecutor, engine: Engine, settings: Settings,
        *, for_many: bool = False, rate: Rate | None = None,
    ) -> None:  # fmt: skip
        self.door, self._pool, self._settings, self._for_many, self._rate = door, pool, settings, for_many, rate
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")

    def send(self, letters: Sequence[Letter], end: float = math.inf) -> Iterator[tuple[Letter, Exception | None]]:
        """What is left to say of each letter: nothing when it is settled, else why not. Raises outages of the database.

        From ``end`` on, a time of the monotonic clock, nothing is begun but the first few letters: the rest is to wait.
        A stop or an outage lets the calls that have begun come to their end; what has not begun stays in the ledger.
        """
        left, calls = deque(letters), dict[Future[str | None], _Ready]()
        width = self.door.limit * (2 if self._for_many else 1)
        try:
            while True:
                going_on = bool(left) and (time.monotonic() < end or len(left) == len(letters))
                if going_on:
                    next_ones = [left.popleft() for _ in range(min(len(left), width - len(calls), self._pause(end)))]
                    yield from self._begin(next_ones, calls)
                elif not calls:
                    break
                more = going_on and bool(left)
                yield from self._finish(calls, until=width - self.door.limit if more else 0)
        finally:
            self._wind_up(calls)
        for letter in left:
            yield letter, Busy(f"{letter.notice.template}: there was no time left", seconds=1)

    def check(self) -> None:
        """Raises Snooze while nothing can be sent: the breaker is open, or the provider wants no more."""
        if self._rate and (seconds := self._rate.held):
            raise Snooze(f"{self.door.provider} wants no more for a while", seconds=seconds)
        self.door.check()

    def _pause(self, end: float) -> int:
        """Wait for the rate, if there is one; how many may then be begun."""
        return self._rate.wait(self.door.limit, end) if self._rate else self.door.limit

    def _begin(
        self, letters: Sequence[Letter], calls: dict[Future[str | None], _Ready]
    ) -> Iterator[tuple[Letter, Exception | None]]:
        """Take messages and add their calls to those under way; what is left to say of all others."""
        ready: list[_Ready] = []
        told: list[tuple[Letter, Exception | None]] = []
        refused = self._refused()
        for letter in letters:
            found = self._prepare(letter, refused)
            if isinstance(found, _Ready):
                ready.append(found)
            else:
                told.append((letter, found))
        lease = self._settings.notification_lease
        taken = self._take([one.wanted for one in ready], lease) if ready else set()
        # Nothing may come between taking and calling: what is taken and never called would be in doubt.
        for one in ready:
            if one.wanted.hold.id in taken:
                calls[self._pool.submit(one.letter.context().run, self._call, one)] = one
            else:
                told.append((one.letter, Busy(f"{one.letter.notice.template}: another worker has it", seconds=lease)))
        yield from told

    def _finish(self, calls: dict[Future[str | None], _Ready], until: int) -> Iterator[tuple[Letter, Exception | None]]:
        """Settle calls that have ended, once no more than so many are under way."""
        done: set[Future[str | None]] = set()
        while len(calls) - len(done) > until:
            done |= wait(calls.keys() - done, return_when=FIRST_COMPLETED).done
        if done:
            yield from self._settle({call: calls.pop(call) for call in list(calls) if call in done})

    def _wind_up(self, calls: dict[Future[str | None], _Ready]) -> None:
        """Whatever ended the sending, calls that have begun come to their end, and are settled."""
        for call in calls:
            call.cancel()
        wait(calls)
        if calls:
            for _ in self._settle(calls):
                pass

    def _refused(self) -> Exception | None:
        """Why the door lets nothing through now, if so."""
        try:
            self.check()
        except Exception as error:
            return error
        return None

    def _prepare(self, letter: Letter, refused: Exception | None) -> _Ready | Exception | None:
        """What is to be handed over, or what is left to say. A letter's own fault stays its own."""
        again = letter.notice.if_unknown(letter.channel) == "send again"
        replayed_after = letter.replayed_after
        step = next_step(letter.row, again=again, replayed_after=replayed_after)
        hold = Hold(letter.row.id, uuid4())
        match step.step:
            case "settled":
                return None
            case "wait":
                return Busy(f"{letter.notice.template}: it waits, or is being sent", seconds=step.seconds)
            case "failed":
                return Permanent(f"{letter.notice.template}: refused by its provider")
            case "unknown":
                self._write(lambda db: leases.end(db, hold, "unknown", "its worker was lost", _now()))
                return OutcomeUnknown(f"{letter.notice.template}: {UNKNOWN}")
        if refused is not None:
            return refused
        try:
            return _Ready(letter, compose(letter, self._settings), Wanted(hold, again, replayed_after))
        except Exception as error:
            if self._for_many:  # the others are told; this one waits for a person
                reason = describe(error)
                self._write(lambda db: open_messages.refuse(db, letter.row.id, reason))
            return error

    def _take(self, wanted: Sequence[Wanted], lease: float) -> set[UUID]:
        with self._engine.connect() as db:
            return leases.take(db, wanted, self.door.provider, lease)

    def _call(self, one: _Ready) -> str | None:
        """In a thread of the pool, whose log entries tell of which event they are."""
        with at(one.letter.events):
            return self.door.send(one.message)

    def _settle(self, calls: Mapping[Future[str | None], _Ready]) -> list[tuple[Letter, Exception | None]]:
        """Those that were accepted together and first; then each of the others, of which there are few."""
        answered = [(one, call) for call, one in calls.items() if not call.cancelled()]
        accepted = {one.wanted.hold: call.result() for one, call in answered if call.exception() is None}
        if accepted:
            self._write(lambda db: leases.sent(db, accepted))
        return [(one.letter, self._settle_one(one, call)) for call, one in calls.items()]

    def _settle_one(self, one: _Ready, call: Future[str | None]) -> Exception | None:
        letter, hold = one.letter, one.wanted.hold
        if call.cancelled():  # a stop came first
            self._write(lambda db: leases.release(db, hold, "stopped before it was sent", 0.0))
            return None
        match call.exception():
            case None:
                return None
            case AddressGone() as gone:
                self._forget(letter, gone)
                self._write(lambda db: leases.end(db, hold, "skipped", "address gone", _now()))
                return None
            case Permanent() as error:
                reason = describe(error)
                self._write(lambda db: leases.end(db, hold, "failed", reason, _now()))
                return error
            case Snooze() as error:
                seconds, reason = error.seconds, describe(error)
                if self._rate and isinstance(error, Limited):
                    self._rate.refused(seconds)
                self._write(lambda db: leases.release(db, hold, reason, seconds))
                return error
            case Transient() as error:
                self._try_again(hold, describe(error))
                return error
            case Exception() as error:  # ours or the SDK's fault: nobody knows how far it came
                return self._unknown(letter, hold, error)
            case error:
                raise error

    def _forget(self, letter: Letter, gone: AddressGone) -> None:
        secret, told_by, id = self._settings.secret, self.door.provider, letter.row.id
        self._write(
            lambda db: contacts.forget(
                db, letter.channel, letter.address, secret, error=gone, told_by=told_by,
                user_id=letter.person.user_id, notification_id=id,
            )
        )  # fmt: skip

    def _unknown(self, letter: Letter, hold: Hold, error: Exception) -> Exception:
        """The template's policy on a message that may have gone out."""
        reason = describe(error)
        if letter.notice.if_unknown(letter.channel) == "send again":
            self._try_again(hold, reason)
            return Transient(f"{letter.notice.template}: {UNKNOWN}, to be sent again")
        self._write(lambda db: leases.end(db, hold, "unknown", reason, _now()))
        return OutcomeUnknown(f"{letter.notice.template}: {UNKNOWN} ({reason})")

    def _try_again(self, hold: Hold, reason: str) -> None:
        """With its event, which waits for that and counts the attempts; or on its own."""
        if self._for_many:
            self._write(lambda db: open_messages.put_off(db, hold, reason))
        else:
            self._write(lambda db: leases.release(db, hold, reason, 0.0))

    def _write(self, change: Callable[[Connection], None]) -> None:
        """Write to the ledger, and not give up at once: what a provider has accepted must not become unknown."""
        for attempt in Retrying(
            retry=retry_if_exception(lambda e: isinstance(e, (DBAPIError, psycopg.Error)) and is_outage(e)),
            wait=wait_exponential(0.1, max=2),
            stop=stop_after_delay(self._settings.notification_lease / 3),
            reraise=True,
        ):
            with attempt, self._engine.connect() as db:
                change(db)


def combined(errors: Sequence[Exception]) -> Exception | None:
    """What becomes of an event, from what became of its messages.

    As long as one of them is to be tried again the event is; then those count that nobody can help but a person.
    """
    snoozes = [error for error in errors if isinstance(error, Snooze)]
    ended = [error for error in errors if isinstance(error, (OutcomeUnknown, Permanent))]
    others = [error for error in errors if error not in snoozes and error not in ended]
    if others:
        return others[0]
    if snoozes:
        return min(snoozes, key=lambda error: error.seconds)
    return next((error for error in ended if isinstance(error, OutcomeUnknown)), ended[0] if ended else None)


def _now() -> datetime:
    return datetime.now(UTC)
