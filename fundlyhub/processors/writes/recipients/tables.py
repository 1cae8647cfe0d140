"""The tables of recipients. The API service may write contacts, devices and preferences too."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Numeric, Table, Text, Time, Uuid, text
from sqlalchemy.dialects.postgresql import TIMESTAMP

from fundlyhub.database import app_metadata
from fundlyhub.processors.shared.refunds import refunds_table

# One row per user. Events tell name and e-mail address; phone, locale, time zone and quiet hours are the API's.
contacts = Table(
    "contacts",
    app_metadata,
    Column("user_id", Uuid, primary_key=True),
    Column("name", Text),
    Column("email", Text),
    Column("phone", Text),
    Column("locale", Text, nullable=False, server_default=text("'en'")),
    Column("time_zone", Text, nullable=False, server_default=text("'UTC'")),
    Column("quiet_from", Time),
    Column("quiet_until", Time),
    Column("suspended", Boolean, nullable=False, server_default=text("false")),
    Column("deleted", Boolean, nullable=False, server_default=text("false")),
)

# Where push messages go. A token that its provider no longer knows is marked, not deleted.
devices = Table(
    "devices",
    app_metadata,
    Column("id", Uuid, primary_key=True, server_default=text("gen_random_uuid()")),
    Column("user_id", Uuid, nullable=False),
    Column("token", Text, nullable=False, unique=True),
    Column("created_at", TIMESTAMP(timezone=True), nullable=False, server_default=text("now()")),
    Column("gone_at", TIMESTAMP(timezone=True)),
)
Index("devices_user_id_idx", devices.c.user_id)

# Who gave, so that a refund, which does not say it, finds the donor. The e-mail address is a guest's or an anonymous
# donor's: for their own messages only.
gift_donors = Table(
    "gift_donors",
    app_metadata,
    Column("donation_id", Uuid, primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("campaign_id", Uuid, nullable=False),
    Column("donor_id", Uuid),
    Column("email", Text),
    Column("name", Text),
    Column("amount", Numeric, nullable=False),
    Column("currency", Text, nullable=False),
    # By which a failed payment names it: null in rows of a release that did not write it.
    Column("transaction_id", Text),
)
Index(
    "gift_donors_transaction_id_idx", gift_donors.c.transaction_id,
    postgresql_where=gift_donors.c.transaction_id.is_not(None),
)  # fmt: skip

# Refunds of donations, so that a message about a refund can report the difference.
gift_refunds = refunds_table("gift_refunds", app_metadata)

# Payout requests, since later events of a payout do not name the user and the amount.
payout_requests = Table(
    "payout_requests",
    app_metadata,
    Column("request_id", Uuid, primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("user_id", Uuid, nullable=False),
    Column("amount", Numeric, nullable=False),
    Column("currency", Text, nullable=False),
)

# Where each user has signed in from, as a keyed hash of network and browser, and when first.
sign_ins = Table(
    "sign_ins",
    app_metadata,
    Column("user_id", Uuid, primary_key=True),
    Column("place", Text, primary_key=True),
    Column("occurred_at", TIMESTAMP(timezone=True), nullable=False),
    Column("position", BigInteger, nullable=False),
)
