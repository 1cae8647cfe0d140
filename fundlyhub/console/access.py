"""What pages and routes of the API have in common: the site, who asks, and the databases."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
from sqlalchemy import Connection

from fundlyhub.console.levels import Level, allows
from fundlyhub.console.looks import Looks
from fundlyhub.console.pace import Pace
from fundlyhub.console.replays import Replays
from fundlyhub.console.runs import Runs
from fundlyhub.console.snapshots import Snapshots
from fundlyhub.console.verifications import Verifications
from fundlyhub.database import get_engine
from fundlyhub.processing.dead_letters import Faults, State
from fundlyhub.processing.processor import Processor
from fundlyhub.settings import Branch, Settings


@dataclass(frozen=True, slots=True)
class Site:
    """What all visits share: the settings, the processors, and the numbers that are read once for everybody."""

    settings: Settings
    processors: Mapping[str, type[Processor]]
    snapshots: Snapshots
    replays: Replays = field(default_factory=Replays)
    runs: Runs = field(default_factory=Runs)
    looks: Looks = field(default_factory=Looks)

    def forget(self) -> None:
        """Read everything anew at the next look: something was changed."""
        self.looks.forget()
        self.snapshots.forget()

    faults: dict[State, Faults] = field(default_factory=dict)
    """The dead letters by fault as they were counted last: the next count reads less."""
    minutes: Looks = field(default_factory=lambda: Looks(60.0))
    verifications: Verifications = field(default_factory=Verifications)
    pace: Pace = field(default_factory=Pace)


@dataclass(frozen=True, slots=True)
class Access:
    """A request of somebody: ``who`` is the name for audits, ``level`` what this request may do.

    What a page shows and what a route of the API answers is made from this, by the same function.
    """

    site: Site
    who: str
    level: Level

    def may(self, needs: Level) -> bool:
        """Whether the level suffices."""
        return allows(self.level, needs)

    @contextmanager
    def transaction(self, branch: Branch = "events") -> Iterator[Connection]:
        """A transaction in one of the databases."""
        with get_engine(branch).begin() as db:
            yield db

    @contextmanager
    def log(self) -> Iterator[psycopg.Connection[Any]]:
        """A pooled connection to the Events DB in autocommit, for what reads the log."""
        with get_engine("events").connect().execution_options(isolation_level="AUTOCOMMIT") as db:
            connection = db.connection.driver_connection
            assert isinstance(connection, psycopg.Connection)
            yield connection
