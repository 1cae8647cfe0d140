"""Streams that are taken into the log, and the entries of them that rest in quarantine."""

from __future__ import annotations

from typing import Any, get_args

from starlette.responses import Response

from fundlyhub.console.access import Access
from fundlyhub.console.visits import Visit, page
from fundlyhub.database.audited import UNKNOWN, reasoned
from fundlyhub.database.disclosed import note
from fundlyhub.errors import Unavailable, WrongState, WrongUse
from fundlyhub.settings import Settings
from fundlyhub.streams import quarantine
from fundlyhub.streams.ingest import stream_names
from fundlyhub.streams.quarantine import Shown
from fundlyhub.streams.quarantine_model import State
from fundlyhub.streams.reader import client_of
from fundlyhub.streams.status import stream_status
from fundlyhub.web.refusals import Refusal

ROWS = 50
MOST = 10_000


@page("/streams")
def streams(visit: Visit) -> Response:
    """The streams, and a page of the quarantine."""
    found, missing = status(visit)
    if visit.is_fragment:
        return visit.page("parts/streams.html", streams=found, missing=missing, group=_group(visit))
    state, stream = _state(visit.given("state")), visit.given("stream")[:200] or None
    with visit.transaction() as db:
        held = quarantine.find(db, state=state, stream=stream, before=visit.given_number("before"), limit=ROWS)
        count = quarantine.count(db, state=state, stream=stream, most=MOST)
    return visit.page(
        "streams.html", streams=found, missing=missing, group=_group(visit), held=held, count=count, most=MOST,
        state=state, stream=stream or "", states=get_args(State), next=held[-1].id if len(held) == ROWS else None,
    )  # fmt: skip


@page("/streams/quarantine/{id}")
def entry(visit: Visit) -> Response:
    """One entry in quarantine, without the values of its fields."""
    return _entry(visit)


@page("/streams/quarantine/{id}/fields", "privacy", "POST")
def revealed(visit: Visit) -> Response:
    """The same with its fields, which may be people's data: the look is recorded first."""
    return _entry(visit, reason=visit.field("reason"))


@page("/streams/quarantine/{id}/release", "operator", "POST")
def release(visit: Visit) -> Response:
    """Publish an entry after a fix. What cannot be an event yet stays, with its new reason."""
    id = visit.number("id")
    with visit.transaction() as db:
        done = quarantine.release(db, [id], who=visit.who, reason=visit.field("reason"))
    if id in done.changed:
        return visit.go(f"/streams/quarantine/{id}", f"Entry {id} is an event now.")
    return _unchanged(visit, id, done.unchanged[id])


@page("/streams/quarantine/{id}/discard", "operator", "POST")
def discard(visit: Visit) -> Response:
    """Let an entry rest for good. Nothing is deleted."""
    id = visit.number("id")
    with visit.transaction() as db:
        done = quarantine.discard(db, [id], who=visit.who, reason=visit.field("reason"))
    if id in done.changed:
        return visit.go(f"/streams/quarantine/{id}", f"Entry {id} is discarded.")
    return _unchanged(visit, id, done.unchanged[id])


def _unchanged(visit: Visit, id: int, why: str) -> Response:
    if why == UNKNOWN:
        raise Refusal(404, "there is no such entry in quarantine")
    said = f"Entry {id} is {why} already." if why in get_args(State) else f"Entry {id} stays: {why}"
    return visit.go(f"/streams/quarantine/{id}", said)


def _entry(visit: Visit, *, reason: str | None = None) -> Response:
    found = seen(visit, visit.number("id"), reason=reason)
    return visit.page("quarantined.html", found=found, one=found.held)


def seen(access: Access, id: int, *, reason: str | None = None) -> Shown:
    """One entry in quarantine. With a reason, which the audit keeps first, the values of its fields too."""
    if reason is not None:
        reason = reasoned(reason)
        with access.transaction() as db:
            note(db, who=access.who, command="console: quarantine", what=f"entry {id} in quarantine: {reason}")
    with access.transaction() as db:
        try:
            return quarantine.show(db, id, fields=reason is not None)
        except WrongState as error:
            raise Refusal(404, str(error)) from None


def status(access: Access) -> tuple[list[dict[str, Any]], str]:
    """Of each stream how much waits, read at most once a second for all tabs; or why nobody can tell."""
    settings = access.site.settings
    return access.site.looks.get("streams", lambda: _read(settings))


def _read(settings: Settings) -> tuple[list[dict[str, Any]], str]:
    try:
        with client_of(settings.streams) as client:
            return stream_status(client, stream_names(settings), settings.ingest_group), ""
    except (Unavailable, WrongUse) as error:
        return [], str(error)


def _group(visit: Visit) -> str:
    return visit.site.settings.ingest_group


def _state(text: str) -> State:
    return next((one for one in get_args(State) if one == text), "open")
