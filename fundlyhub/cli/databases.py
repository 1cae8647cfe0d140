"""How commands open a database: only one whose tables fit this code, and no connection is left open."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import click
import psycopg
from sqlalchemy import Connection

from fundlyhub.database import connect, dispose_engines, get_engine
from fundlyhub.database.revisions import require_current
from fundlyhub.settings import Branch


def ready(*branches: Branch) -> None:
    """Refuse databases that this code does not fit; close all pooled connections when the command ends."""
    require_current(*branches)
    click.get_current_context().call_on_close(partial(dispose_engines, close=True))


@contextmanager
def transaction(branch: Branch, *, keep: bool = True) -> Iterator[Connection]:
    """A transaction; without ``keep`` it is rolled back at its end."""
    ready(branch)
    with get_engine(branch).connect() as db, db.begin() as begun:
        yield db
        if not keep:
            begun.rollback()


@contextmanager
def log_connection(*others: Branch, session: bool = False) -> Iterator[psycopg.Connection[Any]]:
    """A plain autocommit connection to the Events DB, whose command also uses ``others``."""
    ready("events", *others)
    with connect("events", autocommit=True, session=session) as db:
        yield db
