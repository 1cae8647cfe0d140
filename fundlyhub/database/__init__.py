"""The three databases: connections, table metadata and migrations."""

from fundlyhub.database.engines import connect, dispose_engines, get_engine, renew_after_fork
from fundlyhub.database.faults import is_concurrency_fault, is_outage, sqlstate
from fundlyhub.database.metadata import METADATA, analytics_metadata, app_metadata

__all__ = [
    "METADATA",
    "analytics_metadata",
    "app_metadata",
    "connect",
    "dispose_engines",
    "get_engine",
    "is_concurrency_fault",
    "is_outage",
    "renew_after_fork",
    "sqlstate",
]
