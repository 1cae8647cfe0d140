"""Rebuilds of processors' tables: how far each is, what one would change, and every action on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from fundlyhub import rebuilds
from fundlyhub.console import runs
from fundlyhub.console.api.fields import Given, Text, Why, all_of
from fundlyhub.console.api.routing import Call, route
from fundlyhub.console.pages import rebuilding
from fundlyhub.console.pages.rebuilds import KEPT, OF_VALUES, Row, board, ended, may_see_values, named, newest_run
from fundlyhub.console.pages.rebuilds import refused as why_not
from fundlyhub.console.pages.rebuilds import workers as workers_now
from fundlyhub.rebuilds import Unapplied

_LOOK = "/rebuilds/{processor}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RebuildProgress(rebuilds.Rebuild):
    """A rebuild as `fundlyhub rebuild status --json` has it; how far it is, is known of a processor's newest alone."""

    phase: str | None = None
    positions: int | None = None
    of: int | None = None
    claims: int | None = None
    behind: int | None = None
    seconds: float | None = None
    per_second: float | None = None
    seconds_left: float | None = None
    findings: Sequence[Unapplied] = ()
    findings_total: int | None = None
    workers: int | None = None


class Rebuilds(BaseModel):
    """Rebuilds, the newest of each database first.

    ``refused`` says why processors cannot be rebuilt; ``missing`` of each source that does not answer why.
    """

    items: list[RebuildProgress]
    refused: Mapping[str, str]
    missing: Mapping[str, str]


class Example(BaseModel):
    """A row that differs. Without values these are ids and whole numbers alone."""

    kind: str
    key: Mapping[str, Any]
    columns: Sequence[str]
    rebuilt: Mapping[str, Any] | None
    live: Mapping[str, Any] | None


class Difference(BaseModel):
    """What a swap would change in one table, as `fundlyhub rebuild diff --json` has it."""

    table: str
    added: int
    gone: int
    changed: int
    examples: Sequence[Example]


class Run(BaseModel):
    """A comparison or an exchange, which runs beside requests: how far it is, and how it ended.

    ``failed`` says why it has no result. ``differences`` is the result of a comparison: values of one that was for
    them are shown to the token that asked alone, for 15 minutes. ``exchanged`` is that of a swap or an undoing, as
    `fundlyhub rebuild swap --json` has it.
    """

    key: str
    kind: str
    processor: str
    who: str
    began: datetime
    ended: datetime | None
    what: str
    done: int
    of: int
    is_over: bool
    failed: str | None
    differences: list[Difference] | None
    exchanged: Mapping[str, Any] | None


class OfProcessor(BaseModel):
    """A processor's rebuilds, the newest first, and the newest comparison or exchange.

    ``refused`` says why it cannot be rebuilt. ``restricted`` names the console's database role where that may not act:
    act as the owner's, by the command line.
    """

    processor: str
    rebuilds: list[RebuildProgress]
    run: Run | None
    refused: str | None
    restricted: str | None
    missing: Mapping[str, str]


class Asked(Given):
    """``all``: also those whose tables are gone."""

    all: bool = False


class One(Given):
    """The name of a processor."""

    processor: Text


class Starting(Why):
    """Why, and at most how many events a second."""

    rate: Annotated[int | None, Field(ge=1, le=rebuilding.FASTEST)] = None


class Exchanging(Why):
    """Why. With ``despite_findings`` also where claimed events could not be applied: their effects are gone."""

    despite_findings: bool = False


@route("GET", "/rebuilds")
def listing(call: Call, params: Asked) -> Rebuilds:
    """List the rebuilds whose tables are there, with their progress and findings."""
    found, processors = board(call), call.site.processors
    items = [_shown(row, workers_now(call)) for row in found.rows]
    if params.all:
        items += [RebuildProgress(**all_of(one)) for one in list(ended(call, processors))[:KEPT]]
    refused = {name: why for name, cls in sorted(processors.items()) if (why := why_not(cls, processors))}
    return Rebuilds(items=items, refused=refused, missing=found.missing)


