"""Commands on one rebuild at once: one of them does what it says, the other says why not, and no schema is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from fundlyhub import rebuilds
from fundlyhub.database.rebuilt import LOCK_CLASS
from fundlyhub.errors import WrongState
from fundlyhub.settings import Settings
from tests.rebuilds.schemas import owned, schemas
from tests.rebuilds.test_exchange import ROWS, STATS, filled
from tests.support.platform import wait_until
from tests.verification.world import OURS, found, sql

WAITERS = """
    SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database WHERE NOT granted AND datname = %s
"""


def state() -> list[Any]:
    """States of the rebuilds, the newest first."""
    return [one for (one,) in sql("SELECT state FROM analytics.rebuilds ORDER BY id DESC")]


@contextmanager
def held(settings: Settings, rebuild: int) -> Iterator[Callable[[int], None]]:
    """The rebuild is busy, as while a page is filled; what is yielded waits until so many wait for its end."""
    with psycopg.connect(settings.dsn("events")) as db:
        db.execute("SELECT pg_advisory_xact_lock(%s, %s)", (LOCK_CLASS, rebuild))
        yield lambda number: wait_until(lambda: _waiting(db.info.dbname) >= number, what=f"{number} waiters")


@contextmanager
def read(settings: Settings) -> Iterator[Callable[[int], None]]:
    """The live tables are read, so that an exchange waits; what is yielded lets go when so many wait."""
    with psycopg.connect(settings.dsn("events")) as db:
        db.execute("SELECT * FROM analytics.campaign_stats_now")

        def until(number: int) -> None:
            wait_until(lambda: _waiting(db.info.dbname) >= number, what=f"{number} waiters")
            if number > 1:
                db.rollback()

        yield until


def _waiting(database: str) -> int:
    return int(sql(WAITERS, database)[0][0])


def both(*work: Callable[[], Any]) -> tuple[list[Any], list[Exception]]:
    """What these return, and what they raise, when they begin together."""
    gate = threading.Barrier(len(work))

    def begin(one: Callable[[], Any]) -> Any:
        gate.wait(30)
        return one()

    with ThreadPoolExecutor(len(work)) as threads:
        return _ended([threads.submit(begin, one) for one in work])


def _ended(futures: list[Future[Any]]) -> tuple[list[Any], list[Exception]]:
    errors = [error for one in futures if isinstance(error := one.exception(60), Exception)]
    return [one.result() for one in futures if one.exception() is None], errors


def test_of_two_that_start_at_once_one_is_told_of_the_other(at_rest: Settings) -> None:
    def start() -> rebuilds.Rebuild:
        return rebuilds.start(at_rest, OURS, STATS, who="ann")

    made, errors = both(start, start, start)
    assert ([one.schema for one in made], len(errors)) == (schemas(), 2)
    assert all(isinstance(error, WrongState) and "already" in str(error) for error in errors), errors
    assert owned()


def test_of_two_swaps_at_once_one_is_done_and_the_other_says_so(at_rest: Settings) -> None:
    right = sql(ROWS)
    sql("UPDATE analytics.campaign_stats_projection SET total_raised = -1")
    filled(at_rest)

    def swap() -> rebuilds.Exchanged:
        return rebuilds.swap(at_rest, OURS, STATS, who="ann")

    made, errors = both(swap, swap, swap)
    assert (len(made), len(errors), state()) == (1, 2, ["swapped"])
    assert all(isinstance(error, WrongState) for error in errors), errors
    assert sql(ROWS) == right
    assert (found(STATS), len(schemas()), owned()) == ([], 1, True)


def test_a_rebuild_that_is_swapped_while_a_cancel_waits_is_not_cancelled(at_rest: Settings) -> None:
    """Its schema has the former tables by then: who cancels a rebuild never wanted to lose those."""
    filled(at_rest)
    with read(at_rest) as waiting, ThreadPoolExecutor(2) as threads:
        swapping = threads.submit(rebuilds.swap, at_rest, OURS, STATS, who="ann")
        waiting(1)
        cancelling = threads.submit(rebuilds.cancel, at_rest, OURS, STATS, who="ben")
        waiting(2)
    made, errors = _ended([swapping, cancelling])
    assert ([type(error) for error in errors], len(made)) == ([WrongState], 1)
    assert (state(), len(schemas())) in ((["swapped"], 1), (["dropped"], 0)), "the one that came first"
    assert (found(STATS), owned()) == ([], True)


def test_a_swap_that_was_cancelled_meanwhile_says_so_and_changes_nothing(at_rest: Settings) -> None:
    sql("UPDATE analytics.campaign_stats_projection SET total_raised = -1")
    wrong = sql(ROWS)
    filled(at_rest)

    def cancel(when: str) -> Callable[[str, int, int], None]:
        return lambda what, done, total: rebuilds.cancel(at_rest, OURS, STATS, who="ben") if what == when else None  # type: ignore[return-value]

    for when in ("building indexes", "waiting for the locks"):
        with pytest.raises(WrongState, match="exchanged or ended meanwhile"):
            rebuilds.swap(at_rest, OURS, STATS, who="ann", tell=cancel(when))
        assert (sql(ROWS), schemas()) == (wrong, [])
        filled(at_rest)


def test_an_undoing_beside_the_swap_of_a_newer_rebuild_gives_way_to_it(at_rest: Settings) -> None:
    sql("UPDATE analytics.campaign_stats_projection SET total_raised = -1")
    filled(at_rest)
    rebuilds.swap(at_rest, OURS, STATS, who="ann")
    filled(at_rest)
    newer = sql("SELECT max(id) FROM analytics.rebuilds")[0][0]
    with read(at_rest) as waiting, ThreadPoolExecutor(2) as threads:
        swapping = threads.submit(rebuilds.swap, at_rest, OURS, STATS, who="ann")
        waiting(1)
        undoing = threads.submit(rebuilds.undo, at_rest, OURS, STATS, who="ben")
        waiting(2)
    made, errors = _ended([swapping, undoing])
    assert (found(STATS), owned()) == ([], True), "the damaged tables are not live again"
    if [one.rebuild.id for one in made] == [newer]:
        assert isinstance(errors[0], WrongState)
        assert state() == ["swapped", "dropped"]
    else:  # the undoing came first, and the newer one was swapped after it
        assert (len(made), state()) == (2, ["swapped", "dropped"])


def test_a_comparison_of_a_rebuild_that_was_swapped_meanwhile_says_so(at_rest: Settings) -> None:
    filled(at_rest)
    number = sql("SELECT max(id) FROM analytics.rebuilds")[0][0]
    with ThreadPoolExecutor(2) as threads:
        with held(at_rest, number) as waiting:
            swapping = threads.submit(rebuilds.cancel, at_rest, OURS, STATS, who="ann")
            waiting(1)
            comparing = threads.submit(rebuilds.diff, at_rest, OURS, STATS)
            waiting(2)
        swapping.result(60)
        with pytest.raises(WrongState, match="exchanged or ended meanwhile"):
            comparing.result(60)
