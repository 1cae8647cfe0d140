"""The demo's own API service: several writers commit business rows and events together."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from fundlyhub import publish_events
from fundlyhub.demo.scenario import Transaction
from fundlyhub.demo.stream import Stream

WRITERS = 4
AHEAD = 100
"""Transactions that are made before a writer has time for them."""


@dataclass(slots=True)
class Tally:
    """The events committed, rolled back and published twice so far, and their expected effects.

    ``takers`` is the number of processors with an effect per event type, ``tellers`` of those that send messages.
    ``wanted`` are the positions with ``effects``, ``told`` those with messages, of ``tellings`` processors in all.
    """

    takers: Mapping[str, int]
    tellers: Mapping[str, int] = field(default_factory=dict)
    positions: list[int] = field(default_factory=list)
    wanted: list[int] = field(default_factory=list)
    effects: int = 0
    told: list[int] = field(default_factory=list)
    tellings: int = 0
    rolled_back: int = 0
    duplicates: int = 0

    def add(self, position: int, kind: str) -> None:
        """Count a committed event."""
        self.positions.append(position)
        if kind in self.takers:
            self.wanted.append(position)
            self.effects += self.takers[kind]
        if kind in self.tellers:
            self.told.append(position)
            self.tellings += self.tellers[kind]


class Publisher:
    """Commits transactions with several threads. Without the App DB, contact details are not written."""

    def __init__(
        self, engine: Engine, takers: Mapping[str, int], stop: threading.Event,
        *, app: Engine | None = None, tellers: Mapping[str, int] | None = None,
    ) -> None:  # fmt: skip
        self._engine, self._stop, self._app = engine, stop, app
        self._lock = threading.Lock()
        self._errors: list[BaseException] = []
        self.tally = Tally(takers, tellers or {})

    def commit(self, transaction: Transaction) -> None:
        """One business transaction, as an API service would write it."""
        if transaction.kept and self._app is not None:
            with self._app.begin() as db:
                for statement, rows in transaction.kept:
                    db.execute(statement, rows)
        with Session(self._engine) as session:
            for statement, rows in transaction.statements:
                session.execute(statement, rows)
            published = publish_events(transaction.events, session=session)
            if transaction.published_twice:
                publish_events(transaction.events, session=session)
            if transaction.rolls_back:
                session.rollback()
            else:
                session.commit()
        with self._lock:
            if transaction.rolls_back:
                self.tally.rolled_back += len(published)
                return
            self.tally.duplicates += len(published) if transaction.published_twice else 0
            for event in published:
                self.tally.add(event.position or 0, event.type)

    def run(self, transactions: Iterable[Transaction]) -> None:
        """Commit transactions; raises a writer's error. Returns early when stopped."""
        waiting: queue.Queue[Transaction | None] = queue.Queue(AHEAD)
        writers = [threading.Thread(target=self._write, args=(waiting,), daemon=True) for _ in range(WRITERS)]
        for writer in writers:
            writer.start()
        for transaction in transactions:
            if self._stop.is_set() or self._errors:
                break
            waiting.put(transaction)
        for _ in writers:
            waiting.put(None)
        for writer in writers:
            writer.join()
        if self._errors:
            raise self._errors[0]

    def _write(self, waiting: queue.Queue[Transaction | None]) -> None:
        while (transaction := waiting.get()) is not None:
            if self._errors:
                continue  # drain, so that the maker of transactions is not held up
            try:
                self.commit(transaction)
            except Exception as error:  # the main thread raises it
                self._errors.append(error)


class Direct(Publisher):
    """The source of a run's events in this process: it publishes a stream."""

    def __init__(
        self, stream: Stream, engine: Engine, takers: Mapping[str, int], stop: threading.Event,
        *, app: Engine, tellers: Mapping[str, int],
    ) -> None:  # fmt: skip
        super().__init__(engine, takers, stop, app=app, tellers=tellers)
        self._stream = stream

    def rush(self) -> None:
        """Publish the whole stream, by several writers at once."""
        self.run(self._stream.transactions())

    def donate(self) -> None:
        """Publish one donation."""
        self.commit(self._stream.donation())

    def register(self) -> None:
        """Publish one registration."""
        self.commit(self._stream.registration())
