"""What a processor is: a class with one method, `handle` or `handle_batch`, and sensible defaults."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal
from uuid import UUID

from sqlalchemy import Connection

from fundlyhub.errors import WrongUse
from fundlyhub.events import Event, Payload, canonical_type
from fundlyhub.processing import registry
from fundlyhub.processing.delivery import Delivery
from fundlyhub.processing.derived_tables import AggregateRows, DerivedTable
from fundlyhub.processing.pause_watch import until_paused
from fundlyhub.settings import Branch

Queue = Literal["writes", "projections", "notifications", "broadcasts", "rebuilds"]
"""The processor types, each with its queue; and the queue of rebuilds, for which no live event waits."""

MAX_BATCH = 2_000
"""Positions in one message at most."""

TYPE_PATTERN = re.compile(r"(\*\*|[a-z_*]+)(\.(\*\*|[a-z_*]+))*")


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


class Processor:
    """One effect of some event types, in one database or one outside service.

    Subclass WriteProcessor or ProjectionProcessor, say what it ``handles`` (payload classes or type
    patterns: ``*`` is one segment or a part of one, ``**`` any number of segments), and write ``handle``,
    or ``handle_batch`` for set-based SQL. Both run inside the transaction that also holds the claim: do not
    commit it, and let exceptions pass. Raise Permanent, Transient or Snooze to say what became of an event;
    anything else counts as transient.

    The handler must converge: the same events in any order, with any duplication, end in the same state.
    """

    name: ClassVar[str]
    """In tables, metrics and commands; by default the class name without "Processor", in snake_case."""
    handles: ClassVar[Sequence[type[Payload] | str]] = ()
    """Payload classes, or patterns of event types."""
    queue: ClassVar[Queue]
    """The queue, and so the worker that runs it; set by the base class."""
    database: ClassVar[Branch]
    """The database that ``db`` is connected to; set by the base class."""
    tables: ClassVar[Sequence[DerivedTable | str]] = ()
    """The tables whose rows follow from its events: `fundlyhub verify` replays the events and compares them. A name is
    enough where all rows and columns do; `DerivedTable` says more."""
    working_tables: ClassVar[Sequence[str]] = ()
    """Further tables that belong to those named in ``tables``, and are not compared since the order of events or the
    time decides about their rows. A rebuild makes them anew with the others."""
    aggregate_rows: ClassVar[AggregateRows | None] = None
    """Which rows of ``tables`` follow from the events of one aggregate: one campaign or user is then rebuilt alone."""
    history: ClassVar[bool] = True
    """Whether a new processor also gets the events that were published before it was."""
    all_or_nothing: ClassVar[bool] = True
    """Whether a part of it is worth nothing: then the relay does not start with a new one where events are archived."""
    reads_contents: ClassVar[bool] = True
    """Whether it needs payloads and metadata. One that does not gets its events at a fraction of the cost, of any type
    and version, as ``Unread``. Of types that only such processors want, ``status`` says that nobody wants them."""
    takes_over: ClassVar[str | None] = None
    """The processor that handled its event types in earlier releases. A new one without history begins where the
    other's sweep stands, so that no event falls between the two."""
    batch_size: ClassVar[int] = 500
    """Events in one call at most; up to 2,000."""
    shares_transactions: ClassVar[bool] = True
    """Whether its events may be applied in one transaction with those of the other processors of its queue, each once
    all the same. Not if its handler holds locks for long, or changes parameters of the transaction (``SET LOCAL``)."""
    afterwards_pause: ClassVar[float] = 0.0
    """Seconds between two calls of ``afterwards`` that follow batches; the sweep's own call does not wait."""
    max_attempts: ClassVar[int] = 14
    """Failures of one event before it is a dead letter. With the backoff below the last one comes 62 minutes after the
    first at the earliest: an outage of an hour, of whatever the handler calls, costs no dead letter."""
    max_crashes: ClassVar[int] = 5
    """Runs of one event that kill their worker before it is a dead letter."""
    backoff: ClassVar[float] = 2.0
    """Seconds of the first retry's longest wait; doubles with each. The shortest wait is half of the longest."""
    backoff_limit: ClassVar[float] = 1_800.0
    """Seconds that no retry waits beyond."""
    pause_after: ClassVar[int | None] = 20
    """Events that fail alike within a minute, with next to no success beside, before the processor pauses itself: its
    events wait then and are charged nothing. None: it never does."""
    snooze_limit: ClassVar[float] = 24 * 3600.0
    """Age in seconds at which a snoozing event is a dead letter."""

    def __init_subclass__(cls, *, register: bool = True, **kwargs: object) -> None:
        """Check the class and, when it handles something, register it under its name."""
        super().__init_subclass__(**kwargs)
        if "name" not in cls.__dict__:
            cls.name = _snake(cls.__name__.removesuffix("Processor"))
        if cls.handles:
            _check(cls)
            if register:
                registry.add(cls)

    def handle(self, event: Event, db: Connection) -> None:
        """Apply one event."""
        raise NotImplementedError(f"{type(self).__name__} needs handle() or handle_batch()")

    def handle_batch(self, events: Sequence[Event], db: Connection) -> None:
        """Apply events, in order of their positions; by default one after the other."""
        for event in until_paused(events):
            self.handle(event, db)

    def afterwards(self) -> None:
        """Called when a batch is committed and no transaction is open, once ``afterwards_pause`` is over.

        For what follows from committed rows and may be lost: whatever it leaves undone must be found by the
        next call. Its errors are logged, and charged to no event.
        """

    @classmethod
    def erase(cls, events: Sequence[Event], db: Connection) -> None:
        """Take out of its tables what was erased of these events; by default it has nothing of it.

        Called when a person is erased, in a transaction of its database, with events that it may have handled. They
        are as they are now: a personal field is absent, or says nothing, and ``is_erased`` is true. It may be called
        again. Afterwards the tables must hold what ``handle_batch`` would have made of these events.
        """

    @classmethod
    def has_more(cls) -> bool:
        """Whether ``afterwards`` has left something undone: the sweep then calls it, with an empty batch."""
        return False

    @classmethod
    def exchanged(cls, db: Connection) -> None:
        """Do what else follows when rebuilt rows take the place of its live ones, in that transaction.

        What an outside service was sent stems from the former ones. By default nothing follows.
        """

    @classmethod
    def patterns(cls) -> tuple[str, ...]:
        """The type patterns that it handles."""
        return tuple(
            dict.fromkeys(canonical_type(item) if isinstance(item, str) else item.event_type for item in cls.handles)
        )

    @classmethod
    def task_name(cls) -> str:
        """Its Celery task, so that Flower tells processors apart."""
        return f"{cls.queue}.{cls.name}"


