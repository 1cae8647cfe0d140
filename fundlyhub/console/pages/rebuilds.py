"""Rebuilds: how far each is. Starting, comparing and exchanging is in ``rebuilding``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.responses import Response

from fundlyhub import rebuilds
from fundlyhub.console.access import Access
from fundlyhub.console.runs import Run
from fundlyhub.console.visits import Visit, page
from fundlyhub.database.faults import DATABASE_ERRORS
from fundlyhub.errors import FundlyHubError, WrongUse
from fundlyhub.observability.redaction import describe
from fundlyhub.processing.processor import Processor
from fundlyhub.processing.task_names import REBUILDS
from fundlyhub.rebuilds import Rebuild, Status
from fundlyhub.rebuilds.model import branches
from fundlyhub.rebuilds.refusals import exchanged_tables
from fundlyhub.rebuilds.rights import Rights, rights
from fundlyhub.settings import Branch, Settings
from fundlyhub.web.refusals import Refusal

KEPT = 100
"""Rebuilds of one database that a page lists at most."""
OF_VALUES = "comparison of values"
VALUES_KEPT = timedelta(minutes=15)
"""How long values that differ stay on the page of the visitor who asked for them, and in memory."""

Processors = Mapping[str, type[Processor]]


@dataclass(frozen=True, slots=True)
class Row:
    """A rebuild; ``status`` is that of a processor's newest one."""

    one: Rebuild
    status: Status | None


@dataclass(slots=True)
class Board:
    """The rebuilds whose tables are there, what our role may do in each database, and what cannot be read."""

    rows: list[Row] = field(default_factory=list)
    rights: dict[Branch, Rights] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def of(self, name: str) -> list[Row]:
        """Those of one processor, the newest first."""
        return [row for row in self.rows if row.one.processor == name]


@page("/rebuilds")
def listing(visit: Visit) -> Response:
    """All rebuilds, and the processors that can be rebuilt."""
    found = board(visit)
    if visit.is_fragment:
        return visit.page("parts/rebuilds.html", board=found, workers=workers(visit))
    able: dict[str, str] = {}
    unable: dict[str, str] = {}
    for name, cls in sorted(visit.site.processors.items()):
        why = refused(cls, visit.site.processors)
        (unable if why else able)[name] = why
    gone = list(ended(visit, visit.site.processors))[:KEPT]
    return visit.page("rebuilds.html", board=found, workers=workers(visit), able=able, unable=unable, ended=gone)


@page("/rebuilds/{processor}")
def one(visit: Visit) -> Response:
    """One processor's rebuild: its progress, or what can be done about it where that has changed."""
    name = visit.path("processor")
    cls = named(visit, name)
    found = board(visit)
    rows = found.of(name)
    newest, run = rows[0] if rows else None, newest_run(visit, name, rows)
    now = _fingerprint(rows, run)
    if visit.given("part") == "actions" and visit.given("known") == now:
        return Response(status_code=204)
    values: dict[str, Any] = {
        "name": name, "board": found, "rows": rows, "newest": newest, "run": run, "workers": workers(visit),
        "states": {row.one.state for row in rows}, "known": now, "rights": found.rights.get(cls.database),
        "why": refused(cls, visit.site.processors), "shows_values": run is not None and may_see_values(visit, run),
    }  # fmt: skip
    if visit.is_fragment:
        part = "rebuild_actions" if visit.given("part") == "actions" else "rebuild"
        return visit.page(f"parts/{part}.html", **values)
    return visit.page("rebuild.html", ended=list(ended(visit, {name: cls})), **values)


def board(access: Access) -> Board:
    """The rebuilds as they stand, read at most once a second for all tabs."""
    settings, processors = access.site.settings, access.site.processors
    return access.site.looks.get("rebuilds", lambda: read(settings, processors))


def read(settings: Settings, processors: Processors) -> Board:
    """Read the rebuilds of all databases; what one of them does not tell is missing, with the reason."""
    found = Board()
    for branch in branches(processors):
        here = {name: cls for name, cls in processors.items() if cls.database == branch}
        try:
            found.rights[branch] = rights(settings, branch)
            rows = rebuilds.listed(settings, here, limit=KEPT)
        except (FundlyHubError, *DATABASE_ERRORS) as error:
            found.missing[f"the {branch} database"] = describe(error)
            continue
        seen = {one.processor for one in rows} & here.keys()
        statuses = {name: status for name in seen if (status := _status(settings, here, name, found))}
        for one in rows:
            status = statuses.get(one.processor)
            found.rows.append(Row(one, status if status and status.rebuild.id == one.id else None))
    return found


def named(access: Access, name: str) -> type[Processor]:
    """The processor of a name. Raises Refusal if there is none."""
    if name not in access.site.processors:
        raise Refusal(404, "there is no such processor")
    return access.site.processors[name]


def refused(cls: type[Processor], processors: Processors) -> str:
    """Why a processor cannot be rebuilt; empty if it can."""
    try:
        exchanged_tables(cls, processors)
    except WrongUse as error:
        return str(error)
    return ""


def workers(access: Access) -> int | None:
    """How many workers consume the queue of rebuilds; None while the broker does not say."""
    known = access.site.snapshots.now().value("fundlyhub_queue_consumers", REBUILDS)
    return None if known is None else int(known)


def _status(settings: Settings, processors: Processors, name: str, found: Board) -> Status | None:
    try:
        return rebuilds.status(settings, processors, name)
    except (FundlyHubError, *DATABASE_ERRORS) as error:
        found.missing[f"the rebuild of {name}"] = describe(error)
        return None


def ended(access: Access, processors: Processors) -> Iterator[Rebuild]:
    """Rebuilds of these processors whose tables are gone, the newest first."""
    for branch in branches(processors):
        here = {name: cls for name, cls in access.site.processors.items() if cls.database == branch}
        try:
            found = rebuilds.listed(access.site.settings, here, dropped=True, limit=KEPT)
        except (FundlyHubError, *DATABASE_ERRORS):
            continue  # the board says so
        yield from (one for one in found if one.state == "dropped" and one.processor in processors)


def newest_run(access: Access, name: str, rows: list[Row]) -> Run | None:
    """The newest run about a processor. A comparison counts while the rebuild that it compared is there."""
    run = access.site.runs.of(name)
    if run is None or not run.is_over or not run.subject:
        return run
    forget_values(run, datetime.now(UTC))
    return run if rows and rows[0].one.id == run.subject and rows[0].one.state == "running" else None


def may_see_values(access: Access, run: Run) -> bool:
    """Whether values that a comparison found are for this request: they are for the one who asked alone."""
    return run.who == access.who and access.may("privacy")


def _fingerprint(rows: list[Row], run: Run | None) -> str:
    """Changes when something else can be done: the page's forms are drawn anew then, and at no other time."""
    newest = rows[0].status if rows else None
    parts = [row.one.state for row in rows] + ([newest.phase, str(bool(newest.findings))] if newest else [])
    if run is not None:
        parts += [run.key, run.what, str(run.done), str(run.is_over)]
    return "-".join(parts).replace(" ", ".") or "none"


def forget_values(run: Run, now: datetime) -> None:
    """Forget the examples of a comparison of values a while after it ended."""
    if run.kind == OF_VALUES and run.ended is not None and run.result and now - run.ended >= VALUES_KEPT:
        run.result = [replace(one, examples=()) for one in run.result]
