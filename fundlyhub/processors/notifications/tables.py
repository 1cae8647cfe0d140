"""The ledger of messages, and the addresses that are not written to any more."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Identity,
    Index,
    Integer,
    Numeric,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP

from fundlyhub.database import app_metadata

STATES = ("queued", "sending", "sent", "delivered", "skipped", "failed", "unknown")

# One row per message, written before anything is sent: no recipient is told of a matter twice. `matter` is what the
# message is about (ledger/matters.py); a row of an earlier release has none until it is needed, and a random id.
# `event_id` and `position` are those of the message's event; a digest has its own id there, and the position of its
# first member's event. `recipient` is a user's id, or a keyed hash of an address or a device's token, never these
# themselves; its collation is C, since the recipients of one matter are planned in the order of their ids. `token` and
# `lease_until` belong to the worker that sends it.
notifications = Table(
    "notifications",
    app_metadata,
    Column("id", Uuid, primary_key=True, server_default=text("gen_random_uuid()")),
    Column("event_id", Uuid, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("channel", Text, nullable=False),
    Column("recipient", Text(collation="C"), nullable=False),
    Column("template", Text, nullable=False),
    Column("user_id", Uuid),
    Column("transactional", Boolean, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text),
    Column("not_before", TIMESTAMP(timezone=True)),
    Column("token", Uuid),
    Column("lease_until", TIMESTAMP(timezone=True)),
    Column("tries", Integer, nullable=False, server_default=text("0")),
    Column("provider", Text),
    Column("provider_message_id", Text),
    Column("created_at", TIMESTAMP(timezone=True), nullable=False, server_default=text("now()")),
    Column("sent_at", TIMESTAMP(timezone=True)),
    Column("changed_at", TIMESTAMP(timezone=True), nullable=False, server_default=text("now()")),
    Column("matter", Text(collation="C")),
    UniqueConstraint("event_id", "channel", "recipient", "template"),  # what workers of an earlier release go by
    UniqueConstraint("matter", "channel", "recipient", "template"),
    CheckConstraint(f"state IN ({', '.join(repr(state) for state in STATES)})", name="state"),
)
Index("notifications_user_id_idx", notifications.c.user_id, notifications.c.channel, notifications.c.created_at)
Index(
    "notifications_nameless_idx",
    notifications.c.channel,
    notifications.c.recipient,
    notifications.c.template,
    postgresql_where=notifications.c.matter.is_(None),
)
Index("notifications_provider_message_id_idx", notifications.c.provider_message_id)
Index(
    "notifications_open_idx",
    notifications.c.state,
    notifications.c.changed_at,
    postgresql_where=notifications.c.state.in_(("queued", "sending", "failed", "unknown")),
)

# One row per broadcast: how far its followers are looked at, in the order of their ids. A follower who is not told
# costs no row of the ledger: `skipped` counts them by reason. `told` is the number of rows that were written.
broadcasts = Table(
    "broadcasts",
    app_metadata,
    Column("matter", Text(collation="C"), primary_key=True),
    Column("channel", Text, primary_key=True),
    Column("template", Text, primary_key=True),
    Column("event_id", Uuid, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("after", Uuid, nullable=False),
    Column("told", BigInteger, nullable=False, server_default=text("0")),
    Column("skipped", JSONB, nullable=False, server_default=text("'{}'")),
    Column("begun_at", TIMESTAMP(timezone=True), nullable=False, server_default=text("now()")),
    Column("finished_at", TIMESTAMP(timezone=True)),
)

# Addresses, as keyed hashes, that bounced or whose owner complained. A bounced one gets nothing any more; one whose
# owner complained gets transactional messages only.
suppressions = Table(
    "suppressions",
    app_metadata,
    Column("channel", Text, primary_key=True),
    Column("address_hash", Text, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("since", TIMESTAMP(timezone=True), nullable=False, server_default=text("now()")),
    CheckConstraint("reason IN ('bounced', 'complained')", name="reason"),
)

# Why each address is suppressed, and each device gone: one row for each word of a provider or a person, in words of
# ours. A row that was lifted stays, with who did it and when. Devices are not in `suppressions`: `devices.gone_at`
# says it of them.
suppression_causes = Table(
    "suppression_causes",
    app_metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("channel", Text, nullable=False),
    Column("address_hash", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("told_by", Text, nullable=False),
    Column("said", Text, nullable=False),
    Column("told_at", TIMESTAMP(timezone=True), nullable=False, server_default=text("clock_timestamp()")),
    Column("user_id", Uuid),
    Column("notification_id", Uuid),
    Column("device_id", Uuid),
    Column("lifted_at", TIMESTAMP(timezone=True)),
    Column("lifted_by", Text),
    CheckConstraint("reason IN ('bounced', 'complained', 'gone')", name="reason"),
)
Index("suppression_causes_address_idx", suppression_causes.c.channel, suppression_causes.c.address_hash)
Index("suppression_causes_told_at_idx", suppression_causes.c.told_at)
Index(
    "suppression_causes_device_id_idx", suppression_causes.c.device_id,
    postgresql_where=suppression_causes.c.device_id.is_not(None),
)  # fmt: skip

# What each message about a refund tells: what was returned, and what that is together with what others tell. Written
# when the message is planned, so that a resumed run tells the same.
refund_tellings = Table(
    "refund_tellings",
    app_metadata,
    Column("donation_id", Uuid, primary_key=True),
    Column("event_id", Uuid, primary_key=True),
    Column("amount", Numeric, nullable=False),
    Column("total", Numeric, nullable=False),
)

# What providers told and nobody has taken up yet: one row for each request, deleted in the transaction that applies
# it. `words` hold hashes and no address. A word that cannot be applied stays, with `failed_at` and the class of its
# error.
delivery_reports = Table(
    "delivery_reports",
    app_metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("provider", Text, nullable=False),
    Column("words", JSONB, nullable=False),
    Column("bytes", Integer, nullable=False),
    Column("received_at", TIMESTAMP(timezone=True), nullable=False, server_default=text("clock_timestamp()")),
    Column("failed_at", TIMESTAMP(timezone=True)),
    Column("error", Text),
)
Index("delivery_reports_waiting_idx", delivery_reports.c.id, postgresql_where=delivery_reports.c.failed_at.is_(None))

# Who had which message sent again, when and why, and how it stood before. A token is used once for each message.
resends = Table(
    "resends",
    app_metadata,
    Column("token", Text, primary_key=True),
    Column("notification_id", Uuid, primary_key=True),
    Column("who", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", TIMESTAMP(timezone=True), nullable=False, server_default=text("clock_timestamp()")),
    Column("state", Text, nullable=False),
    Column("state_reason", Text),
    Column("sent_at", TIMESTAMP(timezone=True)),
    Column("provider_message_id", Text),
)
Index("resends_notification_id_idx", resends.c.notification_id, resends.c.at)

# Messages beyond the hourly limit are gathered: one open row per user, channel and template, which takes members in
# until it is closed and told. `template` is that of the members, `position` that of the first one's event. `due_at` is
# when it is looked at next, `settled_at` when nothing is left to do. Its own messages stand in the ledger.
digests = Table(
    "digests",
    app_metadata,
    Column("id", Uuid, primary_key=True),
    Column("user_id", Uuid, nullable=False),
    Column("channel", Text, nullable=False),
    Column("template", Text, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("opened_at", TIMESTAMP(timezone=True), nullable=False, server_default=text("clock_timestamp()")),
    Column("due_at", TIMESTAMP(timezone=True), nullable=False),
    Column("closed_at", TIMESTAMP(timezone=True)),
    Column("settled_at", TIMESTAMP(timezone=True)),
)
Index(
    "digests_open_idx", digests.c.user_id, digests.c.channel, digests.c.template, unique=True,
    postgresql_where=digests.c.closed_at.is_(None),
)  # fmt: skip
Index("digests_due_idx", digests.c.channel, digests.c.due_at, postgresql_where=digests.c.settled_at.is_(None))

# What each digest tells of: a matter is in one digest of a user and channel at most, however many devices there are.
# Nobody is named here: a digest counts and sums.
digest_members = Table(
    "digest_members",
    app_metadata,
    Column("user_id", Uuid, primary_key=True),
    Column("channel", Text, primary_key=True),
    Column("template", Text, primary_key=True),
    Column("matter", Text(collation="C"), primary_key=True),
    Column("digest_id", Uuid, nullable=False),
    Column("campaign_id", Uuid),
    Column("amount", Numeric),
    Column("currency", Text),
)
Index("digest_members_digest_id_idx", digest_members.c.digest_id)
