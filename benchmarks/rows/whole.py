"""The rows of the whole system: all effects and all messages of a platform's events."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import fundlyhub.processors  # noqa: F401  # registers them
from benchmarks.cast import fill_cast, fill_wishes, publish_file
from benchmarks.peers.whole_effects import EFFECTS
from benchmarks.peers.whole_messages import CHANNELS
from benchmarks.rows.ours import CHILDREN, Ours
from benchmarks.rows.row import Broker, Kind
from benchmarks.stage import PYTHON, Place, Stage
from benchmarks.stream import KINDS, Happening, Stream
from fundlyhub.processing import registry
from fundlyhub.processing.routing import Router
from tests.support.platform import Process

QUEUES = ("writes", "projections", "notifications")
PROCESSORS = tuple(name for name, one in registry.processors().items() if one.queue in QUEUES)
"""All that take single events: four of writes, two of projections, three of notifications."""
CHANNEL_OF = {name: name.removesuffix("_notification") for name in PROCESSORS if name.endswith("_notification")}
"""The channels of the processors that send messages."""
_LEDGER = "SELECT id::text, position - last FROM app.notifications, bench.cast"
_HANDLED = "number, handler IN ('email', 'push', 'sms'), pg_xact_commit_timestamp(xmin) FROM bench.handled"


class Whole(ABC):
    """One way to do all the work. ``key`` is its name in results and options."""

    key: ClassVar[str]
    title: ClassVar[str]
    kind: Kind
    broker: ClassVar[Broker | None] = "valkey"
    over_http: ClassVar[bool] = True
    """Whether its messages go to a provider; else they are written to files."""
    scale: ClassVar[float] = 1.0
    """Share of the events that it gets, so that a run takes seconds and not minutes."""

    done: ClassVar[str] = "SELECT count(*) FROM bench.handled"
    """SQL: how many effects of the stream there are; the messages of an event through a channel are one."""
    applied: ClassVar[str] = f"SELECT {_HANDLED}"
    """SQL: an event's number, whether the effect is that of a channel, and when it was committed."""
    committed: ClassVar[str] = """
        SELECT row_number() OVER (ORDER BY at), at
        FROM (SELECT pg_xact_commit_timestamp(xmin) AS at FROM bench.changes) AS change
    """

    def cast(self, stage: Stage, stream: Stream) -> str:
        """The template of a database with the cast, taken up."""
        return stage.template(
            f"cast_{stream.name}", lambda dsn: fill_wishes(dsn, stream), base=stage.template("cast", fill_cast)
        )

    def backlog(self, stage: Stage, stream: Stream) -> str:
        """The template of a database for a run with a backlog: with the cast alone, and it is filled in each run."""
        return self.cast(stage, stream)

    def fill(self, place: Place, file: Path) -> None:  # noqa: B027  # what is in the template needs no more
        """What of the backlog is not in the template."""

    def put(self, place: Place, file: Path) -> None:
        """More events, all at once, while the processes run."""
        publish_file(place.dsn, file)

    @abstractmethod
    def start(self, place: Place) -> dict[str, Process]:
        """Start the processes, by name; the one that hands out the work last, when the others are ready."""

    @abstractmethod
    def publisher(self, file: Path, *pace: float) -> list[str]:
        """The command that publishes: the rate, the seconds, and how many events with how many effects go ahead."""

    def numbers(self, place: Place, stream: Stream) -> Mapping[str, int]:
        """The numbers of events by the references of their messages."""
        return {str(one.id): one.number for one in stream.happenings}

    def effects(self, happenings: Iterable[Happening]) -> int:
        """How many effects these events have."""
        each = {kind: len(EFFECTS[kind]) + len(CHANNELS[kind]) for kind in EFFECTS}
        return sum(each[one.type] for one in happenings)


