"""The audits: who was shown what, and who decided what, the newest first."""

from __future__ import annotations

from starlette.responses import Response

from fundlyhub.console.visits import Visit, page
from fundlyhub.database import decisions
from fundlyhub.web.refusals import Refusal

TITLES = {
    "shown": "Payloads and messages that were shown", "letters": "Dead letters", "pauses": "Pauses",
    "quarantine": "Quarantine", "console": "The console: users, messages, rebuilds, verifications",
}  # fmt: skip
COMMANDS = {
    "shown": "fundlyhub audit", "letters": "fundlyhub dlq show ID", "pauses": "fundlyhub processors history NAME",
    "quarantine": "fundlyhub ingest quarantine show ID", "console": "fundlyhub console user list",
}  # fmt: skip


@page("/audit")
def audit(visit: Visit) -> Response:
    """One page of one audit."""
    kind = visit.given("kind") or decisions.KINDS[0]
    if kind not in decisions.KINDS:
        raise Refusal(404, "there is no such audit")
    who = visit.given("who")[:200] or None
    with visit.transaction() as db:
        found = decisions.page(db, kind, who=who, before=visit.given_number("before"))
    return visit.page(
        "audit.html", kind=kind, who=who or "", found=found, titles=TITLES, command=COMMANDS[kind],
        looked=decisions.LOOKED_THROUGH,
    )  # fmt: skip
