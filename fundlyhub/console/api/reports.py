"""Delivery reports of providers that could not be applied: list, retry and discard them."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel

from fundlyhub.console.api.fields import Given, Limit, Numbered, Why
from fundlyhub.console.api.routing import Call, route
from fundlyhub.console.pages.reports import apply_again
from fundlyhub.processors.notifications.delivery_reports import failed
from fundlyhub.processors.notifications.delivery_reports.failed import FailedReport
from fundlyhub.web.refusals import Refusal


class Asked(Given):
    """Those that wait for a person, or with ``discarded`` those that were discarded."""

    discarded: bool = False
    limit: Limit = 50


class FailedAgain(BaseModel):
    """A report that could not be applied again, and the error."""

    id: int
    error: str


class Retried(BaseModel):
    """Whether it was applied; ``failed`` names the error if it failed again."""

    applied: Sequence[int]
    failed: list[FailedAgain]


class Discarded(BaseModel):
    """The reports that rest for good now."""

    discarded: list[int]


@route("GET", "/messages/reports")
def reports(call: Call, params: Asked) -> list[FailedReport]:
    """List delivery reports that could not be applied, the newest first."""
    with call.transaction("app") as db:
        return failed.find(db, discarded=params.discarded, limit=params.limit)


@route("POST", "/messages/reports/{id}/retry", "operator")
def retry(call: Call, params: Numbered, body: Why) -> Retried:
    """Apply a report again. One that fails again stays, with its new error."""
    done = apply_again(call, params.id, body.reason)
    return Retried(applied=done.applied, failed=[FailedAgain(id=id, error=error) for id, error in done.failed.items()])


@route("POST", "/messages/reports/{id}/discard", "operator")
def discard(call: Call, params: Numbered, body: Why) -> Discarded:
    """Let a report rest for good."""
    with call.transaction("app") as db:
        done = failed.discard(db, [params.id], who=call.who, reason=body.reason)
    if not done:
        raise Refusal(404, "there is no such failed report")
    return Discarded(discarded=list(done))
