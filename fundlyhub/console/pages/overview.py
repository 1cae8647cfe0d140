"""The overview: what flows, what is late, what is broken, and where to mend it."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.responses import Response

from fundlyhub.console.access import Access
from fundlyhub.console.snapshots import Snapshot, Snapshots
from fundlyhub.console.visits import Page, Visit
from fundlyhub.monitoring.troubles import Trouble, troubles

LINKS = {
    "relay": "/", "queues": "/", "processors": "/processors", "dead letters": "/letters", "quarantine": "/streams",
    "breakers": "/breakers", "messages": "/messages", "streams": "/streams", "servers": "/",
}  # fmt: skip
"""The page that mends a trouble, by where it is."""


@dataclass(frozen=True, slots=True)
class Flow:
    """Rates of the last seconds and of the last hour, a second each, and the breakers' states."""

    published: float | None
    applied: float | None
    published_hour: list[float | None]
    applied_hour: list[float | None]
    breakers: dict[str, str]


@dataclass(frozen=True, slots=True)
class Linked:
    """A trouble with the address of the page that mends it."""

    sentence: str
    link: str
    kind: str


def overview(visit: Visit) -> Response:
    """The first page."""
    snapshot, found, flow = look(visit)
    template = "parts/overview.html" if visit.is_fragment else "overview.html"
    return visit.page(template, snapshot=snapshot, troubles=found, flow=flow)


def look(access: Access) -> tuple[Snapshot, list[Linked], Flow]:
    """The numbers of now, what is wrong, and what flows."""
    snapshots = access.site.snapshots
    snapshot = snapshots.now()
    return snapshot, [_linked(one) for one in troubles(snapshot.numbers, snapshot.missing)], _flow(snapshots, snapshot)


def _linked(one: Trouble) -> Linked:
    link = f"/processors/{one.processor}" if one.processor and one.where == "processors" else LINKS[one.where]
    return Linked(one.sentence, link, "bad" if one.is_urgent else "warn")


def _flow(snapshots: Snapshots, snapshot: Snapshot) -> Flow:
    head, applied = "fundlyhub_log_head_position", "fundlyhub_events_applied"
    states = {service: state for (service, state), is_it in snapshot.by("fundlyhub_breaker_state").items() if is_it}
    return Flow(snapshots.rate(head), snapshots.rate(applied), snapshots.rates(head), snapshots.rates(applied), states)


PAGES = [Page("/", overview)]
