"""The SQLAlchemy MetaData of the App DB and the Analytics DB: processors declare their tables here.

`fundlyhub verify` makes these tables anew in a schema of its own, so their names have no schema: search_path decides
where a processor writes. The tables of the Events DB are made by their migrations alone, and SQL names their schema,
since publishers come with any search_path.
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

app_metadata = MetaData(naming_convention=_NAMES)
"""The tables of the App DB: write and notification processors of this package declare theirs on it, without a schema.

::

    from sqlalchemy import Column, Table, Uuid

    from fundlyhub import app_metadata

    first_follows = Table("first_follows", app_metadata, Column("campaign_id", Uuid, primary_key=True))
"""
analytics_metadata = MetaData(naming_convention=_NAMES)
"""The tables of the Analytics DB: projections of this package declare theirs on it, without a schema.

::

    from sqlalchemy import Column, Table, Uuid

    from fundlyhub import analytics_metadata

    latest_news = Table("latest_news", analytics_metadata, Column("id", Uuid, primary_key=True))
"""

METADATA: Mapping[Branch, MetaData] = {
    "app": app_metadata,
    "analytics": analytics_metadata,
}
