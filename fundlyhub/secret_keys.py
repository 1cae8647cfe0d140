"""The names of secrets, which no event keeps: the one list for publishing in Python and in SQL."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType

SECRET_KEYS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"user.logged_in": ("sessionId",), "campaign.created": ("passcode", "linkToken")}
)
"""Payload keys with secrets: they are removed from every event and are fields of no class."""

SESSION = "sessionId"
"""A secret in every type but some, where it is a plain field."""
PLAIN_SESSIONS = ("search.query.submitted", "search.analytics.recorded")
"""Types of ours in which it is one."""


def _spellings(*names: str) -> Iterator[str]:
    """Spellings of a secret and of its hash, in camel and snake case."""
    for name in names:
        for spelling in (name, f"{name}Hash"):
            yield spelling
            yield re.sub("[A-Z]", lambda found: f"_{found[0].lower()}", spelling)


ALL_NAMES = frozenset(_spellings(*(key for keys in SECRET_KEYS.values() for key in keys)))
"""Every spelling of every secret."""
SESSION_NAMES = frozenset(_spellings(SESSION))
"""Those of a session's id."""
