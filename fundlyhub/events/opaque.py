"""Payloads without a class: of an unknown type or version, or one that was not read."""

from __future__ import annotations

import re
from typing import Any, ClassVar, Self

from fundlyhub.errors import InvalidEvent
from fundlyhub.events.payload import Payload
from fundlyhub.events.rules import check_json
from fundlyhub.events.secrets import secret_names, without

_TYPE = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*){1,3}")
"""The form of types that the SQL function accepts."""
MAX_TYPE = 200
"""Most characters of a type."""


class Unread(Payload):
    """In place of a payload that was not read; what is known is the id of what the event is about."""

    aggregate_kind: ClassVar[str | None] = None
    aggregate_field: ClassVar[str | None] = "about"
    about: str | None = None


class Opaque(Payload):
    """The unchanged content of such an event. ``publish_event`` refuses it; the stream ingest stores it.

    Its limits are checked and its secrets are removed; the rest is checked when the event is processed.
    """

    aggregate_kind: ClassVar[str | None] = None
    aggregate_field: ClassVar[str | None] = None
    content: dict[str, Any]

    def checked(self, kind: str) -> Self:
        """The checked payload for an event of this type. Raises InvalidEvent."""
        if not _TYPE.fullmatch(kind) or len(kind) > MAX_TYPE:
            raise InvalidEvent("type: must be two to four dotted lower-case words")
        check_json(self.content, path="payload")
        return type(self)(content=without(self.content, secret_names(kind)))

    def to_wire(self) -> dict[str, Any]:
        """The unchanged content."""
        return self.content
