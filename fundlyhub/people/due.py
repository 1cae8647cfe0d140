"""Erases users some time after an event has deleted them: by `people erase --due`, or beside the leading relay."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from logging import getLogger
from uuid import UUID

from fundlyhub.database import get_engine
from fundlyhub.errors import WrongState
from fundlyhub.people.erasing import Erased, Tell, erase
from fundlyhub.people.finding import person_of
from fundlyhub.people.person import Person
from fundlyhub.processing.processor import Processor
from fundlyhub.relay.background_thread import Companion
from fundlyhub.settings import Settings

log = getLogger(__name__)

PAUSE = 600.0
"""Seconds between two looks."""
WHO = "the grace period"
# `recipient_write` keeps when each user was deleted.
_DELETED = """
    SELECT id, position FROM entity_fields
    WHERE kind = 'contact' AND field = 'deleted' AND value = 'true' AND occurred_at < clock_timestamp() - %(grace)s
    ORDER BY occurred_at, id
"""
_DONE = "SELECT EXISTS (SELECT FROM erasures WHERE hashes @> %(hashes)s::text[] AND up_to >= %(position)s)"


def due(settings: Settings, grace: timedelta) -> list[UUID]:
    """The users who were deleted longer ago than the grace period and are not erased, the first one first."""
    found = []
    with get_engine("app").connect() as db:
        for id, position in db.exec_driver_sql(_DELETED, {"grace": grace}).all():
            person = Person(settings.secret)
            person.add_id(id)
            given = {"hashes": sorted(person.hashes), "position": position}
            if not db.exec_driver_sql(_DONE, given).scalar_one():
                found.append(id)
    return found


def erase_due(
    settings: Settings,
    processors: Mapping[str, type[Processor]],
    grace: timedelta,
    tell: Tell = lambda what, done, total: None,
) -> list[Erased]:
    """Erase them, one after the other. Raises as ``erase`` does; those before are erased then."""
    done = []
    for user in due(settings, grace):
        with get_engine("app").connect() as db:
            person = person_of(db, str(user), settings.secret)
        reason = f"deleted more than {grace / timedelta(days=1):g} days ago"
        done.append(erase(settings, processors, person, who=WHO, reason=reason, tell=tell))
    return done


class Eraser(Companion):
    """Beside the leading relay: erases who is due, every ten minutes. Without a grace period it does nothing."""

    name = "eraser"

    def __init__(self, settings: Settings, processors: Mapping[str, type[Processor]]) -> None:
        super().__init__(PAUSE)
        self._settings, self._processors = settings, processors

    def work(self) -> None:
        """Look, again and again; an end of the relay is heard between two steps."""
        days = self._settings.erase_after
        if days is None:
            return
        while True:
            try:
                erase_due(self._settings, self._processors, timedelta(days=days), self._go_on)
            except _Stopped:
                return
            except WrongState as error:
                log.info("nobody is erased now: %s", error)
            if self._stop.wait(PAUSE):
                return

    def _go_on(self, what: str, done: int, total: int) -> None:
        if self._stop.is_set():
            raise _Stopped


class _Stopped(Exception):
    """The relay ends: the next leader goes on."""
