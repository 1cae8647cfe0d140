"""The processors: how far each is, and pausing and resuming one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import Field
from starlette.responses import Response

from fundlyhub.console.access import Access, Site
from fundlyhub.console.snapshots import Snapshot
from fundlyhub.console.visits import Visit, page
from fundlyhub.database.faults import DATABASE_ERRORS
from fundlyhub.monitoring.latency import Latency, latencies
from fundlyhub.processing import pauses
from fundlyhub.processing.pauses import Entry, Pause, Standing, standing
from fundlyhub.web.refusals import Refusal

SPANS = {"15m": timedelta(minutes=15), "1h": timedelta(hours=1), "8h": timedelta(hours=8), "": None}
HISTORY = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Processor(Standing):
    """A processor, as `fundlyhub processors list --json` has it, and its numbers of the moment."""

    applied: float | None
    applied_per_second: float | None
    waiting: float | None
    oldest_waiting_seconds: float | None
    retrying: float | None
    snoozed: float | None
    """Events that wait without having failed."""
    dead: float
    latency: Annotated[
        Latency | None,
        Field(description="Seconds from publication to effect, of the newest events; kept for a minute."),
    ]


@page("/processors")
def processors(visit: Visit) -> Response:
    """All processors."""
    template = "parts/processors.html" if visit.is_fragment else "processors.html"
    return visit.page(template, rows=rows(visit), snapshot=visit.site.snapshots.now())


@page("/processors/{name}")
def processor(visit: Visit) -> Response:
    """One processor, with its pauses so far."""
    one, history = row(visit, visit.path("name"))
    return visit.page("processor.html", one=one, history=history)


@page("/processors/{name}/pause", "operator", "POST")
def pause(visit: Visit) -> Response:
    """Pause a processor, for a time or until somebody resumes it."""
    name, span = visit.path("name"), SPANS.get(visit.field("until"))
    if visit.field("until") not in SPANS:
        raise Refusal(400, "choose one of the offered times")
    with visit.transaction() as db:
        require(visit, name)
        until = None if span is None else datetime.now(UTC) + span
        pauses.pause_by_hand(db, name, who=visit.who, reason=visit.field("reason"), until=until)
    visit.site.forget()
    return visit.go(f"/processors/{name}", f"{name} is paused.")


@page("/processors/{name}/resume", "operator", "POST")
def resume(visit: Visit) -> Response:
    """Resume a processor, even if it paused itself."""
    name = visit.path("name")
    with visit.transaction() as db:
        require(visit, name)
        done = pauses.end_by_hand(db, name, who=visit.who, reason=visit.field("reason"))
    visit.site.forget()
    return visit.go(f"/processors/{name}", f"{name} is {'resumed' if done else 'not paused'}.")


def rows(access: Access) -> list[Processor]:
    """All processors with their numbers."""
    snapshot = access.site.snapshots.now()
    with access.transaction() as db:
        names, paused = pauses.registered(db, access.site.processors), pauses.paused(db)
    return [_row(access.site, snapshot, name, paused.get(name)) for name in names]


def row(access: Access, name: str) -> tuple[Processor, Sequence[Entry]]:
    """One processor, and its last pauses. Raises Refusal if there is none of this name."""
    require(access, name)
    with access.transaction() as db:
        paused, history = pauses.paused(db), pauses.history(db, name, limit=HISTORY)
    return _row(access.site, access.site.snapshots.now(), name, paused.get(name)), history


def require(access: Access, name: str) -> None:
    """Raise Refusal if there is no processor of this name."""
    with access.transaction() as db:
        if name not in pauses.registered(db, access.site.processors):
            raise Refusal(404, "there is no such processor")


def _row(site: Site, snapshot: Snapshot, name: str, pause: Pause | None) -> Processor:
    known = site.processors.get(name)
    dead = sum(letters for (one, _), letters in snapshot.by("fundlyhub_dead_letters_open").items() if one == name)
    return Processor(
        **asdict(standing(name, known.queue if known else None, pause)),
        applied=snapshot.value("fundlyhub_events_applied", name),
        applied_per_second=site.snapshots.rate("fundlyhub_events_applied", name),
        waiting=snapshot.value("fundlyhub_events_waiting", name),
        oldest_waiting_seconds=snapshot.value("fundlyhub_events_waiting_seconds", name),
        retrying=snapshot.value("fundlyhub_events_retrying", name),
        snoozed=snapshot.value("fundlyhub_events_snoozed", name),
        dead=dead,
        latency=_latencies(site).get(name),
    )


def _latencies(site: Site) -> Mapping[str, Latency]:
    """Read at most once a minute; nothing while a database does not answer."""
    try:
        return site.minutes.get("latencies", lambda: latencies(site.processors))
    except DATABASE_ERRORS:
        return {}
