"""The three databases: connections, metadata for the tables of other packages, and migrations."""

from fundlyhub.database.engines import connect, dispose_engines, get_engine, renew_after_fork
from fundlyhub.database.faults import SETUP_FAULTS, is_concurrency_fault, is_outage, is_setup_fault, sqlstate
from fundlyhub.database.metadata import analytics_metadata, app_metadata

__all__ = [
    "SETUP_FAULTS",
    "analytics_metadata",
    "app_metadata",
    "connect",
    "dispose_engines",
    "get_engine",
    "is_concurrency_fault",
    "is_outage",
    "is_setup_fault",
    "renew_after_fork",
    "sqlstate",
]