class WriteProcessor(Processor):
    """A processor that writes to the App DB, on the queue ``writes``.

    ::

        from fundlyhub import UserFollowedCampaign, WriteProcessor

        class FirstFollowProcessor(WriteProcessor):
            \"\"\"When somebody followed each campaign for the first time.\"\"\"

            handles = (UserFollowedCampaign,)

            def handle(self, event, db):
                db.exec_driver_sql(
                    \"\"\"INSERT INTO first_follows AS known VALUES (%s, %s) ON CONFLICT (campaign_id)
                    DO UPDATE SET at = least(known.at, excluded.at)\"\"\",
                    (event.payload.campaign_id, event.timestamp),
                )
    """

    queue = "writes"
    database = "app"


class ProjectionProcessor(Processor):
    """A processor that keeps a read model in the Analytics DB, on the queue ``projections``.

    ::

        from fundlyhub import ProjectionProcessor

        class LatestNewsProcessor(ProjectionProcessor):
            \"\"\"When anything last happened to each campaign: one statement for a whole batch.\"\"\"

            handles = ("campaign.*", "project.update.*")
            max_attempts = 5

            def handle_batch(self, events, db):
                db.exec_driver_sql(
                    \"\"\"INSERT INTO latest_news AS known
                    SELECT id, max(at) FROM unnest(%s::uuid[], %s::timestamptz[]) AS new (id, at)
                    GROUP BY id ORDER BY id ON CONFLICT (id) DO UPDATE SET at = greatest(known.at, excluded.at)\"\"\",
                    ([event.payload.campaign_id for event in events], [event.timestamp for event in events]),
                )
    """

    queue = "projections"
    database = "analytics"


