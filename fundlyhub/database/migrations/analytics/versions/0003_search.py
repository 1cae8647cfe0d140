"""The search index: fields, documents, the three read models, and how texts become words."""

from alembic import op

revision = "analytics_0003"
down_revision = "analytics_0002"

PROJECTIONS = {
    "campaign_search_projection": """
        campaign_id      uuid PRIMARY KEY,
        title            text NOT NULL,
        summary          text NOT NULL,
        beneficiary_name text NOT NULL,
        story_text       text NOT NULL,
        location         text NOT NULL,
        slug             text,
        category_id      uuid,
        status           text NOT NULL,
    """,
    "user_search_projection": """
        user_id     uuid PRIMARY KEY,
        name        text    NOT NULL,
        bio         text    NOT NULL,
        location    text    NOT NULL,
        is_verified boolean NOT NULL,
    """,
    "organization_search_projection": """
        organization_id     uuid PRIMARY KEY,
        legal_name          text   NOT NULL,
        dba_name            text   NOT NULL,
        categories          text[] NOT NULL,
        country             text   NOT NULL,
        verification_status text   NOT NULL,
    """,
}
COMMON = """
        created_at       timestamptz,
        popularity       smallint NOT NULL,
        hot              timestamptz NOT NULL,
        title_key        text     NOT NULL,
        title_vector     tsvector NOT NULL,
        search_vector    tsvector NOT NULL
"""


def upgrade() -> None:
    unaccent, trigrams = (_extension(name) for name in ("unaccent", "pg_trgm"))
    _configurations(unaccent)
    _query_function()
    _facts()
    for name, columns in PROJECTIONS.items():
        op.execute(f"CREATE TABLE {name} ({columns}{COMMON})")
        op.execute(f"CREATE INDEX {name}_hot_idx ON {name} (hot)")
        for column in ("title_vector", "search_vector", f"title_key {trigrams}.gin_trgm_ops"):
            op.execute(f"CREATE INDEX {name}_{column.split()[0]}_idx ON {name} USING gin ({column})")


def _extension(name: str) -> str:
    """The schema of an extension, quoted; made in ours when the database has not got it yet."""
    op.execute(f"CREATE EXTENSION IF NOT EXISTS {name}")
    where = "SELECT extnamespace::regnamespace::text FROM pg_extension WHERE extname = %s"
    return str(op.get_bind().exec_driver_sql(where, (name,)).scalar_one())


def _configurations(unaccent: str) -> None:
    """Words without accents: as they are written, and by their English stems."""
    tokens = "asciiword, word, numword, asciihword, hword, numhword, hword_asciipart, hword_part, hword_numpart"
    for name, base, dictionary in (("search_plain", "simple", "simple"), ("search_stem", "english", "english_stem")):
        op.execute(f"CREATE TEXT SEARCH CONFIGURATION {name} (COPY = pg_catalog.{base})")
        mapping = f"{unaccent}.unaccent, {dictionary}"
        op.execute(f"ALTER TEXT SEARCH CONFIGURATION {name} ALTER MAPPING FOR {tokens} WITH {mapping}")


def _query_function() -> None:
    # Each word as the beginning of a written one, or as a form of one. A stop word is passed over, unless there are
    # no others: it stands in no story's words.
    op.execute("""
        CREATE FUNCTION search_query(words text[]) RETURNS tsquery LANGUAGE plpgsql STABLE AS $$
        DECLARE
            word    text;
            stem    tsquery;
            written tsquery;
            meant   tsquery;
            all_of  tsquery;
        BEGIN
            FOREACH word IN ARRAY words LOOP
                written := to_tsquery('search_plain', word || '\\:*');
                stem := to_tsquery('search_stem', word);
                all_of := CASE WHEN all_of IS NULL THEN written ELSE all_of && written END;
                CONTINUE WHEN numnode(stem) = 0;
                meant := CASE WHEN meant IS NULL THEN written || stem ELSE meant && (written || stem) END;
            END LOOP;
            RETURN coalesce(meant, all_of, ''\\:\\:tsquery);
        END
        $$
    """)


def _facts() -> None:
    op.execute("""
        CREATE TABLE entity_fields (
            kind        text        NOT NULL,
            id          uuid        NOT NULL,
            field       text        NOT NULL,
            value       jsonb       NOT NULL,
            occurred_at timestamptz NOT NULL,
            position    bigint      NOT NULL,
            PRIMARY KEY (kind, id, field)
        )
    """)
    op.execute("""
        CREATE TABLE search_follows (
            follower_id uuid        NOT NULL,
            kind        text        NOT NULL,
            followed_id uuid        NOT NULL,
            occurred_at timestamptz NOT NULL,
            position    bigint      NOT NULL,
            follows     boolean     NOT NULL,
            PRIMARY KEY (follower_id, kind, followed_id)
        )
    """)
    op.execute("""
        CREATE TABLE search_gifts (
            campaign_id uuid NOT NULL,
            donation_id uuid NOT NULL,
            PRIMARY KEY (campaign_id, donation_id)
        )
    """)
    op.execute("""
        CREATE TABLE search_documents (
            kind         text   NOT NULL,
            id           uuid   NOT NULL,
            popularity   bigint NOT NULL,
            digest       text,
            version      bigint NOT NULL DEFAULT 0,
            sent_version bigint NOT NULL DEFAULT 0,
            refused      text,
            PRIMARY KEY (kind, id)
        )
    """)
    op.execute("CREATE TABLE search_indices (kind text PRIMARY KEY, name text NOT NULL, live boolean NOT NULL)")
    op.execute("CREATE INDEX search_documents_dirty_idx ON search_documents (kind, id) WHERE version > sent_version")


def downgrade() -> None:
    op.execute("DROP TABLE search_indices, search_documents, search_gifts, search_follows, entity_fields")
    op.execute(f"DROP TABLE {', '.join(PROJECTIONS)}")
    op.execute("DROP FUNCTION search_query")
    for name in ("search_plain", "search_stem"):
        op.execute(f"DROP TEXT SEARCH CONFIGURATION {name}")  # the extensions stay: they may be others' too
