"""The three databases: connections, metadata for the tables of other packages, and migrations."""

from fundlyhub.database.engines import connect, dispose_engines, get_engine, renew_after_fork
from fundlyhub.database.faults import is_concurrency_fault, is_outage, sqlstate
from fundlyhub.database.metadata import analytics_metadata, app_metadata

__all__ = [
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
