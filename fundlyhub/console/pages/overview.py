"""The overview: what flows, what is late, what is broken, and where to mend it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.responses import Response

from fundlyhub.console.access import Access
from fundlyhub.console.snapshots import Snapshot, Snapshots
from fundlyhub.console.visits import Visit, page
from fundlyhub.monitoring.troubles import Trouble, Where, troubles

MENDS: Mapping[Where, tuple[str, str]] = {
    "relay": ("/", "start or restart `fundlyhub relay`"),
    "queues": ("/", "start a worker of the queue"),
    "processors": ("/processors", "look at it; pause or resume it"),
    "dead letters": ("/letters", "read, edit, replay or discard them"),
    "quarantine": ("/streams", "release or discard them"),
    "breakers": ("/breakers", "read the last error; close it when the service is well"),
    "messages": ("/messages", "look them up and settle them"),
    "delivery reports": ("/messages/reports", "apply them again or discard them"),
    "streams": ("/streams", "start or restart `fundlyhub ingest`"),
    "servers": ("/", "start it, or read its log"),
}
"""The page that mends a trouble and what one does about it, by where it is."""
SLOWEST = 4
"""Processors whose events wait longest that are named."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A processor's events that wait, and the age of the oldest in seconds."""

    processor: str
    events: float
    oldest: float


@dataclass(frozen=True, slots=True)
class Flow:
    """Rates of the last seconds and of the last hour, a second each, the breakers' states, and what waits.

    ``letters_hour`` are the open dead letters of the last hour, a number a minute, the oldest first.
    """

    published: float | None
    applied: float | None
    published_hour: list[float | None]
    applied_hour: list[float | None]
    breakers: dict[str, str]
    slowest: list[Waiting]
    letters_hour: list[float | None]


@dataclass(frozen=True, slots=True)
class Linked:
    """A trouble with the address of the page that mends it, and what one does there."""

    where: Where
    sentence: str
    link: str
    kind: str
    mend: str


@page("/")
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
    link, mend = MENDS[one.where]
    if one.processor:
        link = f"/letters?processor={one.processor}" if one.where == "dead letters" else f"/processors/{one.processor}"
    return Linked(one.where, one.sentence, link, "bad" if one.is_urgent else "warn", mend)


def _flow(snapshots: Snapshots, snapshot: Snapshot) -> Flow:
    head, applied, letters = "fundlyhub_log_head_position", "fundlyhub_events_applied", "fundlyhub_dead_letters_open"
    states = {service: state for (service, state), is_it in snapshot.by("fundlyhub_breaker_state").items() if is_it}
    return Flow(
        snapshots.rate(head), snapshots.rate(applied), snapshots.rates(head), snapshots.rates(applied), states,
        _slowest(snapshot), [point.total(letters) or 0.0 for point in snapshots.points() if "log" not in point.missing],
    )  # fmt: skip


def _slowest(snapshot: Snapshot) -> list[Waiting]:
    events = snapshot.by("fundlyhub_events_waiting")
    found = [
        Waiting(name, events[name,], oldest)
        for (name,), oldest in snapshot.by("fundlyhub_events_waiting_seconds").items()
        if events.get((name,))
    ]
    return sorted(found, key=lambda one: -one.oldest)[:SLOWEST]
