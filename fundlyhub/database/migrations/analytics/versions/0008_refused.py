"""Documents that the outside search engine would not have are found without reading all."""

from alembic import op

revision = "analytics_0008"
down_revision = "analytics_0007"


def upgrade() -> None:
    op.execute("CREATE INDEX search_documents_refused_idx ON search_documents (kind, id) WHERE refused IS NOT NULL")


def downgrade() -> None:
    op.execute("DROP INDEX search_documents_refused_idx")
