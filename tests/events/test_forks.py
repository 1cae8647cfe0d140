"""Publishing in processes that one process became, as the workers of a server that loads the application first."""

from __future__ import annotations

import psycopg
import pytest

from tests.events import publish_in_each
from tests.support.command import dsns, environment
from tests.support.forking import CHILDREN, forked

USES = ["one_by_one", "together", "from_coroutines", "by_an_engine_that_was_kept", "by_an_asynchronous_engine"]
ALONE = [(use, 0) for use in USES]
BESIDE_THREADS = [(use, 2) for use in USES[:-1]]  # an asynchronous engine belongs to one loop


def logged(dsn: str) -> set[tuple[str, int]]:
    """Ids and positions of the log."""
    with psycopg.connect(dsn) as db:
        return {(str(id), position) for id, position in db.execute("SELECT id, position FROM events.events")}


@pytest.mark.parametrize(("use", "threads"), [*ALONE, *BESIDE_THREADS])
@pytest.mark.chaos  # for its length
def test_each_process_is_told_the_truth_about_its_own_events(dsn: str, use: str, threads: int) -> None:
    told = forked(f"{publish_in_each.__name__}:{use}", environment(dsns(dsn)), threads=threads)
    pairs = [(id, position) for process in told for id, position in process]
    assert len(set(pairs)) == len(pairs) == (CHILDREN + 1) * publish_in_each.EVENTS
    assert set(pairs) <= logged(dsn)
    if not threads:
        assert len(logged(dsn)) == len(pairs) + publish_in_each.EVENTS  # those of before the forks
