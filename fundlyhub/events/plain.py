"""Plain events: small, flat, and without the name of any secret. The log takes them by an INSERT alone."""

from __future__ import annotations

import re

from fundlyhub.events.envelope import Event
from fundlyhub.events.personal import ERASED
from fundlyhub.secret_keys import ALL_NAMES

MOST_BYTES = 4_096
"""Of payload and metadata each: even if all of it were numbers like 1e300, PostgreSQL would write less than 300 KB."""
_SECRET = re.compile(f'"(?:{"|".join(sorted(ALL_NAMES))})"'.encode())


def is_plain(event: Event) -> bool:
    """Whether an event surely satisfies the function ``events.is_plain`` of the log, by a look at its JSON text.

    False does not mean that it breaks a rule: only that the log has to look at it closely.
    """
    if not _is_plain(event.payload_json):
        return False
    return not event.metadata or (ERASED not in event.metadata and _is_plain(event.metadata_json))


def _is_plain(text: bytes) -> bool:
    # A brace or a bracket within a text counts as well: such an event takes the longer way.
    return len(text) <= MOST_BYTES and text.count(b"{") == 1 and b"[" not in text and not _SECRET.search(text)
