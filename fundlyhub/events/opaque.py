"""A payload that no class describes: of an unknown type, or of a version that a newer release knows."""

from __future__ import annotations

import re
from typing import Any, ClassVar, Self

from fundlyhub.errors import InvalidEvent
from fundlyhub.events.payload import Payload
from fundlyhub.events.rules import check_json
from fundlyhub.events.secrets import secret_names, without

_TYPE = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*){1,3}")
"""What the SQL function takes for a type."""
MAX_TYPE = 200
"""Characters of a type's name."""


class Opaque(Payload):
    """What an event says, as it came. ``publish_event`` refuses such events; what comes by a stream is kept.

    It is checked for what the log can hold, and loses its secrets; the rest is checked when the event is processed.
    """

    aggregate_kind: ClassVar[str | None] = None
    aggregate_field: ClassVar[str | None] = None
    content: dict[str, Any]

    def checked(self, kind: str) -> Self:
        """The payload of an event of this type. Raises InvalidEvent for what the log should not hold."""
        if not _TYPE.fullmatch(kind) or len(kind) > MAX_TYPE:
            raise InvalidEvent("type: must be two to four dotted lower-case words")
        check_json(self.content, path="payload")
        return type(self)(content=without(self.content, secret_names(kind)))

    def to_wire(self) -> dict[str, Any]:
        """The content itself."""
        return self.content
