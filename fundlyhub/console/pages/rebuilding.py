"""Acting on rebuilds: start, compare, exchange, go back, and drop. Only where the console's database role may."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from starlette.responses import Response

from fundlyhub import rebuilds
from fundlyhub.console.pages.rebuilds import OF_VALUES, board, named
from fundlyhub.console.runs import Run
from fundlyhub.console.visits import Page, Visit
from fundlyhub.database.audited import reasoned
from fundlyhub.errors import WrongUse
from fundlyhub.rebuilds.comparing import note_values
from fundlyhub.rebuilds.rights import rights
from fundlyhub.web.refusals import Refusal

FASTEST = 1_000_000
"""Events a second that a rate may name."""


def start(visit: Visit) -> Response:
    """Begin to rebuild; workers fill the tables."""
    name = _allowed(visit, "start")
    one = rebuilds.start(visit.site.settings, visit.site.processors, name, who=visit.who, rate=_rate(visit))
    return _back(visit, name, f"{name} is being rebuilt, up to position {one.up_to:,} and then with the log.")


def compare(visit: Visit) -> Response:
    """Begin to compare the rebuilt tables with the live ones: numbers of rows, and examples by their ids."""
    return _compare(visit, "comparison", values=False)


def compare_values(visit: Visit) -> Response:
    """The same with all values that differ, which may be about people: who asked is recorded first."""
    name, reason = _allowed(visit, "diff"), reasoned(visit.field("reason"))
    with visit.transaction() as db:
        note_values(db, name, who=visit.who, command="console: rebuild diff", reason=reason)
    return _compare(visit, OF_VALUES, values=True)


def swap(visit: Visit) -> Response:
    """Begin to put the rebuilt tables in the place of the live ones."""
    return _exchange(visit, "swap", rebuilds.swap)


def undo(visit: Visit) -> Response:
    """Begin to put the former tables back in their place."""
    return _exchange(visit, "undo", rebuilds.undo)


def cancel(visit: Visit) -> Response:
    """End a rebuild that was not put in place."""
    name = _allowed(visit, "cancel")
    rebuilds.cancel(visit.site.settings, visit.site.processors, name, who=visit.who)
    return _back(visit, name, f"The rebuild of {name} is cancelled, and its tables are gone.")


def prune(visit: Visit) -> Response:
    """Drop the tables that an exchange has left."""
    name = _allowed(visit, "prune")
    rebuilds.prune(visit.site.settings, visit.site.processors, name, who=visit.who)
    return _back(visit, name, f"The tables that the rebuild of {name} had left are gone.")


def _compare(visit: Visit, kind: str, *, values: bool) -> Response:
    name, site = _allowed(visit, "diff"), visit.site

    def work(_: Run) -> Any:
        return rebuilds.diff(site.settings, site.processors, name, values=values)

    rows = board(visit).of(name)
    site.runs.start(Run(kind, name, visit.who, rows[0].one.id if rows else 0), work)
    return _back(visit, name)


def _exchange(visit: Visit, verb: str, exchange: Callable[..., rebuilds.Exchanged]) -> Response:
    name, site, who = _allowed(visit, verb), visit.site, visit.who
    despite = visit.field("despite") == "yes"
    begin = partial(exchange, site.settings, site.processors, name, who=who, despite_findings=despite)

    def work(run: Run) -> Any:
        try:
            return begin(tell=run.tell)
        finally:
            site.looks.forget()

    site.runs.start(Run(verb, name, who), work)
    return _back(visit, name)


def _allowed(visit: Visit, verb: str) -> str:
    """The processor. Raises Refusal where the database role may not do what is asked, with the command to run."""
    name, cls = named(visit)
    ours = rights(visit.site.settings, cls.database)
    if not ours.is_owner:
        raise Refusal(
            409, f"the console's database role {ours.role} makes no schemas and owns no tables: run "
                 f"`fundlyhub rebuild {verb} {name}` as the owner's role",
        )  # fmt: skip
    return name


def _back(visit: Visit, name: str, said: str = "") -> Response:
    visit.site.looks.forget()
    return visit.go(f"/rebuilds/{name}", said)


def _rate(visit: Visit) -> int | None:
    text = visit.field("rate")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= FASTEST):
        raise WrongUse(f"a rate is a number of events per second, of at most {FASTEST:,}")
    return int(text)


_POSTS: tuple[tuple[str, Callable[[Visit], Response]], ...] = (
    ("start", start), ("diff", compare), ("swap", swap), ("undo", undo), ("cancel", cancel), ("prune", prune),
)  # fmt: skip
PAGES = [
    *(Page(f"/rebuilds/{{processor}}/{verb}", handler, "operator", "POST") for verb, handler in _POSTS),
    Page("/rebuilds/{processor}/values", compare_values, "privacy", "POST"),
]