class NotificationProcessor(Processor):
    """A processor that calls an outside service, on the queue ``notifications``. The claim is committed last.

    A claim that was committed before the call would lose the message, and no transaction may be open during one:
    so what is under way is kept in a ledger of the processor's own, and a run that comes again resumes from there.

    ::

        from fundlyhub import DonationCompleted, NotificationProcessor, Snooze

        class PartnerNotificationProcessor(NotificationProcessor):
            \"\"\"Tells a partner's service of each donation; the service ignores an id that it knows.\"\"\"

            handles = (DonationCompleted,)

            def deliver(self, deliveries):
                left = {}
                for delivery in deliveries:
                    if not partner.accepts(delivery.event.id, delivery.event.payload_wire()):
                        left[delivery.event.id] = Snooze("the partner asks to wait", seconds=60)
                return left
    """

    queue: ClassVar[Queue] = "notifications"
    database = "app"
    history = False  # no receipt for a donation of last year
    batch_size = 50
    snooze_limit = 72 * 3600.0

    def deliver(self, deliveries: Sequence[Delivery]) -> Mapping[UUID, Exception]:
        """Send what is not sent yet; for each event that is not done with, by its id, why.

        Called without a transaction. Only an outage of a database may be raised.
        """
        raise NotImplementedError(f"{type(self).__name__} needs deliver()")


class BroadcastProcessor(NotificationProcessor):
    """A processor that tells many people of one event, on the queue ``broadcasts``.

    No message to a single person waits for it. A run lasts some seconds and snoozes the rest, so that events share the
    workers slice by slice, and a stop waits little.

    ::

        from fundlyhub import BroadcastProcessor, ProjectUpdateCreated, Snooze

        class PartnerBroadcastProcessor(BroadcastProcessor):
            \"\"\"Tells all partners of a campaign's news, a hundred at a time.\"\"\"

            handles = (ProjectUpdateCreated,)

            def deliver(self, deliveries):
                rest = Snooze("partners are left", seconds=1)
                return {one.event.id: rest for one in deliveries if partner.tell_next(one.event, at_most=100)}
    """

    queue = "broadcasts"
    batch_size = 1


def _check(cls: type[Processor]) -> None:
    where = f"processor {cls.__name__}"
    if not hasattr(cls, "queue"):
        raise WrongUse(f"{where}: subclass WriteProcessor, ProjectionProcessor or NotificationProcessor")
    if issubclass(cls, NotificationProcessor):
        if cls.deliver is NotificationProcessor.deliver:
            raise WrongUse(f"{where}: needs deliver()")
        if cls.tables:
            raise WrongUse(f"{where}: tables cannot be replayed where messages are sent; leave them out")
    elif cls.handle is Processor.handle and cls.handle_batch is Processor.handle_batch:
        raise WrongUse(f"{where}: needs handle() or handle_batch()")
    if not 1 <= cls.batch_size <= MAX_BATCH:
        raise WrongUse(f"{where}: batch_size must be from 1 to {MAX_BATCH}")
    if min(cls.max_attempts, cls.max_crashes) < 1:
        raise WrongUse(f"{where}: max_attempts and max_crashes must be at least 1")
    if isinstance(cls.tables, str):
        raise WrongUse(f"{where}: tables must be a list of names, not one name")
    if (rows := cls.aggregate_rows) and {*rows.rows} != {getattr(one, "name", one) for one in cls.tables}:
        raise WrongUse(f"{where}: aggregate_rows must have a condition for each of its tables, and for no other")
    if cls.pause_after is not None and cls.pause_after < 2:
        raise WrongUse(f"{where}: pause_after must be at least 2, or None: one event never pauses a processor")
    for item in cls.handles:
        if isinstance(item, str) and not TYPE_PATTERN.fullmatch(item):
            raise WrongUse(f"{where}: {item!r} is no type pattern; try 'campaign.*' or 'payout.**'")
