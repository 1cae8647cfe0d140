"""Messages through their door: taken in the ledger, handed to the provider, settled by what it answered."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID, uuid4

import psycopg
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_exponential

from fundlyhub.addresses import ascii_url
from fundlyhub.channels.doors import Door
from fundlyhub.channels.messages import Mail, Message, Push, Sms
from fundlyhub.database import is_outage
from fundlyhub.errors import AddressGone, OutcomeUnknown, Permanent, Snooze, Transient, describe
from fundlyhub.observability.context import at
from fundlyhub.processors.hashing import unsubscribe_url
from fundlyhub.processors.notifications import leases, people
from fundlyhub.processors.notifications.leases import Hold, Wanted
from fundlyhub.processors.notifications.letters import Letter
from fundlyhub.processors.notifications.rendering import Reader, render
from fundlyhub.processors.notifications.verdict import next_step
from fundlyhub.settings import Settings

UNKNOWN = "outcome unknown"


@dataclass(frozen=True, slots=True)
class _Ready:
    """A letter that is written, and the hold on it that we ask for."""

    letter: Letter
    message: Message = field(repr=False)
    wanted: Wanted


class Sending:
    """Sends letters of one channel, as many side by side as its door lets through.

    Those are taken in one statement and settled in one, so that ``pool``'s threads do nothing but call. A worker that
    is killed leaves no more of them in doubt than were being called.
    """

    def __init__(self, door: Door[Message], pool: ThreadPoolExecutor, engine: Engine, settings: Settings) -> None:
        self._door, self._pool, self._settings = door, pool, settings
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")

    def send(self, letters: Sequence[Letter]) -> Iterator[tuple[Letter, Exception | None]]:
        """What is left to say of each letter: nothing when it is settled, else why not. Raises outages of the database.

        A stop or an outage lets the calls that have begun come to their end; what has not begun stays in the ledger.
        """
        for first in range(0, len(letters), self._door.limit):
            yield from self._send(letters[first : first + self._door.limit])

    def _send(self, letters: Sequence[Letter]) -> Iterator[tuple[Letter, Exception | None]]:
        ready = []
        refused = self._refused()
        for letter in letters:
            found = self._prepare(letter, refused)
            if isinstance(found, _Ready):
                ready.append(found)
            else:
                yield letter, found
        lease = self._settings.notification_lease
        taken = self._take([one.wanted for one in ready], lease) if ready else set()
        # Nothing may come between taking and calling: what is taken and never called would be in doubt.
        yield from self._hand_over([one for one in ready if one.wanted.hold.id in taken])
        for one in ready:
            if one.wanted.hold.id not in taken:
                yield one.letter, Snooze(f"{one.letter.notice.template}: another worker has it", seconds=lease)

    def _refused(self) -> Exception | None:
        """Why the door lets nothing through now, if so."""
        try:
            self._door.check()
        except Exception as error:
            return error
        return None

    def _prepare(self, letter: Letter, refused: Exception | None) -> _Ready | Exception | None:
        """What is to be handed over, or what is left to say. A letter's own fault stays its own."""
        again = letter.notice.if_unknown(letter.channel) == "send again"
        replayed_after = letter.delivery.replayed_after
        step = next_step(letter.row, again=again, replayed_after=replayed_after)
        hold = Hold(letter.row.id, uuid4())
        match step.step:
            case "settled":
                return None
            case "wait":
                return Snooze(f"{letter.notice.template}: it waits, or is being sent", seconds=step.seconds)
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
            return error

    def _take(self, wanted: Sequence[Wanted], lease: float) -> set[UUID]:
        with self._engine.connect() as db:
            return leases.take(db, wanted, self._door.provider, lease)

    def _hand_over(self, ready: Sequence[_Ready]) -> Iterator[tuple[Letter, Exception | None]]:
        """The calls, without a transaction, and what the ledger is told of them."""
        contexts = [one.letter.delivery.context.copy() for one in ready]  # a context is entered by one thread at a time
        calls = [self._pool.submit(context.run, self._call, one) for one, context in zip(ready, contexts, strict=True)]
        try:
            wait(calls)
        finally:
            for call in calls:
                call.cancel()
            wait(calls)
            errors = self._settle(ready, calls)
        for one, error in zip(ready, errors, strict=True):
            yield one.letter, error

    def _call(self, one: _Ready) -> str | None:
        """In a thread of the pool, whose log entries tell of which event they are."""
        with at([one.letter.delivery.event]):
            return self._door.send(one.message)

    def _settle(self, ready: Sequence[_Ready], calls: Sequence[Future[str | None]]) -> list[Exception | None]:
        """Those that were accepted together and first; then each of the others, of which there are few."""
        answered = [(one, call) for one, call in zip(ready, calls, strict=True) if not call.cancelled()]
        accepted = {one.wanted.hold: call.result() for one, call in answered if call.exception() is None}
        if accepted:
            self._write(lambda db: leases.sent(db, accepted))
        return [self._settle_one(one, call) for one, call in zip(ready, calls, strict=True)]

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
            case Snooze() | Transient() as error:
                seconds, reason = error.seconds if isinstance(error, Snooze) else 0.0, describe(error)
                self._write(lambda db: leases.release(db, hold, reason, seconds))
                return error
            case Exception() as error:  # ours or the SDK's fault: nobody knows how far it came
                return self._unknown(letter, hold, error)
            case error:
                raise error

    def _forget(self, letter: Letter, gone: AddressGone) -> None:
        secret, told_by, id = self._settings.secret, self._door.provider, letter.row.id
        self._write(
            lambda db: people.forget(
                db, letter.channel, letter.address, secret, error=gone, told_by=told_by,
                user_id=letter.person.user_id, notification_id=id,
            )
        )  # fmt: skip

    def _unknown(self, letter: Letter, hold: Hold, error: Exception) -> Exception:
        """The template's policy on a message that may have gone out."""
        reason = describe(error)
        if letter.notice.if_unknown(letter.channel) == "send again":
            self._write(lambda db: leases.release(db, hold, reason, 0.0))
            return Transient(f"{letter.notice.template}: {UNKNOWN}, to be sent again")
        self._write(lambda db: leases.end(db, hold, "unknown", reason, _now()))
        return OutcomeUnknown(f"{letter.notice.template}: {UNKNOWN} ({reason})")

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


def compose(letter: Letter, settings: Settings) -> Message:
    """The message as it goes out, in the recipient's language and time zone."""
    person, notice, reference = letter.person, letter.notice, str(letter.row.id)
    leave = None
    if letter.channel == "email" and not notice.transactional and person.user_id:
        leave = unsubscribe_url(settings.public_url, person.user_id, notice.category, settings.secret)
    reader = Reader(person.name, person.locale, person.time_zone)
    rendered = render(
        notice.template, letter.channel, letter.facts, reader, site_url=settings.site_url, unsubscribe_url=leave,
        preferences_url=f"{settings.site_url.rstrip('/')}/settings/notifications",
    )  # fmt: skip
    match letter.channel:
        case "email":
            headers = _leaving(leave) if leave else {}
            return Mail(letter.address, rendered.subject, rendered.text, rendered.html or "", reference, headers)
        case "push":
            data = {"template": notice.template, "notification": reference}
            return Push(letter.address, rendered.subject, rendered.text, reference, data)
        case _:
            return Sms(letter.address, rendered.text, reference)


def _leaving(url: str) -> dict[str, str]:
    """What mail programs need for their own button (RFC 2369, RFC 8058)."""
    return {"List-Unsubscribe": f"<{ascii_url(url)}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}


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
