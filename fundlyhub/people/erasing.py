"""Erases a person: out of the log, its archives, the read models and whatever else we hold, so that numbers stay right.

The log goes first: from then on neither a worker nor a replay reads a word of theirs there. What read models made
of it follows, from the same events. A run that is killed is gone on with by the next one, which does everything again:
what is done already changes nothing.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from logging import getLogger
from typing import Any
from uuid import UUID

import psycopg

from fundlyhub.database import connect, get_engine, rebuilt
from fundlyhub.errors import Unavailable
from fundlyhub.events import Event
from fundlyhub.events.log import head
from fundlyhub.people import archives, belongings, journal, log, outside
from fundlyhub.people.hands import Hands, unknown
from fundlyhub.people.journal import Erasure
from fundlyhub.people.log import Found
from fundlyhub.people.person import Person
from fundlyhub.people.vacuum import vacuum
from fundlyhub.processing.processor import Processor
from fundlyhub.processing.routing import wanting
from fundlyhub.retention.archives.archive import alone
from fundlyhub.retention.archives.older_transactions import wait_for_older
from fundlyhub.settings import BRANCHES, Settings

logger = getLogger(__name__)

OLDER = 60.0
"""Seconds that it waits for transactions of publishers that were open when it looked."""
ROUNDS = 20
"""Times that it looks for events which came meanwhile."""

Tell = Callable[[str, int, int], None]
"""Told what is done, how far, and of how much (0 if that is not known); raises when it is time to stop."""
Databases = Mapping[str, psycopg.Connection[Any]]

_MESSAGES = "SELECT id FROM app.notifications WHERE event_id = ANY (%s)"
_TOKENS = "SELECT token FROM app.devices WHERE user_id = ANY (%s)"


@dataclass(slots=True)
class Erased:
    """What a run came to: the erasure, the events of the person, and how many rows, entries and files changed."""

    erasure: Erasure
    events: Counter[str] = field(default_factory=Counter)
    changed: Counter[str] = field(default_factory=Counter)
    away: list[str] = field(default_factory=list)
    """Archives that are not at their place, so that nothing could be erased in them."""
    unknown: list[str] = field(default_factory=list)
    """Processors of such events whose code is not here, so that nothing could be erased in their tables."""

    @property
    def whole(self) -> bool:
        """Whether nothing is left to do."""
        return not self.away


@contextmanager
def databases(settings: Settings) -> Iterator[Databases]:
    """A connection to each of the three; that to the Events DB keeps its session."""
    with ExitStack() as stack:
        yield {
            branch: stack.enter_context(connect(branch, settings=settings, autocommit=True, session=branch == "events"))
            for branch in BRANCHES
        }


def erase(
    settings: Settings,
    processors: Mapping[str, type[Processor]],
    person: Person,
    *,
    who: str,
    reason: str,
    tell: Tell = lambda what, done, total: None,
) -> Erased:
    """Erase a person, or go on with what a former run has begun; doing it twice is harmless.

    What is published about them while it runs is erased too; what comes later is new. Raises WrongState when another
    process erases, archives or restores at the time; Unavailable when something is away: run it again then.
    """
    with databases(settings) as dbs, alone(dbs["events"]):
        erasure = journal.begin(dbs["events"], person.hashes, who=who, reason=reason)
        person.hashes.update(erasure.hashes)
        return _Eraser(settings, processors, dbs, person, tell).run(erasure, settled=False)


def preview(settings: Settings, person: Person, *, tell: Tell = lambda what, done, total: None) -> Counter[str]:
    """The events about a person by type, in the log and in the archives that are there. Nothing is changed."""
    found: Counter[str] = Counter()
    with connect("events", settings=settings, autocommit=True) as db:
        for _, some in archives.look(db, person):
            found.update(one.row.type for one in some)
        until = head(db)
        for page in log.pages(db, 0, until):
            found.update(one.row.type for one in log.about(page, person))
            tell("looking", page[-1].position, until)
    return found


def again(
    settings: Settings,
    processors: Mapping[str, type[Processor]],
    *,
    all: bool = False,
    tell: Tell = lambda what, done, total: None,
) -> list[Erased]:
    """Apply the erasures that a database lacks, after it was restored from a backup; with ``all`` every one.

    What was published later than an erasure stays. Raises as ``erase`` does.
    """
    done = []
    with databases(settings) as dbs, alone(dbs["events"]):
        found = list(journal.lacking(dbs, settings.data_dir))
        for erasure, _ in journal.everything(dbs, settings.data_dir) if all else found:
            person = Person(settings.secret, erasure.hashes)
            belongings.contacts_of(person)
            journal.save(dbs["events"], erasure, erasure.hashes, erasure.up_to)
            done.append(_Eraser(settings, processors, dbs, person, tell).run(erasure, settled=erasure.finished))
    return done


class _Eraser:
    """One erasure. ``_found`` are the positions of the person's events in the log."""

    def __init__(
        self, settings: Settings, processors: Mapping[str, type[Processor]], dbs: Databases, person: Person, tell: Tell
    ) -> None:
        self._settings, self._processors, self._dbs = settings, processors, dbs
        self._person, self._tell = person, tell
        self._log = dbs["events"]
        self._found: list[int] = []
        self._ids: set[UUID] = set()

    def run(self, erasure: Erasure, *, settled: bool) -> Erased:
        """All steps. One that is ``settled`` goes no further than it went."""
        report = Erased(erasure)
        report.erasure = erasure = self._redact_settled(erasure, report) if settled else self._redact(erasure, report)
        report.changed["archives"] += archives.rewrite(
            self._log, self._person, lambda found: self._apply(found, report), lambda path: self._tell(path.name, 0, 0)
        )
        self._settle(report)
        self._rest(report)
        for branch in ("app", "analytics"):  # rebuilt and former tables may hold what was erased in the live ones
            if dropped := rebuilt.drop_all(self._dbs[branch], branch, who="an erasure"):
                report.changed["schemas of rebuilds"] += dropped
        self._tell("vacuuming", 0, 0)
        vacuum(self._dbs)
        report.away = [str(path) for path in archives.away(self._log)]
        if report.whole:
            journal.finish(self._dbs, erasure, self._settings.data_dir)
            logger.info("a person was erased, up to position %d: %d events", erasure.up_to, report.events.total())
        return report

    def _redact(self, erasure: Erasure, report: Erased) -> Erasure:
        """Look for what is theirs, then overwrite it; and again, until nothing has come meanwhile."""
        after = 0
        for _ in range(ROUNDS):
            until = self._newest()
            known = len(self._person.hashes)
            if not self._look(after, until) and after:
                return erasure
            erasure = journal.save(self._log, erasure, self._person.hashes, until)
            # An address that was not known before may be that of a guest in what was passed already.
            self._overwrite(0 if len(self._person.hashes) > known else after, until, report)
            after = until
        return erasure

    def _redact_settled(self, erasure: Erasure, report: Erased) -> Erasure:
        self._overwrite(0, erasure.up_to, report)
        return erasure

    def _newest(self) -> int:
        """The head of the log, once every transaction has ended that may still publish below it."""
        until, deadline = head(self._log), time.monotonic() + OLDER

        def waiting(left: int) -> None:
            self._tell(f"waiting for {left} older transactions", 0, 0)
            if time.monotonic() > deadline:
                raise Unavailable(f"{left} transactions of before are still open: end them, and run it again")

        wait_for_older(self._log, waiting)
        return until

    def _look(self, after: int, until: int) -> int:
        """What is theirs: addresses and things. In the archives too, at the first look. How many events there are."""
        if not after:
            for _, found in archives.look(self._log, self._person):
                self._learn(found)
        number = 0
        for page in log.pages(self._log, after, until):
            found = log.about(page, self._person)
            self._learn(found)
            number += len(found)
            self._tell("looking", page[-1].position, until)
        return number

    def _learn(self, found: Iterable[Found]) -> None:
        for one in found:
            for thing in one.redacted.things:
                self._person.add_thing(thing)
            for address in one.redacted.addresses:
                self._person.add_address(address)

    def _overwrite(self, after: int, until: int, report: Erased) -> None:
        for page in log.pages(self._log, after, until):
            if found := log.about(page, self._person):
                report.changed["events"] += log.overwrite(self._log, found, self._person)
                self._found += [one.row.position for one in found]
                self._apply(found, report)
            self._tell("erasing", page[-1].position, until)

    def _apply(self, found: Sequence[Found], report: Erased) -> None:
        """Take out of the read models what these events have made there."""
        report.events.update(one.row.type for one in found)
        self._ids.update(one.row.id for one in found)
        self._erase_in_tables([event for one in found if one.redacted.fields and (event := one.event)])

    def _erase_in_tables(self, events: Sequence[Event]) -> None:
        for cls in self._processors.values():
            wants = wanting(cls)
            if theirs := [event for event in events if wants(event.type)]:
                with get_engine(cls.database).begin() as db:
                    cls.erase(theirs, db)

    def _settle(self, report: Erased) -> None:
        """Wait for workers that had such an event in their hands when it was overwritten, and erase what they wrote."""
        hands, told = Hands(self._settings, self._processors, self._log, self._found), set[str]()
        while waits := hands.waits():
            for one in waits:
                if one.processor not in told:
                    logger.warning("%s", one)
            told |= {one.processor for one in waits}
            self._tell(f"waiting for workers of {', '.join(one.processor for one in waits)}", 0, 0)
            time.sleep(0.1)
        if told:
            for start in range(0, len(self._found), log.PAGE):
                rows = log.at(self._log, self._found[start : start + log.PAGE])
                self._apply(log.about(rows, self._person), Erased(report.erasure))
        report.unknown = unknown(self._log, self._processors, list(report.events))

    def _rest(self, report: Erased) -> None:
        person = self._person
        if person.ids:
            person.tokens.update(token for (token,) in self._dbs["app"].execute(_TOKENS, (sorted(person.ids),)))
        self._tell("erasing messages and streams", 0, 0)
        messages = outside.erase_messages(self._settings, person, self._messages())
        report.changed["messages in the outbox folder"] += messages
        report.changed["entries of mirrored streams"] += outside.erase_mirrored(self._settings, person, self._ids)
        report.changed += belongings.erase(self._log, person)
        outside.flush_search()

    def _messages(self) -> list[UUID]:
        """The messages about their events, which name them to others."""
        return [id for (id,) in self._dbs["app"].execute(_MESSAGES, (list(self._ids),))]
