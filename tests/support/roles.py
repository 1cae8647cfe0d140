"""The roles of a test's database, and the settings by which a process works in one of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import psycopg

from fundlyhub.database.migrate import make_roles
from fundlyhub.database.roles import NAMES, PREFIX
from fundlyhub.settings import Settings
from tests.support.command import dsns

_NOTHING_GRANTED = "01007"
"""The server only warns of it."""


class Roles:
    """A migrated database with its roles; ``owner`` is the DSN of the superuser that made them."""

    def __init__(self, dsn: str) -> None:
        self.owner = dsn
        self.reconcile()

    def reconcile(self) -> list[Any]:
        """As `fundlyhub migrate --roles` does it."""
        settings = Settings(events_dsn=self.owner, app_dsn=self.owner, analytics_dsn=self.owner)
        return make_roles(settings, {name: f"pw-{name}" for name in NAMES})

    def dsn(self, role: str) -> str:
        """The DSN of a role."""
        url, name = urlsplit(self.owner), PREFIX + role
        return url._replace(netloc=f"{name}:pw-{name}@{url.hostname}:{url.port}").geturl()

    def variables(self, role: str) -> dict[str, str]:
        """The settings of the three databases in a role."""
        return dsns(self.dsn(role))

    @contextmanager
    def connect(self, role: str) -> Iterator[psycopg.Connection]:
        """A connection that commits each statement."""
        with psycopg.connect(self.dsn(role), autocommit=True) as db:
            yield db

    def may(self, role: str, statement: str) -> bool:
        """Whether a role may do it; any error but a missing right counts as yes."""
        refused: list[str | None] = []
        with self.connect(role) as db:
            db.add_notice_handler(lambda said: refused.append(said.sqlstate))
            try:
                with db.transaction(force_rollback=True):
                    db.execute(statement)
            except psycopg.errors.InsufficientPrivilege:
                return False
            except psycopg.Error:
                return True
        return _NOTHING_GRANTED not in refused
