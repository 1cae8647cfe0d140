"""Dead letters: groups of one fault, the letters of a group, and one letter with all about it."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from fundlyhub.console.choosing import FIELDS, STATES, after, options, parameters, wanted
from fundlyhub.console.visits import Page, Visit
from fundlyhub.database import disclosed
from fundlyhub.database.audited import reasoned
from fundlyhub.errors import WrongState
from fundlyhub.processing import dead_letters
from fundlyhub.web.refusals import Refusal

GROUPS = 200
COUNTED = 100_000
"""Letters that are counted for the page of groups at most."""
LISTED = 50
LOOKED_AT = 10_000
"""Letters of a group whose things are counted."""


def groups(visit: Visit) -> Response:
    """All faults, the one with the most letters first."""
    filter = wanted(visit)
    with visit.transaction() as db:
        filter = dead_letters.in_full(db, filter)
        found = dead_letters.groups(db, filter, limit=GROUPS, most=COUNTED)
    template = "parts/letter_groups.html" if visit.is_fragment else "letters.html"
    is_all = len(found) < GROUPS and sum(one.letters for one in found) < COUNTED
    return visit.page(template, groups=found, is_all=is_all, counted=COUNTED, **_filters(visit))


def letters(visit: Visit) -> Response:
    """Letters of a filter, as a rule of one fault, the newest failure first."""
    filter = wanted(visit)
    with visit.transaction() as db:
        filter = dead_letters.in_full(db, filter)
        found = dead_letters.find(db, filter, limit=LISTED)
        behind = dead_letters.things(db, filter, most=LOOKED_AT) if filter.fingerprint and not filter.before else []
    more = after(found[-1]) if len(found) == LISTED else None
    return visit.page("letter_list.html", letters=found, more=more, behind=behind, most=LOOKED_AT, **_filters(visit))


def letter(visit: Visit) -> Response:
    """One letter."""
    return show(visit)


def reveal(visit: Visit) -> Response:
    """The same with payload and metadata, after a line in the audit says who asked, and why."""
    require(visit)
    reason = reasoned(visit.field("reason"))
    with visit.transaction() as db:
        what = f"dead letter {visit.number('letter')}: {reason}"
        disclosed.note(db, who=visit.who, command="console letters", what=what)
    return show(visit, payload=True)


def show(visit: Visit, *, payload: bool = False) -> Response:
    """The page of one letter. Raises Refusal if there is none."""
    id = visit.number("letter")
    require(visit)
    with visit.transaction() as db:
        found = dead_letters.show(db, id, payload=payload)
        others = dead_letters.neighbours(db, id)
    return visit.page("letter.html", one=found.letter, found=found, others=others)


def require(visit: Visit) -> None:
    """Raise Refusal if there is no such letter."""
    with visit.transaction() as db:
        try:
            dead_letters.show(db, visit.number("letter"))
        except WrongState as error:
            raise Refusal(404, str(error)) from None


def _filters(visit: Visit) -> dict[str, Any]:
    given = {name: visit.given(name) for name in (*FIELDS, "state")}
    return {"given": given, "states": STATES, "options": options(visit), "parameters": parameters(visit)}


PAGES = [
    Page("/letters", groups),
    Page("/letters/list", letters),
    Page("/letters/{letter}", letter),
    Page("/letters/{letter}/payload", reveal, "privacy", "POST"),
]
