"""The ingest: reads streams as one consumer of a group, and acknowledges only what is committed.

Whatever ends it, or cuts it off, leaves entries pending that are in the log or not; the next reader finds out,
since one event id is one event. Several may run side by side.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from logging import getLogger
from typing import Any
from uuid import uuid4

import psycopg
import redis

from fundlyhub.database import connect, is_concurrency_fault, is_outage, sqlstate
from fundlyhub.errors import Unavailable, WrongUse
from fundlyhub.events.catalogue import VERSIONS
from fundlyhub.observability import metrics
from fundlyhub.observability.redaction import describe
from fundlyhub.redis_servers import require_one_server
from fundlyhub.relay.mirror_config import CHANNEL
from fundlyhub.relay.retries import Retries
from fundlyhub.server_urls import is_misconfigured, reason, where
from fundlyhub.settings import Settings
from fundlyhub.streams.entry import Entry
from fundlyhub.streams.reader import Reader, client_of
from fundlyhub.streams.store import store

log = getLogger(__name__)

_TOOK_TOO_LONG = ("57014", "55P03")  # statement and lock time-outs


@dataclass(slots=True)
class Progress:
    """What this process has done, in entries: new events, such as were in the log already, and quarantined ones."""

    new: int = 0
    known: int = 0
    quarantined: int = 0
    taken_over: int = 0
    trimmed: int = 0


class Ingest:
    """Runs until ``stop`` is set. Outages of Redis and PostgreSQL pause it."""

    def __init__(self, settings: Settings, stop: threading.Event) -> None:
        self._settings, self._stop = settings, stop
        self._streams = stream_names(settings)
        self.consumer = f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:6]}"
        self._redis = client_of(settings.streams)
        self._reader = Reader(
            self._redis, self._streams, settings.ingest_group, self.consumer, batch=settings.ingest_batch
        )
        self._db: psycopg.Connection[Any] | None = None
        self._claim_at = 0.0
        self.progress = Progress()

    def run(self) -> None:
        """Take entries into the log until stopped; then finish the batch in hand, and leave the group."""
        retries = Retries(log)
        try:
            while not self._stop.is_set():
                try:
                    self._step()
                    retries.succeeded()
                except (redis.RedisError, psycopg.Error, OSError, Unavailable) as error:
                    if not is_passing(error):
                        raise
                    self._disconnect()
                    self._stop.wait(retries.failed(describe(error)))
            self._leave()
        finally:
            self._disconnect()

    def _step(self) -> None:
        """Connect where that is needed, then: what is left behind from time to time, and what is new."""
        db = self._db = self._db or self._connected()
        if time.monotonic() >= self._claim_at:
            self._take_over(db)
        self._take(db, self._reader.fresh())

    def _connected(self) -> psycopg.Connection[Any]:
        """Both servers answer, the group is there, and nothing that this consumer was given before is left."""
        db = connect("events", settings=self._settings, autocommit=True)
        try:
            self._require_one_server()
            self._reader.join()
            log.info("connected: reading %s as %s", ", ".join(self._streams), self.consumer)
            self._take_own(db)
        except BaseException:
            db.close()
            raise
        return db

    def _require_one_server(self) -> None:
        try:
            require_one_server(self._redis)
        except redis.RedisError as error:
            if not is_misconfigured(error):
                raise
            name = "REDIS_URL" if self._settings.streams_url is None else "STREAMS_URL"
            raise WrongUse(f"FUNDLYHUB_{name}: {where(self._settings.streams)}: {reason(error)}") from None

    def _take_over(self, db: psycopg.Connection[Any]) -> None:
        """What others were given and have not acknowledged: they are dead, or will find it done."""
        for stream, count in self._reader.take_over(self._settings.ingest_claim_after):
            if count:
                log.warning("%s: taking over %d entries that were not acknowledged", stream, count)
                self.progress.taken_over += count
                self._take_own(db)
            if self._stop.is_set():
                return
        self._reader.forget_idle()
        self._claim_at = time.monotonic() + self._settings.ingest_claim_after / 2

    def _take_own(self, db: psycopg.Connection[Any]) -> None:
        """All that this consumer was given and has not acknowledged."""
        while not self._stop.is_set() and (entries := self._reader.own()):
            self._take(db, entries)

    def _take(self, db: psycopg.Connection[Any], entries: Sequence[Entry]) -> None:
        """Commit, then acknowledge."""
        if not entries:
            return
        stored = store(db, entries)
        self.progress.new += stored.new
        self.progress.known += stored.known
        self.progress.quarantined += stored.quarantined
        metrics.ingested(new=stored.new, known=stored.known, quarantined=stored.quarantined)
        if stored.quarantined:
            log.warning("%d entries cannot be events: see `fundlyhub ingest quarantine list`", stored.quarantined)
        self._reader.acknowledge(entries)
        if self._settings.ingest_trim:
            self.progress.trimmed += self._reader.trim()

    def _leave(self) -> None:
        try:
            self._reader.leave()
        except redis.RedisError as error:
            log.warning("left the group without a word: %s", describe(error))

    def _disconnect(self) -> None:
        if self._db is not None:
            self._db.close()
        self._db = None
        self._redis.connection_pool.disconnect()


def stream_names(settings: Settings) -> list[str]:
    """The streams to read.

    Raises WrongUse when there is none, or when one is a channel of the mirror: its entries lack what it leaves out.
    """
    names = list(dict.fromkeys(name.strip() for name in settings.ingest_streams.split(",") if name.strip()))
    if not names:
        raise WrongUse("FUNDLYHUB_INGEST_STREAMS names no stream")
    for name in names:
        if name in (f"{CHANNEL}{kind}" for kind in VERSIONS):
            raise WrongUse(f"FUNDLYHUB_INGEST_STREAMS: {name!r} is a channel of the mirror, which is not read back")
    return names


def is_passing(error: Exception) -> bool:
    """An outage, a collision or a time-out; any other fault of the database is ours, and ends the run."""
    if not isinstance(error, psycopg.Error):
        return True
    return is_outage(error) or is_concurrency_fault(error) or sqlstate(error) in _TOOK_TOO_LONG
