"""Mails: planned, rendered and sent to a provider in this process, a second; ours against the average team's Celery.

Ours keeps a ledger, takes a lease for each mail before the call, and claims the event after it; theirs does neither.
The clock is the provider's: from the first mail that it took to the last one. What the provider itself costs is told
apart, since it shares the cores: it must not be what limits either.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID, uuid4

import psycopg

from benchmarks.rows.celery_outbox import CeleryOutbox
from benchmarks.rows.ours import Ours
from benchmarks.rows.row import Row
from benchmarks.stage import PYTHON, Failed, Place, Stage
from benchmarks.usage import cpu_seconds
from fundlyhub import publish_events
from fundlyhub.events import Event
from fundlyhub.events.catalogue.user import UserRegistered
from fundlyhub.testing.databases import settings_of
from fundlyhub.testing.providers import SendGrid
from fundlyhub.testing.providers.http import Accepted
from tests.support.platform import Process


class OursMailing(Ours):
    """The processor of e-mails alone."""

    key = "ours"
    processors = ("email_notification",)
    queues = "notifications"


class TheirsMailing(CeleryOutbox):
    """The outbox again, and a task that mails."""

    def start(self, place: Place) -> dict[str, Process]:
        """Worker and relay."""
        argv = [PYTHON, "-m", "celery", "-A", "benchmarks.peers.celery_mail", "worker", "-c", str(self.processes)]
        argv += ["--without-gossip", "--without-mingle", "-l", "WARNING"]
        return {"worker": place.start("worker", argv), "relay": place.start("relay", [*self.program(), "relay"])}


@dataclass
class Clocked(SendGrid):
    """SendGrid, which remembers when it took each mail."""

    times: list[float] = field(default_factory=list)

    def read(self, body: bytes) -> Accepted:
        """A mail, now."""
        self.times.append(time.monotonic())
        return super().read(body)


def measure(stage: Stage, mails: int) -> Iterator[tuple[str, dict[str, float]]]:
    """Both, one after the other. Raises Failed when a mail is missing or went out twice."""
    for row, fill in ((OursMailing(), _register), (TheirsMailing(), _enter)):
        with Clocked.running() as provider, stage.place(row.broker) as place:
            place.environment |= _at(provider)
            fill(place, mails)
            place.db.execute("ANALYZE")
            clients = [one.popen.pid for one in row.start(place).values()]
            place.wait_for(lambda: len(provider.times), 1, "mails")
            before, begun = _cpu(stage, row, clients), len(provider.times)
            place.wait_for(lambda: len(provider.times), mails, "mails")
            after, left = _cpu(stage, row, clients), mails - begun or 1
            if len({one.reference for one in provider.accepted}) != mails or len(provider.accepted) != mails:
                raise Failed(f"{row.key}: {len(provider.accepted)} mails went out, and not {mails}")
            # What was under way together with the first one is not counted either.
            first, last = provider.times[0], provider.times[-1]
            names = ("client_cpu_us", "server_cpu_us", "provider_cpu_us")
            costs = {name: (b - a) / left * 1e6 for name, a, b in zip(names, before, after, strict=True)}
            yield row.key, {"mails_per_s": (mails - 1) / (last - first), **costs}


def _cpu(stage: Stage, row: Row, clients: Sequence[int]) -> tuple[float, float, float]:
    """CPU seconds so far: of the row's processes, of its servers, and of this process, where the provider is."""
    return cpu_seconds(clients), cpu_seconds(stage.server_pids(row.broker)), time.process_time()


def _at(provider: SendGrid) -> Mapping[str, str]:
    return {
        "FUNDLYHUB_EMAIL_BACKEND": "sendgrid",
        "FUNDLYHUB_SENDGRID_API_KEY": "SG.key",
        "FUNDLYHUB_SENDGRID_BASE_URL": provider.url,
        "BENCH_PROVIDER": provider.url,
    }


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
