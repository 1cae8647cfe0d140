"""Mails: planned, rendered and sent to a provider, a second; ours against the average team's Celery, and ours to files.

Ours keeps a ledger, takes a lease for each mail before the call, and claims the event after it; theirs does neither.
The clock is the provider's, or that of the files: from the first mail to the last one. The provider is a process of its
own, and what it costs is told apart, since it shares the cores: it must not be what limits either.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar
from uuid import UUID, uuid4

import psycopg

from benchmarks.outlets import Outlet, OverHttp, ToFiles
from benchmarks.rows.celery_outbox import CeleryOutbox
from benchmarks.rows.ours import Ours
from benchmarks.rows.row import Row
from benchmarks.stage import PYTHON, Failed, Place, Stage
from benchmarks.usage import cpu_seconds
from fundlyhub import publish_events
from fundlyhub.events import Event
from fundlyhub.events.catalogue.user import UserRegistered
from fundlyhub.testing.databases import settings_of
from tests.support.platform import Process


class OursMailing(Ours):
    """The processor of e-mails alone."""

    key = "ours"
    processors = ("email_notification",)
    queues = "notifications"


class OursToFiles(OursMailing):
    """The same, with the backend that a fresh clone has."""

    key: ClassVar[str] = "ours-files"


class TheirsMailing(CeleryOutbox):
    """The outbox again, and a task that mails."""

    def start(self, place: Place) -> dict[str, Process]:
        """Worker and relay."""
        argv = [PYTHON, "-m", "celery", "-A", "benchmarks.peers.celery_mail", "worker", "-c", str(self.processes)]
        argv += ["--without-gossip", "--without-mingle", "-l", "WARNING"]
        return {"worker": place.start("worker", argv), "relay": place.start("relay", [*self.program(), "relay"])}


def measure(stage: Stage, mails: int) -> Iterator[tuple[str, dict[str, float]]]:
    """One after the other. Raises Failed when a mail is missing or went out twice."""
    yield "ours", _one(stage, OursMailing(), OverHttp, _register, mails)
    yield "ours-files", _one(stage, OursToFiles(), ToFiles, _register, mails)
    yield "celery-outbox", _one(stage, TheirsMailing(), OverHttp, _enter, mails)


def _one(
    stage: Stage, row: Row, to: Callable[[Place], Outlet], fill: Callable[[Place, int], None], mails: int
) -> dict[str, float]:
    with stage.place(row.broker) as place:
        outlet = to(place)
        fill(place, mails)
        place.db.execute("ANALYZE")
        clients = [one.popen.pid for one in row.start(place).values()]
        place.wait_for(outlet.count, 1, "mails", poll=0.01)
        before, begun = _cpu(stage, row, clients, outlet), outlet.count()
        place.wait_for(outlet.count, mails, "mails")
        after, left = _cpu(stage, row, clients, outlet), mails - begun or 1
        taken = outlet.taken()
    if len({one.copy for one in taken}) != mails or len(taken) != mails:
        raise Failed(f"{row.key}: {len(taken)} mails went out, and not {mails}")
    # What was under way together with the first one is not counted either.
    first, last = min(one.at for one in taken), max(one.at for one in taken)
    names = ("client_cpu_us", "server_cpu_us", "provider_cpu_us")
    costs = {name: (b - a) / left * 1e6 for name, a, b in zip(names, before, after, strict=True)}
    return {"mails_per_s": (mails - 1) / (last - first), **costs}


def _cpu(stage: Stage, row: Row, clients: Sequence[int], outlet: Outlet) -> tuple[float, float, float]:
    """CPU seconds so far: of the row's processes, of its servers, and of the provider."""
    return cpu_seconds(clients), cpu_seconds(stage.server_pids(row.broker)), cpu_seconds(outlet.pids)


def _register(place: Place, people: int) -> None:
    """Register this many people: each gets one mail."""
    ours = {name: value for name, value in place.environment.items() if name.startswith("FUNDLYHUB_")}
    with settings_of(ours):
        publish_events(
            Event.of(
                UserRegistered(
                    user_id=UUID(int=10_000 + n), email=f"user{n}@example.org", name=f"User {n}",
                    registration_method="email",
                )
            )
            for n in range(people)
        )  # fmt: skip


def _enter(place: Place, people: int) -> None:
    """The same people, as rows of theirs."""
    with psycopg.connect(place.dsn) as db, db.cursor() as cursor:
        for n in range(people):
            user = str(UUID(int=10_000 + n))
            cursor.execute("INSERT INTO bench.users VALUES (%s, %s, %s)", (user, f"User {n}", f"user{n}@example.org"))
            event = json.dumps({"id": str(uuid4()), "user": user})
            cursor.execute("INSERT INTO bench.outbox (event) VALUES (%s)", (event,))
