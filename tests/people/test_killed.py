"""An erasure that is killed at each of its steps, while others publish and workers work, ends whole."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from fundlyhub import UserProfileUpdated, publish_events
from fundlyhub.settings import Settings
from tests.people.erased import GUEST, GUS, STATS, guest_gift, places
from tests.support.command import dsns, environment, run
from tests.support.make import completed
from tests.verification import world
from tests.verification.world import ANN, BEN, WELLS, found, sql

TABLES = [name for name, cls in world.OURS.items() if cls.tables]
"""The processors whose tables are compared: messages wait for longer than this test."""
MOST = 60
"""Steps that an erasure has at most."""


@contextmanager
def load() -> Iterator[None]:
    """Somebody publishes, also about the person, and workers take it up, all the time."""
    stop = threading.Event()
    failed: list[BaseException] = []

    def publish() -> None:
        number = 0
        try:
            while not stop.is_set():
                number += 1
                news = UserProfileUpdated(user_id=BEN, changes={"name": f"Benjamin {number}", "email": GUEST})
                publish_events([news, UserProfileUpdated(user_id=ANN, changes={"bio": "water"}), completed(WELLS)])
                world.relay()
                world.apply([world.OURS[name] for name in ("recipient_write", "reference_write", "search_index")])
        except BaseException as error:
            failed.append(error)
            raise

    thread = threading.Thread(target=publish)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    assert not failed


def erase(settings: Settings, last: int) -> tuple[int, list[str]]:
    """Erase Ben in a process that is killed at this step; its exit status, and what it told."""
    more = {
        "FUNDLYHUB_SECRET_KEY": "a key for tests",
        "FUNDLYHUB_REDIS_URL": settings.redis,
        "FUNDLYHUB_DATA_DIR": str(settings.data_dir),
    }
    variables = environment({**dsns(settings.dsn("events")), **more})
    done = run("tests.people.erase_and_die", [str(BEN), str(last)], variables)
    if done.returncode not in (0, -9):
        assert "another process archives or restores" in done.stderr, done.stderr  # the killed one's session ends soon
        return erase(settings, last)
    return done.returncode, done.stdout.split("\n")


@pytest.mark.chaos
@pytest.mark.timeout(900)
def test_an_erasure_that_is_killed_at_each_step_under_load_ends_whole(at_rest: Settings) -> None:
    publish_events([guest_gift()])
    sql(f"UPDATE app.contacts SET email = '{GUEST}' WHERE user_id = %s", BEN)
    world.relay()
    world.apply(world.OURS.values())
    with load():
        for last in range(1, MOST):
            status, _ = erase(at_rest, last)
            if status == 0:
                break
            assert status == -9
    assert last > 5, "it has more steps than that"
    world.apply(world.OURS.values())
    erase(at_rest, 0)
    world.apply(world.OURS.values())
    numbers = sql(STATS)
    for value in (GUEST, GUS, "ben@example.org", "Ben B.", "Benjamin"):
        assert places(value) == []
    assert sql("SELECT count(*) FROM events.erasures WHERE finished_at IS NULL") == [(0,)]
    assert found(*TABLES) == []
    assert sql(STATS) == numbers
