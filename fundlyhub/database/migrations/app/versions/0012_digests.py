"""What the hourly limit holds back is gathered into digests."""

from alembic import op

revision = "app_0012"
down_revision = "app_0011"

DIGESTS = """
CREATE TABLE digests (
    id         uuid        PRIMARY KEY,
    user_id    uuid        NOT NULL,
    channel    text        NOT NULL,
    template   text        NOT NULL,
    position   bigint      NOT NULL,
    opened_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    due_at     timestamptz NOT NULL,
    closed_at  timestamptz,
    settled_at timestamptz
);
CREATE UNIQUE INDEX digests_open_idx ON digests (user_id, channel, template) WHERE closed_at IS NULL;
CREATE INDEX digests_due_idx ON digests (channel, due_at) WHERE settled_at IS NULL;
CREATE TABLE digest_members (
    user_id     uuid    NOT NULL,
    channel     text    NOT NULL,
    template    text    NOT NULL,
    matter      text    COLLATE "C" NOT NULL,
    digest_id   uuid    NOT NULL,
    campaign_id uuid,
    amount      numeric,
    currency    text,
    PRIMARY KEY (user_id, channel, template, matter)
);
CREATE INDEX digest_members_digest_id_idx ON digest_members (digest_id);
"""


def upgrade() -> None:
    op.execute(DIGESTS)


def downgrade() -> None:
    op.execute("DROP TABLE digests, digest_members")
