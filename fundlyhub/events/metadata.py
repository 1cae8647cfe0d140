"""The check of an event's metadata, which a publisher fills freely but for secrets and what is reserved for us."""

from __future__ import annotations

from typing import Any

from fundlyhub.errors import InvalidEvent
from fundlyhub.events.personal import ERASED
from fundlyhub.events.rules import check_json
from fundlyhub.events.secrets import secret_names, without


def checked_metadata(metadata: Any) -> dict[str, Any]:
    """Metadata of a publisher without secrets. Raises InvalidEvent.

    The mark of an erasure is refused: it would have processors read words as absent that are there, and other content
    under the same id pass for a duplicate.
    """
    if metadata is None:
        return {}
    if not isinstance(metadata, dict):
        raise InvalidEvent("metadata: must be an object")
    check_json(metadata, path="metadata")
    if ERASED in metadata:
        raise InvalidEvent(f"metadata.{ERASED}: is reserved")
    clean: dict[str, Any] = without(metadata, secret_names(None))
    return clean
