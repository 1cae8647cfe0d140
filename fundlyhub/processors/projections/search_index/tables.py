"""The tables of the search index; what each row means and which of them others may read."""

from __future__ import annotations

from sqlalchemy import DDL, BigInteger, Boolean, Column, Index, SmallInteger, Table, Text, Uuid, event, text
from sqlalchemy.dialects.postgresql import ARRAY, TIMESTAMP, TSVECTOR

from fundlyhub.database import analytics_metadata
from fundlyhub.processors.shared import last_writer_fields
from fundlyhub.processors.shared.follow_state import follows_table

entity_fields = last_writer_fields.entity_fields(analytics_metadata)

# Who follows what, and who gave to what, each counted once: what popularity is made of.
search_follows = follows_table("search_follows", analytics_metadata)
search_gifts = Table(
    "search_gifts",
    analytics_metadata,
    Column("campaign_id", Uuid, primary_key=True),
    Column("donation_id", Uuid, primary_key=True),
)

# One row per entity that an event has named. Every change of a document is made under the lock on this row.
# `digest` is that of what everybody may find, null when that is nothing. `version` counts its changes, and
# `sent_version` is the one that the outside search engine has; the row is dirty while they differ. `refused` is why
# the engine would not have it.
search_documents = Table(
    "search_documents",
    analytics_metadata,
    Column("kind", Text, primary_key=True),
    Column("id", Uuid, primary_key=True),
    Column("popularity", BigInteger, nullable=False),
    Column("digest", Text),
    Column("version", BigInteger, nullable=False, server_default=text("0")),
    Column("sent_version", BigInteger, nullable=False, server_default=text("0")),
    Column("refused", Text),
)
Index(
    "search_documents_dirty_idx", search_documents.c.kind, search_documents.c.id,
    postgresql_where=search_documents.c.version > search_documents.c.sent_version,
)  # fmt: skip
Index(
    "search_documents_refused_idx", search_documents.c.kind, search_documents.c.id,
    postgresql_where=search_documents.c.refused.is_not(None),
)  # fmt: skip


def _projection(name: str, *columns: Column[object]) -> Table:
    """A read model: what others may read, and nothing that not everybody may see.

    ``hot`` is the time of its making, later by 30 days with each doubling of its popularity: what candidates are
    ordered by, so that a word which stands everywhere is looked for among the popular and new ones alone.
    """
    table = Table(
        name,
        analytics_metadata,
        *columns,
        Column("created_at", TIMESTAMP(timezone=True)),
        Column("popularity", SmallInteger, nullable=False),
        Column("hot", TIMESTAMP(timezone=True), nullable=False),
        Column("title_key", Text, nullable=False),
        Column("title_vector", TSVECTOR, nullable=False),
        Column("search_vector", TSVECTOR, nullable=False),
    )
    Index(f"{name}_hot_idx", table.c.hot)
    Index(f"{name}_title_vector_idx", table.c.title_vector, postgresql_using="gin")
    Index(f"{name}_search_vector_idx", table.c.search_vector, postgresql_using="gin")
    Index(
        f"{name}_title_key_idx", table.c.title_key, postgresql_using="gin",
        postgresql_ops={"title_key": "gin_trgm_ops"},
    )  # fmt: skip
    return table


campaign_search_projection = _projection(
    "campaign_search_projection",
    Column("campaign_id", Uuid, primary_key=True),
    Column("title", Text, nullable=False),
    Column("summary", Text, nullable=False),
    Column("beneficiary_name", Text, nullable=False),
    Column("story_text", Text, nullable=False),
    Column("location", Text, nullable=False),
    Column("slug", Text),
    Column("category_id", Uuid),
    Column("status", Text, nullable=False),
)
user_search_projection = _projection(
    "user_search_projection",
    Column("user_id", Uuid, primary_key=True),
    Column("name", Text, nullable=False),
    Column("bio", Text, nullable=False),
    Column("location", Text, nullable=False),
    Column("is_verified", Boolean, nullable=False),
)
organization_search_projection = _projection(
    "organization_search_projection",
    Column("organization_id", Uuid, primary_key=True),
    Column("legal_name", Text, nullable=False),
    Column("dba_name", Text, nullable=False),
    Column("categories", ARRAY(Text), nullable=False),
    Column("country", Text, nullable=False),
    Column("verification_status", Text, nullable=False),
)

_TRIGRAMS = DDL("CREATE EXTENSION IF NOT EXISTS pg_trgm SCHEMA analytics")  # type: ignore[no-untyped-call]  # theirs
event.listen(analytics_metadata, "before_create", _TRIGRAMS)
