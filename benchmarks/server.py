"""A migrated PostgreSQL server for one benchmark, with the settings that an embedded one has."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from fundlyhub.database import dispose_engines
from fundlyhub.database.migrate import migrate
from fundlyhub.embedded.postgres import Postgres
from fundlyhub.settings import get_settings


@contextmanager
def platform(options: Mapping[str, str] | None = None) -> Iterator[str]:
    """All three databases in one, on a fresh server, with these settings of PostgreSQL; its DSN."""
    with tempfile.TemporaryDirectory(prefix="fundlyhub-bench-", dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        server = Postgres(Path(folder) / "postgres", options=options).start()
        try:
            for branch in ("EVENTS", "APP", "ANALYTICS"):
                os.environ[f"FUNDLYHUB_{branch}_DSN"] = server.dsn
            os.environ["FUNDLYHUB_STATEMENT_TIMEOUT"] = "600"
            get_settings.cache_clear()
            migrate()
            yield server.dsn
        finally:
            dispose_engines(close=True)
            server.stop()
