"""Points in time and time spans as people write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from fundlyhub.errors import WrongUse

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def age(text: str) -> timedelta:
    """A time span such as 90s, 15m, 2h or 7d. Raises WrongUse for anything else.

    >>> age("15m")
    datetime.timedelta(seconds=900)
    """
    match = re.fullmatch(r"(\d{1,6})([smhd])", text, re.ASCII)
    if match is None:
        raise WrongUse("write it as 90s, 15m, 2h or 7d")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def moment(text: str) -> datetime:
    """A time such as 2026-03-01T14:00, in UTC where it names no zone, or an age such as 2h, before now.

    Raises WrongUse for anything else.
    """
    if re.fullmatch(r"\d{1,6}[smhd]", text, re.ASCII):
        return datetime.now(UTC) - age(text)
    try:
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise WrongUse("write it as 2026-03-01T14:00 (UTC), 2026-03-01T14:00+01:00, or 2h for 2 h ago") from None
