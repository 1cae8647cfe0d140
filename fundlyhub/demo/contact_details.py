"""Contact details that the API service writes itself, without events: devices, phones, languages, preferences."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text

from fundlyhub.demo.business import Statement

_CONTACT = text("""
    INSERT INTO contacts (user_id, phone, locale, time_zone, quiet_from, quiet_until)
    VALUES (:user_id, :phone, :locale, :time_zone, :quiet_from, :quiet_until)
    ON CONFLICT (user_id) DO UPDATE SET phone = excluded.phone, locale = excluded.locale,
        time_zone = excluded.time_zone, quiet_from = excluded.quiet_from, quiet_until = excluded.quiet_until
""")
_DEVICE = text("INSERT INTO devices (user_id, token) VALUES (:user_id, :token) ON CONFLICT (token) DO NOTHING")
_WISH = text("""
    INSERT INTO preferences (user_id, category, channel, wanted) VALUES (:user_id, :category, 'email', :wanted)
    ON CONFLICT (user_id, category, channel) DO UPDATE SET wanted = excluded.wanted
""")


def reach(run: int, user: UUID, number: int) -> dict[str, Any]:
    """How the run's user of this number is reached: every third has a device, every second a phone, and so on."""
    return {
        "run": run, "user_id": user, "device": number % 3 == 0, "phone": number % 2 == 0,
        "wants_gifts": number % 10 != 0, "wants_social": number % 7 == 0,
    }  # fmt: skip


def kept(row: dict[str, Any], number: int) -> Sequence[Statement]:
    """The rows of the App DB for it. Quiet hours are far away, so that the demo need not wait for their end."""
    user = {"user_id": row["user_id"]}
    quiet = datetime.now(UTC) + timedelta(hours=11)
    contact = {
        **user, "phone": f"+1202555{number % 10_000:04d}" if row["phone"] else None,
        "locale": "de_DE" if number % 5 == 0 else "en_US",
        "time_zone": "UTC", "quiet_from": quiet.time(), "quiet_until": (quiet + timedelta(minutes=1)).time(),
    }  # fmt: skip
    wishes = [{**user, "category": "donations", "wanted": False}] if not row["wants_gifts"] else []
    wishes += [{**user, "category": "social", "wanted": True}] if row["wants_social"] else []
    statements: list[Statement] = [(_CONTACT, [contact])]
    statements += [(_DEVICE, [{**user, "token": f"device-of-{row['user_id']}"}])] if row["device"] else []
    return statements + ([(_WISH, wishes)] if wishes else [])
