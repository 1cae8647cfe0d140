"""Deciding about dead letters: the set is fixed and its size shown, then it is replayed, discarded or restored."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.responses import Response

from fundlyhub.console import choosing
from fundlyhub.console.access import Access
from fundlyhub.console.choosing import FIELDS, MOST
from fundlyhub.console.replays import Run
from fundlyhub.console.visits import Visit, page
from fundlyhub.database.console_audit import note
from fundlyhub.errors import WrongUse
from fundlyhub.processing import dead_letters
from fundlyhub.processing.dead_letters import Filter, Terms
from fundlyhub.web.refusals import Refusal


@page("/letters/choose", "operator")
def choose(visit: Visit) -> Response:
    """A dry run: which letters are meant, from now on by their ids, and which of them can be replayed."""
    state = choosing.state(visit)
    if visit.given("ids"):
        ids = choosing.ids(visit.given("ids"))
        able, unable = replayable(visit, ids) if state == "open" else ([], {})
    elif any(visit.given(name) for name in FIELDS):
        ids, able, unable = frozen(visit, choosing.wanted(visit))
    else:
        raise WrongUse("choose letters first")
    reasons = {why: sum(one == why for one in unable.values()) for why in sorted(set(unable.values()))}
    which = choosing.options(visit) if not visit.given("ids") else " ".join(map(str, ids[:20]))
    return visit.page(
        "letters_chosen.html", ids=ids, able=able, reasons=reasons, state=state, which=which, most=MOST,
        frozen=",".join(map(str, ids)), frozen_able=",".join(map(str, able)),
    )  # fmt: skip


def frozen(access: Access, filter: Filter) -> tuple[list[int], list[int], dict[int, str]]:
    """The ids of the letters that a filter means now, MOST at most; which can be replayed, and why open ones cannot."""
    with access.transaction() as db:
        wanted = dead_letters.in_full(db, filter)
        if wanted.state == "open":
            return dead_letters.choose_open(db, wanted, limit=MOST)
        return dead_letters.ids(db, wanted, limit=MOST), [], {}


def replayable(access: Access, ids: Sequence[int]) -> tuple[list[int], dict[int, str]]:
    """Which of these letters can be replayed, and why the others cannot."""
    with access.transaction() as db:
        return dead_letters.choose(db, ids)


@page("/letters/replay", "operator", "POST")
def replay(visit: Visit) -> Response:
    """Begin to replay the letters that the form names; the page of progress follows."""
    ids, share, rate = choosing.ids(visit.field("ids")), visit.field("max_failures") or "10", visit.field("rate")
    terms = Terms(rate=_number(rate, 100_000) if rate else None, max_failures=_number(share, 100, least=0) / 100)
    reason = visit.field("reason")
    run = visit.site.replays.start(ids, who=visit.who, reason=reason, terms=terms)
    return visit.go(f"/letters/replays/{run.key}")


@page("/letters/replays/{run}")
def progress(visit: Visit) -> Response:
    """How far a replay is."""
    run = _run(visit)
    return visit.page("parts/replay.html" if visit.is_fragment else "replay.html", run=run)


@page("/letters/replays/{run}/stop", "operator", "POST", asks_why=False)
def stop(visit: Visit) -> Response:
    """Send no more letters of a replay."""
    run = end(visit, visit.path("run"))
    return visit.go(f"/letters/replays/{run.key}", "No more letters are sent.")


@page("/letters/discard", "operator", "POST")
def discard(visit: Visit) -> Response:
    """Let the letters that the form names rest for good."""
    with visit.transaction() as db:
        done = dead_letters.discard(db, choosing.ids(visit.field("ids")), who=visit.who, reason=visit.field("reason"))
    return _after(visit, "discarded", done)


@page("/letters/restore", "operator", "POST")
def restore(visit: Visit) -> Response:
    """Open discarded letters again."""
    with visit.transaction() as db:
        done = dead_letters.restore(db, choosing.ids(visit.field("ids")), who=visit.who, reason=visit.field("reason"))
    return _after(visit, "open again", done)


def _after(visit: Visit, what: str, done: dead_letters.Changes) -> Response:
    """Back to the letter if it was one, and else to the groups."""
    visit.site.forget()
    ids = choosing.ids(visit.field("ids"))
    said = choosing.tell(what, done.changed, done.unchanged)
    return visit.go(f"/letters/{ids[0]}" if len(ids) == 1 and done.changed else "/letters", said)


def _run(visit: Visit) -> Run:
    return the_run(visit, visit.path("run"))


def the_run(access: Access, key: str) -> Run:
    """The replay of this key. Raises Refusal if this process knows none."""
    run = access.site.replays.find(key)
    if run is None:
        raise Refusal(404, "this console knows no such replay; what was sent goes on, see the letters")
    return run


def end(access: Access, key: str) -> Run:
    """Stop the replay of this key, and note who did. Raises Refusal if this process knows none."""
    run = the_run(access, key)
    run.stop.set()
    with access.transaction() as db:
        note(db, access.who, who=access.who, action="replay stopped", details=f"{len(run.letters):,} letters, {key}")
    return run


def _number(text: str, most: float, *, least: float = 0.01) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1
    if not least <= number <= most:
        raise WrongUse(f"rate and share are numbers of at most {most:g}")
    return number
