"""Acting on rebuilds: start, compare, exchange, go back, and drop. Only where the console's database role may."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

from starlette.responses import Response

from fundlyhub import rebuilds
from fundlyhub.console.access import Access
from fundlyhub.console.pages.rebuilds import OF_VALUES, board, named
from fundlyhub.console.runs import Run
from fundlyhub.console.visits import Visit, page
from fundlyhub.database.audited import reasoned
from fundlyhub.database.console_audit import note_rebuild
from fundlyhub.errors import WrongUse
from fundlyhub.rebuilds import Rebuild
from fundlyhub.rebuilds.comparing import note_values
from fundlyhub.rebuilds.rights import rights
from fundlyhub.web.refusals import Refusal

FASTEST = 1_000_000
"""Events a second that a rate may name."""


@page("/rebuilds/{processor}/start", "operator", "POST")
def start(visit: Visit) -> Response:
    """Begin to rebuild; workers fill the tables."""
    name = visit.path("processor")
    one = begin(visit, name, _rate(visit), visit.field("reason"))
    return _back(visit, f"{name} is being rebuilt, up to position {one.up_to:,} and then with the log.")


@page("/rebuilds/{processor}/diff", "operator", "POST", asks_why=False)
def compare(visit: Visit) -> Response:
    """Begin to compare the rebuilt tables with the live ones: numbers of rows, and examples by their ids."""
    begin_comparison(visit, visit.path("processor"))
    return _back(visit)


@page("/rebuilds/{processor}/values", "privacy", "POST")
def compare_values(visit: Visit) -> Response:
    """The same with all values that differ, which may be about people: who asked is recorded first."""
    begin_comparison_of_values(visit, visit.path("processor"), visit.field("reason"))
    return _back(visit)


@page("/rebuilds/{processor}/swap", "operator", "POST")
def swap(visit: Visit) -> Response:
    """Begin to put the rebuilt tables in the place of the live ones."""
    return _exchange(visit, "swap")


@page("/rebuilds/{processor}/undo", "operator", "POST")
def undo(visit: Visit) -> Response:
    """Begin to put the former tables back in their place."""
    return _exchange(visit, "undo")


@page("/rebuilds/{processor}/cancel", "operator", "POST")
def cancel(visit: Visit) -> Response:
    """End a rebuild that was not put in place."""
    one = end(visit, "cancel", visit.path("processor"), visit.field("reason"))
    return _back(visit, f"The rebuild of {one.processor} is cancelled, and its tables are gone.")


@page("/rebuilds/{processor}/prune", "operator", "POST")
def prune(visit: Visit) -> Response:
    """Drop the tables that an exchange has left."""
    one = end(visit, "prune", visit.path("processor"), visit.field("reason"))
    return _back(visit, f"The tables that the rebuild of {one.processor} had left are gone.")


def begin(access: Access, name: str, rate: int | None, reason: str) -> Rebuild:
    """Begin to rebuild, with at most ``rate`` events a second. Raises Refusal, WrongUse and WrongState.

    Here and below the audit keeps first who asks, and why: also where it then turns out that it cannot be.
    """
    _asked(access, "start", name, reason)
    one = rebuilds.start(access.site.settings, access.site.processors, name, who=access.who, rate=rate)
    access.site.forget()
    return one


def begin_comparison(access: Access, name: str) -> Run:
    """Begin to compare, beside the request. Raises Refusal, and WrongState while something else runs about it."""
    _require_owner(access, "diff", name)
    return _compare(access, "comparison", name, values=False)


def begin_comparison_of_values(access: Access, name: str, reason: str) -> Run:
    """The same with values: the request and its reason are recorded first. Raises WrongUse without a reason."""
    _require_owner(access, "diff", name)
    reason = reasoned(reason)
    with access.transaction() as db:
        note_values(db, name, who=access.who, command="console: rebuild diff", reason=reason)
    return _compare(access, OF_VALUES, name, values=True)


def begin_exchange(
    access: Access, verb: Literal["swap", "undo"], name: str, reason: str, *, despite_findings: bool
) -> Run:
    """Begin to exchange tables, beside the request. Raises Refusal, and WrongState as a comparison does."""
    _asked(access, verb, name, reason)
    site, exchange = access.site, rebuilds.swap if verb == "swap" else rebuilds.undo
    go = partial(exchange, site.settings, site.processors, name, who=access.who, despite_findings=despite_findings)

    def work(run: Run) -> Any:
        try:
            return go(tell=run.tell)
        finally:
            site.forget()

    return _begun(access, Run(verb, name, access.who), work)


def end(access: Access, verb: Literal["cancel", "prune"], name: str, reason: str) -> Rebuild:
    """Drop what a rebuild has made, or what an exchange has left. Raises Refusal, and WrongState if there is none."""
    _asked(access, verb, name, reason)
    drop = rebuilds.cancel if verb == "cancel" else rebuilds.prune
    one = drop(access.site.settings, access.site.processors, name, who=access.who)
    access.site.forget()
    return one


def _compare(access: Access, kind: str, name: str, *, values: bool) -> Run:
    site = access.site

    def work(_: Run) -> Any:
        return rebuilds.diff(site.settings, site.processors, name, values=values)

    rows = board(access).of(name)
    return _begun(access, Run(kind, name, access.who, rows[0].one.id if rows else 0), work)


def _begun(access: Access, run: Run, work: Callable[[Run], Any]) -> Run:
    access.site.runs.start(run, work)
    access.site.forget()
    return run


def _asked(access: Access, verb: str, name: str, reason: str) -> None:
    """Keep who asks for what, and why. Raises Refusal as below, and WrongUse without a reason."""
    _require_owner(access, verb, name)
    with access.transaction() as db:
        note_rebuild(db, verb, name, who=access.who, reason=reason)


def _require_owner(access: Access, verb: str, name: str) -> None:
    """Raise Refusal where the database role may not do what is asked, with the command to run."""
    ours = rights(access.site.settings, named(access, name).database)
    if not ours.is_owner:
        raise Refusal(
            409, f"the console's database role {ours.role} makes no schemas and owns no tables: run "
                 f"`fundlyhub rebuild {verb} {name}` as the owner's role",
        )  # fmt: skip


def _exchange(visit: Visit, verb: Literal["swap", "undo"]) -> Response:
    name, despite = visit.path("processor"), visit.field("despite") == "yes"
    begin_exchange(visit, verb, name, visit.field("reason"), despite_findings=despite)
    return _back(visit)


def _back(visit: Visit, said: str = "") -> Response:
    return visit.go(f"/rebuilds/{visit.path('processor')}", said)


def _rate(visit: Visit) -> int | None:
    text = visit.field("rate")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= FASTEST):
        raise WrongUse(f"a rate is a number of events per second, of at most {FASTEST:,}")
    return int(text)
