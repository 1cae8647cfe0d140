"""Databases that tests make and drop, and the settings by which this process finds them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from fundlyhub.database import dispose_engines
from fundlyhub.database.migrate import migrate
from fundlyhub.embedded.postgres import Postgres
from fundlyhub.embedded.valkey import Valkey
from fundlyhub.settings import Settings, get_settings

_numbers = count(1)
SECRET = {"FUNDLYHUB_SECRET_KEY": "a key for tests"}


def database_dsn(server_dsn: str, database: str) -> str:
    """The server's DSN with another database."""
    return f"{server_dsn.rpartition('/')[0]}/{database}"


def dsns(events: str, app: str | None = None, analytics: str | None = None) -> dict[str, str]:
    """The settings of three databases; what is not given is the first."""
    return {
        "FUNDLYHUB_EVENTS_DSN": events,
        "FUNDLYHUB_APP_DSN": app or events,
        "FUNDLYHUB_ANALYTICS_DSN": analytics or events,
    }


def log_in_quickly(server: Postgres) -> None:
    """Hash the server's password once in place of 4,096 times, which each of a test's logins would pay with 3 ms."""
    password = urlsplit(server.dsn).password
    with psycopg.connect(server.dsn, autocommit=True) as db:
        if db.info.server_version >= 160_000:
            db.execute("SET scram_iterations = 1")
            db.execute(sql.SQL("ALTER ROLE CURRENT_USER PASSWORD {}").format(password))


def create_database(server: Postgres, name: str, template: str = "template1") -> None:
    """A database, as a copy of another one that nobody uses."""
    with psycopg.connect(server.dsn, autocommit=True) as db:
        db.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy')


def drop_database(server: Postgres, name: str) -> None:
    """Drop a database, even while it is used."""
    with psycopg.connect(server.dsn, autocommit=True) as db:
        db.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@contextmanager
def copy_of(server: Postgres, template: str) -> Iterator[str]:
    """A copy of a database that nobody uses, dropped afterwards; its DSN."""
    name = f"copy_{os.getpid()}_{next(_numbers)}"
    create_database(server, name, template)
    yield database_dsn(server.dsn, name)
    drop_database(server, name)


def migrated_template(server: Postgres, name: str = "fundlyhub_template") -> str:
    """A migrated database that tests' databases are copied from; its name."""
    create_database(server, name)
    dsn = database_dsn(server.dsn, name)
    migrate(Settings(events_dsn=dsn, app_dsn=dsn, analytics_dsn=dsn))
    return name


@contextmanager
def settings_of(variables: Mapping[str, str]) -> Iterator[None]:
    """Set variables, and make this process read its settings anew, before and after."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    _forget()
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
        _forget()


def _forget() -> None:
    dispose_engines(close=True)
    get_settings.cache_clear()


@contextmanager
def environment_of(dsn: str, valkey: Valkey, folder: Path, **more: str) -> Iterator[Settings]:
    """This process's settings while it works with one database, and with Valkey as broker; ``more`` are others."""
    variables = {
        "FUNDLYHUB_BROKER_URL": valkey.url,
        "FUNDLYHUB_REDIS_URL": valkey.url,
        "FUNDLYHUB_DATA_DIR": str(folder),
        **more,
    }
    with settings_of({**dsns(dsn), **SECRET, **variables}):
        yield get_settings()
