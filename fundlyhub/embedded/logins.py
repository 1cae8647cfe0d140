"""Logins of an embedded PostgreSQL: each kind of process has the role that `fundlyhub migrate --roles` makes for it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, urlsplit

import psycopg
from psycopg.sql import SQL, Identifier
from pydantic import SecretStr

from fundlyhub.database.roles import NAMES, PREFIX
from fundlyhub.private_files import write_private
from fundlyhub.settings import BRANCHES, Branch

SERVICE = f"{PREFIX}service"
"""The login of an API service of this machine, such as the example's: it publishes, keeps contacts, and reads."""
SCHEMA = "api"
"""The schema of its tables in the Events DB."""
_SERVICE_ROLES = ("publisher", "contacts", "reader")
_THERE = "SELECT count(*) = 1 FROM pg_roles WHERE rolname = %s"


class Logins:
    """``dsns`` are the superuser's, by database. Passwords are kept in ``folder``, a file for each role."""

    def __init__(self, folder: Path, dsns: Mapping[Branch, str]) -> None:
        self.folder, self._dsns = folder, dsns
        folder.mkdir(mode=0o700, exist_ok=True)
        folder.chmod(0o700)
        for name in (*NAMES, SERVICE):
            if not (folder / name).exists():
                write_private(folder / name, secrets.token_urlsafe(24))

    def dsn(self, branch: Branch, role: str) -> str:
        """The DSN of a role."""
        url = urlsplit(self._dsns[branch])
        password = quote((self.folder / role).read_text(), safe="")
        return url._replace(netloc=f"{role}:{password}@{url.hostname}:{url.port}").geturl()

    def of(self, role: str) -> dict[str, SecretStr]:
        """The three DSNs of a role, by the name of their setting."""
        return {f"{branch}_dsn": SecretStr(self.dsn(branch, role)) for branch in BRANCHES}

    def superuser(self) -> dict[str, SecretStr]:
        """The three DSNs of the superuser, for migrations."""
        return {f"{branch}_dsn": SecretStr(dsn) for branch, dsn in self._dsns.items()}

    def make_service(self) -> None:
        """Make the login of a service, with a schema of its own in the Events DB. It may be repeated."""
        with psycopg.connect(self._dsns["events"], autocommit=True) as db:
            row = db.execute(_THERE, (SERVICE,)).fetchone()
            if not (row and row[0]):
                db.execute(SQL("CREATE ROLE {} LOGIN").format(Identifier(SERVICE)))
            roles = SQL(", ").join(Identifier(PREFIX + role) for role in _SERVICE_ROLES)
            db.execute(SQL("GRANT {} TO {}").format(roles, Identifier(SERVICE)))
            password = (self.folder / SERVICE).read_text().encode()
            hashed = db.pgconn.encrypt_password(password, SERVICE.encode(), b"scram-sha-256").decode()
            db.execute(SQL("ALTER ROLE {} PASSWORD {}").format(Identifier(SERVICE), hashed))
            for statement in ("CREATE SCHEMA IF NOT EXISTS {0}", "ALTER SCHEMA {0} OWNER TO {1}"):
                db.execute(SQL(statement).format(Identifier(SCHEMA), Identifier(SERVICE)))
