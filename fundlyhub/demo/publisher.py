"""The API service of the demo: business rows and events, committed together by several writers at once."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from fundlyhub import publish_events
from fundlyhub.demo.scenario import Transaction

WRITERS = 4
NOBODY: Mapping[str, int] = {}
AHEAD = 100
"""Transactions that are made before a writer has time for them."""


@dataclass(slots=True)
class Tally:
    """What has been committed, rolled back and published twice so far, and how many effects all that is to have.

    ``wanted`` are the positions that have effects, ``told`` those that people are told of, by ``tellings`` processors.
    """

    positions: list[int] = field(default_factory=list)
    wanted: list[int] = field(default_factory=list)
    effects: int = 0
    told: list[int] = field(default_factory=list)
    tellings: int = 0
    rolled_back: int = 0
    duplicates: int = 0


class Publisher:
    """Commits transactions with several threads.

    ``takers`` tells how many processors have an effect of a type, ``tellers`` how many tell people of it. Without the
    App DB, what is kept there is not written.
    """

    def __init__(
        self, engine: Engine, takers: Mapping[str, int], stop: threading.Event,
        *, app: Engine | None = None, tellers: Mapping[str, int] = NOBODY,
    ) -> None:  # fmt: skip
        self._engine, self._takers, self._stop = engine, takers, stop
        self._app, self._tellers = app, tellers
        self._lock = threading.Lock()
        self._errors: list[BaseException] = []
        self.tally = Tally()

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
            self.tally.positions += [event.position or 0 for event in published]
            self.tally.wanted += [event.position or 0 for event in published if event.type in self._takers]
            self.tally.effects += sum(self._takers.get(event.type, 0) for event in published)
            self.tally.told += [event.position or 0 for event in published if event.type in self._tellers]
            self.tally.tellings += sum(self._tellers.get(event.type, 0) for event in published)

    def run(self, transactions: Iterable[Transaction]) -> None:
        """Commit them all; raises what went wrong in a writer. Returns early when stopped."""
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
            except Exception as error:  # told to the main thread, which raises it
                self._errors.append(error)
