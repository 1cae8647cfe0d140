"""Dead letters: groups of one fault, the letters of a group, and one letter with all about it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from starlette.responses import Response

from fundlyhub.console.access import Access
from fundlyhub.console.choosing import FIELDS, STATES, after, options, parameters, wanted
from fundlyhub.console.visits import Visit, page
from fundlyhub.database import disclosed
from fundlyhub.database.audited import reasoned
from fundlyhub.errors import WrongState
from fundlyhub.processing import dead_letters
from fundlyhub.processing.dead_letters import Faults, Filter, Group, Harm, Letter, Shown, State
from fundlyhub.web.refusals import Refusal

GROUPS = 200
COUNTED = 100_000
"""Letters that are counted for the page of groups at most."""
LISTED = 50
LOOKED_AT = 1_000
"""Letters of a group of which it is counted what waits behind them."""


@page("/letters")
def groups(visit: Visit) -> Response:
    """All faults, the one with the most letters first."""
    found, is_all = faults(visit, wanted(visit))
    template = "parts/letter_groups.html" if visit.is_fragment else "letters.html"
    return visit.page(template, groups=found, is_all=is_all, counted=COUNTED, **_filters(visit))


@page("/letters/list")
def letters(visit: Visit) -> Response:
    """Letters of a filter, as a rule of one fault, the newest failure first."""
    filter = wanted(visit)
    found, more = listed(visit, filter, LISTED)
    is_group = bool(filter.fingerprint and not filter.before and found)
    waiting, things = behind(visit, filter) if is_group else (None, [])
    return visit.page(
        "letter_list.html", letters=found, more=more, harm=waiting, things=things, most=LOOKED_AT, **_filters(visit)
    )


@page("/letters/{letter}")
def letter(visit: Visit) -> Response:
    """One letter."""
    return show(visit)


@page("/letters/{letter}/payload", "privacy", "POST")
def reveal(visit: Visit) -> Response:
    """The same with payload and metadata, after a line in the audit says who asked, and why."""
    return show(visit, reason=visit.field("reason"))


def show(visit: Visit, *, reason: str | None = None) -> Response:
    """The page of one letter. Raises Refusal if there is none."""
    found, others = seen(visit, visit.number("letter"), reason=reason)
    return visit.page("letter.html", one=found.letter, found=found, others=others)


def faults(access: Access, filter: Filter) -> tuple[Sequence[Group], bool]:
    """The faults of a filter, the one with the most letters first; and whether these are all, with all letters.

    All letters of a state are counted at once, for all tabs and all filters, and the counts are kept for a while.
    """
    if filter.fingerprint is not None:
        with access.transaction() as db:
            filter = dead_letters.in_full(db, filter)
    counted = access.site.looks.get(("faults", filter.state), partial(_count, access, filter.state or "open"))
    is_plain = filter.aggregate_id is None and filter.aggregate_type is None
    if filter == Filter(state=filter.state) or (counted.is_all and is_plain):
        found: Sequence[Group] = counted.groups(filter)
        is_all = counted.is_all
    else:
        found = access.site.looks.get(("faults", filter), partial(_group, access, filter))
        is_all = sum(one.letters for one in found) < COUNTED
    return found[:GROUPS], is_all and len(found) <= GROUPS


def _count(access: Access, state: State) -> Faults:
    with access.transaction() as db:
        counted = dead_letters.count_faults(db, state, most=COUNTED, known=access.site.faults.get(state))
    access.site.faults[state] = counted
    return counted


def _group(access: Access, filter: Filter) -> Sequence[Group]:
    """The faults of a filter that needs a look of its own."""
    with access.transaction() as db:
        return dead_letters.groups(db, filter, limit=GROUPS + 1, most=COUNTED)


def behind(access: Access, filter: Filter) -> tuple[Harm, Sequence[tuple[str, int]]]:
    """What waits behind the letters of a group: people, campaigns and money, and things by kind; kept for a minute."""

    def read() -> tuple[Harm, Sequence[tuple[str, int]]]:
        with access.transaction() as db:
            wanted = dead_letters.in_full(db, filter)
            return dead_letters.harm_of(db, wanted, most=LOOKED_AT), dead_letters.things(db, wanted, most=LOOKED_AT)

    return access.site.minutes.get(("behind", filter), read)


def listed(access: Access, filter: Filter, limit: int) -> tuple[Sequence[Letter], str | None]:
    """Letters of a filter, and the parameter ``before`` of the page that comes after them."""
    with access.transaction() as db:
        found = dead_letters.find(db, dead_letters.in_full(db, filter), limit=limit)
    return found, after(found[-1]) if len(found) == limit else None


def seen(access: Access, id: int, *, reason: str | None = None) -> tuple[Shown, Sequence[int]]:
    """One letter, and the others of its event. With a reason, which the audit keeps first, its payload too."""
    require(access, id)
    if reason is not None:
        with access.transaction() as db:
            what = f"dead letter {id}: {reasoned(reason)}"
            disclosed.note(db, who=access.who, command="console letters", what=what)
    with access.transaction() as db:
        return dead_letters.show(db, id, payload=reason is not None), dead_letters.neighbours(db, id)


def require(access: Access, id: int) -> None:
    """Raise Refusal if there is no such letter."""
    with access.transaction() as db:
        try:
            dead_letters.show(db, id)
        except WrongState as error:
            raise Refusal(404, str(error)) from None


def _filters(visit: Visit) -> dict[str, Any]:
    given = {name: visit.given(name) for name in (*FIELDS, "state")}
    return {"given": given, "states": STATES, "options": options(visit), "parameters": parameters(visit)}
