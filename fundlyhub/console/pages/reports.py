"""Delivery reports of providers that could not be applied: try one again after a fix, or discard it."""

from __future__ import annotations

from starlette.responses import Response

from fundlyhub.console.access import Access
from fundlyhub.console.visits import Visit, page
from fundlyhub.database import get_engine
from fundlyhub.database.audited import reasoned
from fundlyhub.database.console_audit import note
from fundlyhub.processors.notifications.delivery_reports import failed
from fundlyhub.web.refusals import Refusal

ROWS = 100
_LIST = "/messages/reports"


@page(_LIST)
def reports(visit: Visit) -> Response:
    """The reports that wait for a person, the newest first, or those that were discarded."""
    discarded = bool(visit.given("discarded"))
    with visit.transaction("app") as db:
        found = failed.find(db, discarded=discarded, limit=ROWS)
    return visit.page("reports.html", found=found, discarded=discarded, rows=ROWS)


@page(f"{_LIST}/{{id}}/retry", "operator", "POST")
def retry(visit: Visit) -> Response:
    """Apply a report again. One that fails again stays, with its new error."""
    id = visit.number("id")
    done = apply_again(visit, id, visit.field("reason"))
    said = f"Report {id} failed again: {done.failed[id]}." if id in done.failed else f"Report {id} is applied."
    return visit.go(_LIST, said)


@page(f"{_LIST}/{{id}}/discard", "operator", "POST")
def discard(visit: Visit) -> Response:
    """Let a report rest for good."""
    id = visit.number("id")
    with visit.transaction("app") as db:
        done = failed.discard(db, [id], who=visit.who, reason=visit.field("reason"))
    if not done:
        raise Refusal(404, "there is no such failed report")
    return visit.go(_LIST, f"Report {id} is discarded.")


def apply_again(access: Access, id: int, reason: str) -> failed.Retried:
    """Apply a report again, which the audit keeps first. Raises Refusal if there is no such report."""
    reason = reasoned(reason)
    with access.transaction() as db:
        note(db, access.who, who=access.who, action="report applied again", details=f"report {id}: {reason}"[:1_000])
    done = failed.retry(get_engine("app"), [id])
    if done.unknown:
        raise Refusal(404, "there is no such failed report")
    return done