class OursWhole(Whole):
    """Everything on, as docs/deploy.md has it: the messages have workers of their own."""

    key = "whole"
    title = "FundlyHub on Valkey, everything on, messages over HTTP"
    kind: Kind = "ours"
    processors: tuple[str, ...] = PROCESSORS
    workers: Mapping[str, int] = {"writes,projections": CHILDREN, "notifications": CHILDREN}
    """Child processes, by the queues of their worker."""

    done = """
        SELECT (SELECT count(*) FROM app.processed_events WHERE position > last)
             + (SELECT count(*) FROM analytics.processed_events WHERE position > last) FROM bench.cast
    """
    applied = """
        SELECT position - last, processor LIKE '%%\\_notification', pg_xact_commit_timestamp(claims.xmin) FROM (
            SELECT processor, position, xmin FROM analytics.processed_events UNION ALL
            SELECT processor, position, xmin FROM app.processed_events) claims, bench.cast
        WHERE position > last
    """
    committed = """
        SELECT position - last, pg_xact_commit_timestamp(xid::xid) FROM events.events, bench.cast WHERE position > last
    """

    def backlog(self, stage: Stage, stream: Stream) -> str:
        """A log with the cast, taken up, and the stream, not taken up."""
        file = stream.write(stage.folder)
        return stage.template(
            f"stream_{stream.name}", lambda dsn: publish_file(dsn, file), base=self.cast(stage, stream)
        )

    def start(self, place: Place) -> dict[str, Process]:
        """A worker for the messages, one for everything else, and when they are ready the relay."""
        ours = Ours(self.processors)
        workers = {queues: ours.start_worker(place, children, queues) for queues, children in self.workers.items()}
        return {**workers, "relay": ours.start_relay(place)}

    def publisher(self, file: Path, *pace: float) -> list[str]:
        """`publish_events` beside a business row."""
        return [PYTHON, "-m", "benchmarks.stream_publisher", str(file), *map(str, pace)]

    def numbers(self, place: Place, stream: Stream) -> Mapping[str, int]:
        """By the ids of the ledger."""
        return dict(place.db.execute(_LEDGER).fetchall())

    def effects(self, happenings: Iterable[Happening]) -> int:
        """How many of the processors want each of these events."""
        return sum(self.wanting(one.type) for one in happenings)

    def wanting(self, kind: str) -> int:
        """How many of the processors want a type of event."""
        return len(self._router.wanting(kind))

    @cached_property
    def _router(self) -> Router:
        return Router({name: one for name, one in registry.processors().items() if name in self.processors})


class OursToFiles(OursWhole):
    """The same, with the backends that a fresh clone has."""

    key = "whole-files"
    title = "FundlyHub on Valkey, everything on, messages to files"
    over_http = False


class OneProcessor(OursWhole):
    """One of ours alone, on the events of all."""

    def __init__(self, name: str) -> None:
        processor = registry.processors()[name]
        self.key = name  # type: ignore[misc]  # each has its own
        self.processors, self.workers = (name,), {processor.queue: CHILDREN}
        self.kinds = tuple(kind for kind in KINDS if self.wanting(kind))
        """The types of events that it handles."""
        self.channel = CHANNEL_OF.get(name)
        """The channel of its messages; None for one that sends none."""


class CeleryWhole(Whole):
    """The average team's Celery, which does all of it."""

    key = "whole-celery"
    title = "average team's Celery: outbox, a task per event and handler, messages over HTTP"
    kind = "peer"
    scale = 0.1
    module: ClassVar[str] = "benchmarks.peers.celery_whole"
    tasks: ClassVar[str] = "apart"

    def fill(self, place: Place, file: Path) -> None:
        """Rows of the outbox."""
        place.run([PYTHON, "-m", self.module, "fill", str(file)])

    def put(self, place: Place, file: Path) -> None:
        """The same."""
        self.fill(place, file)

    def publisher(self, file: Path, *pace: float) -> list[str]:
        """Its own verb."""
        return [PYTHON, "-m", self.module, "publish", str(file), *map(str, pace)]

    def start(self, place: Place) -> dict[str, Process]:
        """Worker and relay."""
        argv = [PYTHON, "-m", "celery", "-A", self.module, "worker", "-c", str(CHILDREN)]
        argv += ["--without-gossip", "--without-mingle", "-l", "WARNING"]
        return {
            "worker": place.start("worker", argv),
            "relay": place.start("relay", [PYTHON, "-m", self.module, "relay", self.tasks]),
        }


class CeleryTogether(CeleryWhole):
    """The same with one task for all of an event: less to send, and nothing of it is tried again alone."""

    key = "whole-celery-one"
    title = "the same with one task an event"
    tasks = "together"


class LimitWhole(OursWhole):
    """No relay, no broker, no framework."""

    key = "whole-limit"
    title = "the limit of the whole: set-based psycopg, messages over kept connections"
    kind = "limit"
    broker = None
    done, applied = Whole.done, Whole.applied
    effects = Whole.effects

    def publisher(self, file: Path, *pace: float) -> list[str]:
        """None."""
        raise NotImplementedError("the limit drains a backlog, and nothing else")

    def start(self, place: Place) -> dict[str, Process]:
        """Each takes every other batch."""
        module = [PYTHON, "-m", "benchmarks.peers.limit_whole"]
        return {f"worker {n}": place.start("limit", [*module, str(n), str(CHILDREN)]) for n in range(CHILDREN)}


WHOLE: Mapping[str, Whole] = {
    row.key: row for row in (OursWhole(), OursToFiles(), CeleryWhole(), CeleryTogether(), LimitWhole())
}
