"""Points in time and time spans on the command line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import click

from fundlyhub.errors import WrongUse
from fundlyhub.history import times


def age(text: str) -> timedelta:
    """A time span such as 90s, 15m, 2h or 7d. Raises click's BadParameter for anything else."""
    try:
        return times.age(text)
    except WrongUse as error:
        raise click.BadParameter(str(error)) from None


def moment(text: str) -> datetime:
    """A time such as 2026-03-01T14:00, or an age, as `times.moment` reads it.

    Raises click's BadParameter for anything else.
    """
    try:
        return times.moment(text)
    except WrongUse as error:
        raise click.BadParameter(str(error)) from None


def shown(at: datetime | None, zone: str = "Z") -> str:
    """A time in UTC as tables show it; without ``zone`` where the column's name says it. Empty for None.

    >>> shown(datetime(2026, 3, 1, 14, 0, tzinfo=UTC))
    '2026-03-01 14:00:00Z'
    """
    return "" if at is None else f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}{zone}"


def span(seconds: float | None) -> str:
    """A time span that can be read at a glance. Empty for None.

    >>> span(7_300)
    '2 h'
    """
    if seconds is None:
        return ""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
