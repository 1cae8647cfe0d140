"""What a user of the console may do: three levels, each of which includes the ones before it."""

from __future__ import annotations

from typing import Literal, get_args

Level = Literal["viewer", "operator", "privacy"]
"""``viewer`` sees; ``operator`` also acts; ``privacy`` may also reveal payloads and messages: people's data."""
LEVELS: tuple[Level, ...] = get_args(Level)


def allows(has: Level, needs: Level) -> bool:
    """Whether somebody of one level may do what needs another.

    >>> allows("operator", "viewer"), allows("operator", "privacy")
    (True, False)
    """
    return LEVELS.index(has) >= LEVELS.index(needs)