@route("GET", _LOOK)
def one(call: Call, params: One) -> OfProcessor:
    """Show a processor's rebuilds, and how far the newest comparison or exchange is, or how it ended."""
    name, found = params.processor, board(call)
    cls = named(call, name)
    rows, rights = found.of(name), found.rights.get(cls.database)
    run, gone = newest_run(call, name, rows), ended(call, {name: cls})
    return OfProcessor(
        processor=name, run=None if run is None else _run(call, run),
        rebuilds=[_shown(row, workers_now(call)) for row in rows] + [RebuildProgress(**all_of(one)) for one in gone],
        refused=why_not(cls, call.site.processors) or None, missing=found.missing,
        restricted=rights.role if rights and not rights.is_owner else None,
    )  # fmt: skip


@route("POST", "/rebuilds/{processor}/start", "operator", begins=_LOOK)
def start(call: Call, params: One, body: Starting) -> rebuilds.Rebuild:
    """Begin to rebuild a processor's tables beside the live ones; workers of the queue rebuilds fill them."""
    return rebuilding.begin(call, params.processor, body.rate, body.reason)


@route("POST", "/rebuilds/{processor}/diff", "operator", begins=_LOOK)
def diff(call: Call, params: One) -> Run:
    """Begin to compare the rebuilt tables with the live ones: numbers of rows, and examples by their ids."""
    return _run(call, rebuilding.begin_comparison(call, params.processor))


@route("POST", "/rebuilds/{processor}/values", "privacy", begins=_LOOK)
def values(call: Call, params: One, body: Why) -> Run:
    """Begin to compare, with all values that differ, maybe of people. Who asked, and why, is recorded first."""
    return _run(call, rebuilding.begin_comparison_of_values(call, params.processor, body.reason))


@route("POST", "/rebuilds/{processor}/swap", "operator", begins=_LOOK)
def swap(call: Call, params: One, body: Exchanging) -> Run:
    """Begin to put the rebuilt tables in the place of the live ones, which are kept."""
    return _exchange(call, "swap", params, body)


@route("POST", "/rebuilds/{processor}/undo", "operator", begins=_LOOK)
def undo(call: Call, params: One, body: Exchanging) -> Run:
    """Begin to put the former tables back in their place, with all that was claimed since."""
    return _exchange(call, "undo", params, body)


@route("POST", "/rebuilds/{processor}/cancel", "operator")
def cancel(call: Call, params: One, body: Why) -> rebuilds.Rebuild:
    """End a rebuild that was not put in place, and drop its tables."""
    return rebuilding.end(call, "cancel", params.processor, body.reason)


@route("POST", "/rebuilds/{processor}/prune", "operator")
def prune(call: Call, params: One, body: Why) -> rebuilds.Rebuild:
    """Drop the tables that an exchange has left; then there is nothing to go back to."""
    return rebuilding.end(call, "prune", params.processor, body.reason)


def _exchange(call: Call, verb: Literal["swap", "undo"], params: One, body: Exchanging) -> Run:
    despite = body.despite_findings
    return _run(call, rebuilding.begin_exchange(call, verb, params.processor, body.reason, despite_findings=despite))


def _shown(row: Row, workers: int | None) -> RebuildProgress:
    if row.status is None:
        return RebuildProgress(**all_of(row.one))
    status = row.status
    rest = {name: value for name, value in status.document().items() if name not in asdict(row.one)}
    return RebuildProgress(**all_of(row.one), **{**rest, "findings": status.listed, "workers": workers})


def _run(call: Call, run: runs.Run) -> Run:
    is_good, is_exchange = run.is_over and not run.failed, run.kind in ("swap", "undo")
    return Run(
        key=run.key, kind=run.kind, processor=run.about, who=run.who, began=run.began, ended=run.ended, what=run.what,
        done=run.done, of=run.of, is_over=run.is_over, failed=run.failed or None,
        differences=list(_differences(call, run)) if is_good and not is_exchange else None,
        exchanged=run.result.document() if is_good and is_exchange else None,
    )  # fmt: skip


def _differences(call: Call, run: runs.Run) -> Iterator[Difference]:
    """Of each table; without the values of rows where those are for somebody else."""
    hides = run.kind == OF_VALUES and not may_see_values(call, run)
    for one in run.result:
        document = one.document()
        if hides:
            document["examples"] = [{**row, "rebuilt": None, "live": None} for row in document["examples"]]
        yield Difference(**document)
