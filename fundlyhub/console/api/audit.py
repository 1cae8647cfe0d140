"""The audits: who was shown what, and who decided what."""

from __future__ import annotations

from typing import Literal

from fundlyhub.console.api.fields import Listed, Page, Text
from fundlyhub.console.api.routing import Call, route
from fundlyhub.console.pages.events import position_of
from fundlyhub.database import decisions
from fundlyhub.database.decisions import Line

Kind = Literal["shown", "letters", "pauses", "quarantine", "console"]


class Asked(Listed):
    """Which audit, and whose lines."""

    kind: Kind = "shown"
    who: Text | None = None


@route("GET", "/audit")
def audit(call: Call, params: Asked) -> Page[Line]:
    """List lines of an audit, the newest first. A page looks through a bounded part, so it may be short."""
    before = position_of(params.page) if params.page else None
    with call.transaction() as db:
        found = decisions.page(db, params.kind, who=params.who, before=before, limit=params.limit)
    return Page[Line](items=list(found.lines), next=None if found.next is None else str(found.next))
