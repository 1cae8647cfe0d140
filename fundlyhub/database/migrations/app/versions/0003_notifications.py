"""Recipients, and the ledger of messages."""

from alembic import op

revision = "app_0003"
down_revision = "app_0002"

RECIPIENTS = """
CREATE TABLE contacts (
    user_id     uuid    PRIMARY KEY,
    name        text,
    email       text,
    phone       text,
    locale      text    NOT NULL DEFAULT 'en',
    time_zone   text    NOT NULL DEFAULT 'UTC',
    quiet_from  time,
    quiet_until time,
    suspended   boolean NOT NULL DEFAULT false,
    deleted     boolean NOT NULL DEFAULT false
);
CREATE TABLE devices (
    id         uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id    uuid        NOT NULL,
    token      text        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    gone_at    timestamptz,
    CONSTRAINT devices_token_key UNIQUE (token)
);
CREATE INDEX devices_user_id_idx ON devices (user_id);
CREATE TABLE preferences (
    user_id  uuid    NOT NULL,
    category text    NOT NULL,
    channel  text    NOT NULL,
    wanted   boolean NOT NULL,
    PRIMARY KEY (user_id, category, channel)
);
CREATE TABLE gift_donors (
    donation_id uuid    PRIMARY KEY,
    position    bigint  NOT NULL,
    campaign_id uuid    NOT NULL,
    donor_id    uuid,
    email       text,
    name        text,
    amount      numeric NOT NULL,
    currency    text    NOT NULL
);
CREATE TABLE payout_requests (
    request_id uuid    PRIMARY KEY,
    position   bigint  NOT NULL,
    user_id    uuid    NOT NULL,
    amount     numeric NOT NULL,
    currency   text    NOT NULL
);
CREATE TABLE sign_ins (
    user_id     uuid        NOT NULL,
    place       text        NOT NULL,
    occurred_at timestamptz NOT NULL,
    position    bigint      NOT NULL,
    PRIMARY KEY (user_id, place)
);
"""

LEDGER = """
CREATE TABLE notifications (
    id                  uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    event_id            uuid        NOT NULL,
    position            bigint      NOT NULL,
    channel             text        NOT NULL,
    recipient           text        COLLATE "C" NOT NULL,
    template            text        NOT NULL,
    user_id             uuid,
    transactional       boolean     NOT NULL,
    state               text        NOT NULL
        CONSTRAINT notifications_state_check
        CHECK (state IN ('queued', 'sending', 'sent', 'delivered', 'skipped', 'failed', 'unknown')),
    reason              text,
    not_before          timestamptz,
    token               uuid,
    lease_until         timestamptz,
    tries               integer     NOT NULL DEFAULT 0,
    provider            text,
    provider_message_id text,
    created_at          timestamptz NOT NULL DEFAULT now(),
    sent_at             timestamptz,
    changed_at          timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT notifications_event_id_channel_recipient_template_key UNIQUE (event_id, channel, recipient, template)
);
CREATE INDEX notifications_user_id_idx ON notifications (user_id, channel, created_at);
CREATE INDEX notifications_provider_message_id_idx ON notifications (provider_message_id);
CREATE INDEX notifications_open_idx ON notifications (state, changed_at)
    WHERE state IN ('queued', 'sending', 'failed', 'unknown');
CREATE TABLE suppressions (
    channel      text        NOT NULL,
    address_hash text        NOT NULL,
    reason       text        NOT NULL CONSTRAINT suppressions_reason_check CHECK (reason IN ('bounced', 'complained')),
    since        timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (channel, address_hash)
);
"""


def upgrade() -> None:
    op.execute(RECIPIENTS)
    op.execute(LEDGER)


def downgrade() -> None:
    op.execute("DROP TABLE suppressions, notifications")
    op.execute("DROP TABLE sign_ins, payout_requests, gift_donors, preferences, devices, contacts")
