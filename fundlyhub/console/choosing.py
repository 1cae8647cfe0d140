"""Which dead letters a page means: a filter in its address, or ids that a form carries."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import get_args

from fundlyhub.console.visits import Visit
from fundlyhub.database.audited import UNKNOWN
from fundlyhub.errors import WrongUse
from fundlyhub.processing.dead_letters import Filter, Letter, State

STATES: tuple[State, ...] = get_args(State)
FIELDS = ("processor", "type", "error", "fingerprint", "aggregate")
"""The parameters of a filter, beside ``state``: each has the name of the command's option."""
MOST = 10_000
"""Letters that one decision is about at most."""


def wanted(visit: Visit) -> Filter:
    """The filter in the address. Raises WrongUse for a state that there is not."""
    given = {name: visit.given(name)[:200] for name in FIELDS}
    return as_filter(given, state(visit), visit.given("before"))


def as_filter(given: Mapping[str, str | None], state: State, page: str | None) -> Filter:
    """A filter of these FIELDS. Raises WrongUse for a page that there is not."""
    kind, _, thing = (given["aggregate"] or "").rpartition("/")
    return Filter(
        given["processor"] or None, given["type"] or None, given["error"] or None, given["fingerprint"] or None,
        aggregate_type=kind or None, aggregate_id=thing or None, state=state, before=_before(page or ""),
    )  # fmt: skip


def state(visit: Visit) -> State:
    """The state in the address: open, if it names none."""
    name = visit.given("state") or "open"
    found = next((one for one in STATES if one == name), None)
    if found is None:
        raise WrongUse(f"a state is one of {', '.join(STATES)}")
    return found


def parameters(visit: Visit) -> dict[str, str]:
    """The parameters that are given, for links and forms."""
    return {name: visit.given(name)[:200] for name in (*FIELDS, "state") if visit.given(name)}


def options(visit: Visit) -> str:
    """The same as options of the command."""
    return " ".join(f"--{name} {shlex.quote(value)}" for name, value in parameters(visit).items())


def ids(text: str) -> list[int]:
    """The ids that a form or an address carries, each once. Raises WrongUse for anything else, and for too many."""
    if not re.fullmatch(r"\d{1,18}(,\d{1,18})*", text, re.ASCII):
        raise WrongUse("choose letters first")
    found = list(dict.fromkeys(int(one) for one in text.split(",")))
    if len(found) > MOST:
        raise WrongUse(f"at most {MOST:,} letters at a time")
    return found


def after(letter: Letter) -> str:
    """The parameter ``before`` of the page that comes after this letter."""
    return f"{letter.last_failed_at.astimezone(UTC).isoformat()}~{letter.id}"


def tell(what: str, changed: Sequence[int], unchanged: Mapping[int, str]) -> str:
    """What a decision did, in a sentence."""
    said = f"{_letters(len(changed))} {'is' if len(changed) == 1 else 'are'} {what}."
    for kind in sorted(set(unchanged.values())):
        count = sum(one == kind for one in unchanged.values())
        said += f" {count:,} {'unknown' if kind == UNKNOWN else kind}, left so."
    return said


def _letters(count: int) -> str:
    return f"{count:,} letter{'' if count == 1 else 's'}"


def _before(text: str) -> tuple[datetime, int] | None:
    if not text:
        return None
    at, _, id = text.partition("~")
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None or not re.fullmatch(r"\d{1,18}", id, re.ASCII):
        raise WrongUse("this is no page of this list")
    return moment, int(id)
