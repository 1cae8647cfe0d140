"""Sending: take messages in the ledger, call the provider, and settle them by its answers."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import uuid4

from sqlalchemy import Connection, Engine

from fundlyhub.channels.gateway import Door
from fundlyhub.channels.messages import Mail, Push, Sms
from fundlyhub.database import is_outage
from fundlyhub.errors import AddressGone, Limited, OutcomeUnknown, Permanent, Snooze, Transient
from fundlyhub.events.refusal import interruption
from fundlyhub.observability.context import at
from fundlyhub.observability.redaction import describe
from fundlyhub.processing import Paused, paused_meanwhile
from fundlyhub.processors.notifications import contacts
from fundlyhub.processors.notifications.broadcasts import open_messages
from fundlyhub.processors.notifications.broadcasts.rate import Rate
from fundlyhub.processors.notifications.ledger import leases, store
from fundlyhub.processors.notifications.ledger.state import next_step
from fundlyhub.processors.notifications.message import Message
from fundlyhub.settings import Settings

T = TypeVar("T")

UNKNOWN = "outcome unknown"
LONGEST_WAIT = 0.5
"""Seconds that the rate is waited for at once: in between is looked whether the processor was paused."""


_Call = Future[str | None]
_Calls = dict[_Call, Message]
"""The calls that are under way, each with its message."""
_Ready = list[tuple[Message, Mail | Push | Sms]]
"""Messages with what the provider gets of them."""
_Outcome = tuple[Message, Exception | None]
"""A message, with the reason why it is not settled, if so."""


class Busy(Snooze):
    """Only this message waits: another worker has it, or its time has not come."""


class Sending:
    """Sends messages of one channel, as many side by side as its gateway allows.

    One statement settles those whose calls have ended and takes the next, which were composed meanwhile; the threads
    of ``pool`` only call the provider. A killed worker leaves only the messages in doubt whose calls were under way.

    ``for_many`` is for broadcasts and digests, whose messages are retried one by one and not with their event: twice
    as many are under way, so that one half is sent while the other half is settled. ``rate`` slows them down.
    """

    def __init__(
        self, door: Door[Mail | Push | Sms], pool: Executor, engine: Engine, settings: Settings,
        *, for_many: bool = False, rate: Rate | None = None,
    ) -> None:  # fmt: skip
        self.door, self._pool, self._settings, self._for_many, self._rate = door, pool, settings, for_many, rate
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")

    def send(self, messages: Sequence[Message], end: float = math.inf) -> Iterator[_Outcome]:
        """Send messages; yields each with the reason why it is not settled, if so. Raises outages of the database.

        From ``end`` on, a time of the monotonic clock, only the first few messages are begun: the rest waits. None is
        begun once the processor is paused. A pause, a stop or an outage lets the calls that have begun come to their
        end; what has not begun stays in the ledger.
        """
        left, calls, begun = deque(messages), _Calls(), False
        width = self.door.limit * (2 if self._for_many else 1)
        try:
            while True:
                going_on = bool(left) and (time.monotonic() < end or not begun) and not paused_meanwhile()
                if not going_on and not calls:
                    break
                chosen = [left.popleft() for _ in range(min(len(left), self._pause(end)))] if going_on else []
                ready, settled = self._prepare_all(chosen)
                yield from settled
                ended = _wait(calls, until=width - (len(ready) or self.door.limit) if going_on else 0)
                if (begun and time.monotonic() >= end) or paused_meanwhile():  # it was time to stop meanwhile
                    left.extendleft(message for message, _ in reversed(ready))
                    ready = []
                yield from self._exchange(ended, ready, calls)
                begun = begun or bool(ready)
        finally:
            self._wind_up(calls)
            self.door.flush()
        for message in left:
            late = Busy(f"{message.notice.template}: there was no time left", seconds=1)
            yield message, Paused() if paused_meanwhile() else late

    def check(self) -> None:
        """Raise Snooze while nothing can be sent: the breaker is open, or the provider wants no more for now."""
        if self._rate and (seconds := self._rate.held):
            raise Snooze(f"{self.door.provider} wants no more for a while", seconds=seconds)
        self.door.check()

    def _pause(self, end: float) -> int:
        """Wait for the rate, if there is one; how many may then be begun."""
        if self._rate is None:
            return self.door.limit
        soon = time.monotonic() + LONGEST_WAIT
        return self._rate.wait(self.door.limit, soon if soon < end else end)

    def _prepare_all(self, messages: Sequence[Message]) -> tuple[_Ready, list[_Outcome]]:
        """What the provider gets of these messages; and the others, with their errors."""
        ready: _Ready = []
        others: list[_Outcome] = []
        refused = self._refused() if messages else None
        for message in (replace(one, token=uuid4()) for one in messages):
            found = self._prepare(message, refused)
            if found is None or isinstance(found, Exception):
                others.append((message, found))
            else:
                ready.append((message, found))
        return ready, others

    def _exchange(self, ended: Sequence[_Call], ready: _Ready, calls: _Calls) -> Iterator[_Outcome]:
        """Settle calls that have ended, take messages and begin their calls; yields what is settled or not begun."""
        seconds, provider = self._settings.notification_lease, self.door.provider
        accepted = [(calls[one], one.result()) for one in ended if not one.cancelled() and one.exception() is None]
        wanted = [message for message, _ in ready]
        taken, lost = self._write(lambda db: leases.exchange(db, accepted, wanted, provider, seconds))
        # Nothing may come between taking and calling: a message that is taken and never called would be in doubt.
        for message, composed in ready:
            if message.id in taken:
                call = _Call()
                calls[call] = message  # before it begins: if the limit of time strikes now, it is settled or given back
                self._pool.submit(_run, call, message.context().run, self._call, message, composed)
        for call in ended:
            message = calls[call]
            error = self._lost(message) if message.id in lost else self._settle_one(message, call)
            del calls[call]
            yield message, error
        for message in wanted:
            if message.id not in taken:
                yield message, Busy(f"{message.notice.template}: another worker has it", seconds=seconds)

    def _wind_up(self, calls: _Calls) -> None:
        """Wait for the calls that have begun, and settle them, however the sending ended."""
        wait([call for call in calls if not call.cancel()])
        if calls:
            for _ in self._exchange(list(calls), [], calls):
                pass

    def _refused(self) -> Exception | None:
        """Why the gateway lets nothing through now, if so."""
        try:
            self.check()
        except Exception as error:
            return error
        return None

    def _prepare(self, message: Message, refused: Exception | None) -> Mail | Push | Sms | Exception | None:
        """What the provider gets; or the error, None when the message is settled."""
        row, template = message.row, message.notice.template
        assert row is not None
        match next_step(row, again=message.resend_if_unknown, replayed_after=message.replayed_after):
            case "settled":
                return None
            case "wait":
                return Busy(f"{template}: it waits, or is being sent", seconds=row.wait)
            case "failed":
                return Permanent(f"{template}: refused by its provider")
            case "unknown":
                self._write(lambda db: leases.end(db, message, "unknown", "its worker was lost", _now()))
                return OutcomeUnknown(f"{template}: {UNKNOWN}")
        if refused is not None:
            return refused
        from fundlyhub.processors.notifications.rendering.compose import compose  # see ``warm_up``

        try:
            return compose(message, self._settings)
        except Exception as error:
            if self._for_many:  # the others are sent; this one waits for a person
                reason = describe(error)
                self._write(lambda db: open_messages.refuse(db, row.id, reason))
            return error

    def _call(self, message: Message, composed: Mail | Push | Sms) -> str | None:
        """Call the provider in a thread of the pool, whose log entries name the event."""
        with at(message.events):
            return self.door.send(composed)

    def _lost(self, message: Message) -> Exception:
        """Write a message down again whose row was lost after it was taken: what else was lost is not known."""
        reason = "its row in the ledger was lost while it was sent"
        self._write(lambda db: store.restore(db, message, reason))
        return OutcomeUnknown(f"{message.notice.template}: {UNKNOWN} ({reason})")

    def _settle_one(self, message: Message, call: Future[str | None]) -> Exception | None:
        if call.cancelled():  # a stop came first
            self._write(lambda db: leases.release(db, message, "stopped before it was sent", 0.0))
            return None
        match call.exception():
            case None:
                return None
            case AddressGone() as gone:
                self._forget(message, gone)
                self._write(lambda db: leases.end(db, message, "skipped", "address gone", _now()))
                return None
            case Permanent() as error:
                reason = describe(error)
                self._write(lambda db: leases.end(db, message, "failed", reason, _now()))
                return error
            case Snooze() as error:
                seconds, reason = error.seconds, describe(error)
                if self._rate and isinstance(error, Limited):
                    self._rate.refused(seconds)
                self._write(lambda db: leases.release(db, message, reason, seconds))
                return error
            case Transient() as error:
                self._try_again(message, describe(error))
                return error
            case Exception() as error:  # a bug of ours or the SDK's: the outcome is unknown
                return self._unknown(message, error)
            case error:
                raise error

    def _forget(self, message: Message, gone: AddressGone) -> None:
        secret, told_by = self._settings.secret, self.door.provider
        self._write(
            lambda db: contacts.forget(
                db, message.channel, message.address or "", secret, error=gone, told_by=told_by,
                user_id=message.person.user_id, notification_id=message.id,
            )
        )  # fmt: skip

    def _unknown(self, message: Message, error: Exception) -> Exception:
        """Settle a message that may have gone out, by the catalogue's rule."""
        reason = describe(error)
        if message.resend_if_unknown:
            self._try_again(message, reason)
            return Transient(f"{message.notice.template}: {UNKNOWN}, to be sent again")
        self._write(lambda db: leases.end(db, message, "unknown", reason, _now()))
        return OutcomeUnknown(f"{message.notice.template}: {UNKNOWN} ({reason})")

    def _try_again(self, message: Message, reason: str) -> None:
        """Retry a message with its event, which counts the attempts, or on its own."""
        if self._for_many:
            self._write(lambda db: open_messages.put_off(db, message, reason))
        else:
            self._write(lambda db: leases.release(db, message, reason, 0.0))

    def _write(self, change: Callable[[Connection], T]) -> T:
        """Write to the ledger, with retries: a message that the provider has accepted must not become unknown."""
        from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_exponential  # see ``warm_up``

        for attempt in Retrying(
            retry=retry_if_exception(is_outage),
            wait=wait_exponential(0.1, max=2),
            stop=stop_after_delay(self._settings.notification_lease / 3),
            reraise=True,
        ):
            with attempt, self._engine.connect() as db:
                return change(db)
        raise AssertionError("it returns or raises")


def _wait(calls: _Calls, until: int) -> list[_Call]:
    """Wait until at most ``until`` calls are under way; returns those that have ended."""
    done = {call for call in calls if call.done()}
    while len(calls) - len(done) > until:
        done |= wait(calls.keys() - done, return_when=FIRST_COMPLETED).done
    return [call for call in calls if call in done]


def _run(future: Future[str | None], function: Callable[..., str | None], *args: Any) -> None:
    """Make a call for a future that was there before, unless it was cancelled meanwhile."""
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(function(*args))
    except BaseException as error:
        future.set_exception(error)
        if interruption(error) is not None:  # without threads it is the limit of the batch
            raise


def _now() -> datetime:
    return datetime.now(UTC)
