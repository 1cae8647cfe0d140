"""The processors: how far each is, and pausing and resuming one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from starlette.responses import Response

from fundlyhub.console.snapshots import Snapshot
from fundlyhub.console.visits import Page, Visit
from fundlyhub.processing import pauses
from fundlyhub.processing.pauses import Pause
from fundlyhub.web.refusals import Refusal

SPANS = {"15m": timedelta(minutes=15), "1h": timedelta(hours=1), "8h": timedelta(hours=8), "": None}
HISTORY = 50


@dataclass(frozen=True, slots=True)
class Row:
    """A processor with its numbers; ``queue`` is None for one of another release, ``rate`` is a second's."""

    name: str
    queue: str | None
    pause: Pause | None
    rate: float | None
    applied: float | None
    waiting: float | None
    oldest: float | None
    retrying: float | None
    dead: float


def processors(visit: Visit) -> Response:
    """All processors."""
    snapshot = visit.site.snapshots.now()
    with visit.transaction() as db:
        names, paused = pauses.registered(db, visit.site.processors), pauses.paused(db)
    rows = [_row(visit, snapshot, name, paused.get(name)) for name in names]
    template = "parts/processors.html" if visit.is_fragment else "processors.html"
    return visit.page(template, rows=rows, snapshot=snapshot)


def processor(visit: Visit) -> Response:
    """One processor, with its pauses so far."""
    name = visit.path("name")
    with visit.transaction() as db:
        _require(visit, name)
        paused = pauses.paused(db)
        history = pauses.history(db, name, limit=HISTORY)
    one = _row(visit, visit.site.snapshots.now(), name, paused.get(name))
    return visit.page("processor.html", one=one, history=history)


def pause(visit: Visit) -> Response:
    """Pause a processor, for a time or until somebody resumes it."""
    name, span = visit.path("name"), SPANS.get(visit.field("until"))
    if visit.field("until") not in SPANS:
        raise Refusal(400, "choose one of the offered times")
    with visit.transaction() as db:
        _require(visit, name)
        until = None if span is None else datetime.now(UTC) + span
        pauses.pause_by_hand(db, name, who=visit.who, reason=visit.field("reason"), until=until)
    return visit.go(f"/processors/{name}", f"{name} is paused.")


def resume(visit: Visit) -> Response:
    """Resume a processor, even if it paused itself."""
    name = visit.path("name")
    with visit.transaction() as db:
        _require(visit, name)
        done = pauses.end_by_hand(db, name, who=visit.who, reason=visit.field("reason") or "by hand")
    return visit.go(f"/processors/{name}", f"{name} is {'resumed' if done else 'not paused'}.")


def _require(visit: Visit, name: str) -> None:
    with visit.transaction() as db:
        if name not in pauses.registered(db, visit.site.processors):
            raise Refusal(404, "there is no such processor")


def _row(visit: Visit, snapshot: Snapshot, name: str, pause: Pause | None) -> Row:
    known = visit.site.processors.get(name)
    dead = sum(letters for (one, _), letters in snapshot.by("fundlyhub_dead_letters_open").items() if one == name)
    return Row(
        name, known.queue if known else None, pause, visit.site.snapshots.rate("fundlyhub_events_applied", name),
        snapshot.value("fundlyhub_events_applied", name), snapshot.value("fundlyhub_events_waiting", name),
        snapshot.value("fundlyhub_events_waiting_seconds", name), snapshot.value("fundlyhub_events_retrying", name),
        dead,
    )  # fmt: skip


PAGES = [
    Page("/processors", processors),
    Page("/processors/{name}", processor),
    Page("/processors/{name}/pause", pause, "operator", "POST"),
    Page("/processors/{name}/resume", resume, "operator", "POST"),
]
