"""The SQLAlchemy MetaData of the App DB and the Analytics DB, for the tables of processors in other packages.

The tables of this package are made by its migrations alone. Names have no schema: search_path decides where a processor
writes, in the replay of `fundlyhub verify` too.
"""

from __future__ import annotations

from sqlalchemy import MetaData

_NAMES = {
    "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    "uq": "%(table_name)s_%(column_0_N_name)s_key",
    "ck": "%(table_name)s_%(constraint_name)s_check",
    "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
    "pk": "%(table_name)s_pkey",
}

app_metadata = MetaData(naming_convention=_NAMES)
"""Tables of the App DB that another package declares; ``create_all`` makes them in the schema ``app``.

::

    from sqlalchemy import Column, Table, Uuid

    from fundlyhub import app_metadata, get_engine

    first_follows = Table("first_follows", app_metadata, Column("campaign_id", Uuid, primary_key=True))
    app_metadata.create_all(get_engine("app"))
"""
analytics_metadata = MetaData(naming_convention=_NAMES)
"""Tables of the Analytics DB that another package declares; ``create_all`` makes them in the schema ``analytics``.

::

    from sqlalchemy import Column, Table, Uuid

    from fundlyhub import analytics_metadata, get_engine

    latest_news = Table("latest_news", analytics_metadata, Column("id", Uuid, primary_key=True))
    analytics_metadata.create_all(get_engine("analytics"))
"""
