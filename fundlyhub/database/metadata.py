"""One SQLAlchemy MetaData per database; each package declares its tables on one of them.

Tables of the Events DB name their schema, since publishers come with any search_path. The others name
none: search_path decides where a processor writes, so that a rebuild can run the same code beside the
live tables.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import MetaData

from fundlyhub.settings import Branch

_NAMES = {
    "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    "uq": "%(table_name)s_%(column_0_N_name)s_key",
    "ck": "%(table_name)s_%(constraint_name)s_check",
    "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
    "pk": "%(table_name)s_pkey",
}

events_metadata = MetaData(schema="events", naming_convention=_NAMES)
app_metadata = MetaData(naming_convention=_NAMES)
analytics_metadata = MetaData(naming_convention=_NAMES)

METADATA: Mapping[Branch, MetaData] = {
    "events": events_metadata,
    "app": app_metadata,
    "analytics": analytics_metadata,
}
