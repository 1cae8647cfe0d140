"""Repairs: what a verification found missing or overdue is sent again, and forged events are handed over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from celery import Celery
from psycopg.errors import InsufficientPrivilege

from fundlyhub.database import connect
from fundlyhub.processing.processor import Processor
from fundlyhub.processing.publisher import Publisher
from fundlyhub.processing.routing import batches
from fundlyhub.relay import forged
from fundlyhub.settings import Settings


@dataclass(slots=True)
class Repairs:
    """What can be sent again: events without a trace or with another's claim, and overdue attempts."""

    missing: dict[str, list[int]] = field(default_factory=dict)
    overdue: dict[str, list[int]] = field(default_factory=dict)
    forged: list[int] = field(default_factory=list)
    """Positions of events whose transaction id is not theirs."""
    beyond: bool = False
    """Whether the log has positions that are yet to come."""

    @classmethod
    def of(cls, findings: Iterable[Mapping[str, Any]], processors: Iterable[str]) -> Self:
        """What may be sent again of a report's findings, as its document lists them, to these processors."""
        found, known = cls(), set(processors)
        for one in findings:
            if one["repairable"] and one["processor"] in known:
                some = found.overdue if one["kind"] == "stuck" else found.missing
                some.setdefault(one["processor"], []).append(one["position"])
        return found

    @property
    def counts(self) -> dict[str, int]:
        """How many events are sent again, by processor."""
        names = sorted({*self.missing, *self.overdue})
        return {name: len({*self.missing.get(name, ()), *self.overdue.get(name, ())}) for name in names}

    def heal(self, settings: Settings) -> tuple[int, str]:
        """Have forged events relayed, and positions passed over; the number of events, and why it was not done.

        It wants the log's owner.
        """
        if not self.forged and not self.beyond:
            return 0, ""
        with connect("events", settings=settings, autocommit=True) as db:
            try:
                if self.beyond:
                    forged.pass_positions(db)
                return forged.hand_over(db, self.forged), ""
            except InsufficientPrivilege:
                return 0, "it wants the log's owner: run `fundlyhub verify --repair` as that role"

    def send(self, app: Celery, processors: Mapping[str, type[Processor]]) -> int:
        """Send it all again, as the sweep would; the number of events. One that was only slow finds its claim.

        Raises an error of the broker's when it does not take them; then some of them may be there all the same.
        """
        sent = 0
        with Publisher(app) as publisher:
            for found, ends_wait in ((self.missing, False), (self.overdue, True)):
                again = [one for name, some in found.items() for one in batches(processors[name], sorted(set(some)))]
                publisher.send(again, ends_wait=ends_wait)
                sent += sum(len(batch.positions) for batch in again)
        return sent
