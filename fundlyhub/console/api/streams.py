"""Streams that are taken into the log, and the entries of them that rest in quarantine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from fundlyhub.console.api.fields import Changed, Listed, Numbered, Page, Text, Unchanged, Why, all_of
from fundlyhub.console.api.routing import Call, route
from fundlyhub.console.pages.events import position_of
from fundlyhub.console.pages.streams import MOST, seen, status
from fundlyhub.database.audited import AuditEntry, Changes
from fundlyhub.streams import quarantine
from fundlyhub.streams.quarantine_model import Held, State


class Counted(BaseModel):
    """How many entries rest in quarantine; no more than ``most`` are counted."""

    open: int
    most: int


class Streams(BaseModel):
    """Of each stream how much waits, as `fundlyhub ingest status --json` has it; ``missing`` says why nobody knows."""

    group: str
    streams: Sequence[Mapping[str, Any]]
    missing: str | None
    quarantine: Counted


class Asked(Listed):
    """Which entries."""

    state: State = "open"
    stream: Text | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeEntry(Held):
    """An entry with all about it, as `fundlyhub ingest quarantine show --json` has it.

    ``fields`` are pairs of names and values, against a reason alone.
    """

    names: Sequence[str]
    fields: Sequence[tuple[str, str]] | None
    timeline: Sequence[AuditEntry]


@route("GET", "/streams")
def streams(call: Call) -> Streams:
    """Show what waits in each stream, and how many entries rest in quarantine."""
    found, missing = status(call)
    with call.transaction() as db:
        count = quarantine.count(db, most=MOST)
    group = call.site.settings.ingest_group
    return Streams(group=group, streams=found, missing=missing or None, quarantine=Counted(open=count, most=MOST))


@route("GET", "/quarantine")
def entries(call: Call, params: Asked) -> Page[Held]:
    """List entries in quarantine, the newest first."""
    before = position_of(params.page) if params.page else None
    with call.transaction() as db:
        found = quarantine.find(db, state=params.state, stream=params.stream, before=before, limit=params.limit)
    return Page[Held](items=found, next=str(found[-1].id) if len(found) == params.limit else None)


@route("GET", "/quarantine/{id}")
def entry(call: Call, params: Numbered) -> WholeEntry:
    """Show one entry and its history; without the values of its fields."""
    return _shown(seen(call, params.id))


@route("POST", "/quarantine/{id}/fields", "privacy")
def fields(call: Call, params: Numbered, body: Why) -> WholeEntry:
    """Show one entry with its fields. Who looked, and why, is recorded first."""
    return _shown(seen(call, params.id, reason=body.reason))


@route("POST", "/quarantine/{id}/release", "operator")
def release(call: Call, params: Numbered, body: Why) -> Changed:
    """Publish an entry after a fix. What cannot be an event yet stays, with its new reason."""
    with call.transaction() as db:
        return _changed(quarantine.release(db, [params.id], who=call.who, reason=body.reason))


@route("POST", "/quarantine/{id}/discard", "operator")
def discard(call: Call, params: Numbered, body: Why) -> Changed:
    """Let an entry rest for good. Nothing is deleted."""
    with call.transaction() as db:
        return _changed(quarantine.discard(db, [params.id], who=call.who, reason=body.reason))


def _changed(done: Changes) -> Changed:
    unchanged = [Unchanged(id=id, why=why) for id, why in done.unchanged.items()]
    return Changed(changed=list(done.changed), unchanged=unchanged)


def _shown(found: quarantine.Shown) -> WholeEntry:
    return WholeEntry(**all_of(found.held), names=found.names, fields=found.texts, timeline=found.timeline)
