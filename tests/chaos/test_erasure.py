"""A person is erased while services publish and workers work; each erasure is killed, and the next one goes on."""

from __future__ import annotations

import json
from uuid import UUID

import pytest

from fundlyhub import UserProfileUpdated
from tests.chaos.arena import Arena
from tests.chaos.load import Load, mixed
from tests.support.platform import Process, wait_until
from tests.support.reliability import Record

TIMES = 3
BEN = UUID(int=77_000)
NAME, BIO = "Benjamin Wells-Ashcroft", "digs wells near Ashcroft"
ERASE = ["people", "erase", str(BEN), "--yes", "--by", "Olga", "--reason", "a request"]
ERASED = "SELECT count(*) FROM events.events WHERE metadata ? 'erased'"


def about_ben(count: int) -> Load:
    """Changes of his profile, all of which hold his name."""
    return Load(UserProfileUpdated(user_id=BEN, changes={"name": f"{NAME} {n}", "bio": BIO}) for n in range(count))


def begun(arena: Arena) -> Process:
    """An erasure that has overwritten at least one event, or has ended."""
    before = arena.platform.value(ERASED)
    erasure = arena.platform.start("erase", [arena.platform.python, "-m", "fundlyhub", *ERASE], {})
    wait_until(
        lambda: arena.platform.value(ERASED) > before or erasure.popen.poll() is not None, what="the erasure to begin"
    )
    return erasure


@pytest.mark.timeout(900)
def test_an_erasure_under_load_that_is_killed_goes_on(arena: Arena, measured: list[Record]) -> None:
    killed = []

    def kill_one() -> None:
        erasure = begun(arena)
        if erasure.popen.poll() is None:
            killed.append(erasure)
        erasure.kill()

    load, ended = arena.under_load(kill_one, TIMES, mixed() + about_ben(400))
    assert killed, "no erasure was under way when it was to be killed"
    assert not arena.wait_settled(load)

    done = arena.platform.run(*ERASE, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["events"]
    check = arena.platform.run("people", "erase", str(BEN), "--check", "--value", NAME, "--value", BIO, "--json")
    assert (check.returncode, json.loads(check.stdout)["left"]) == (0, []), check.stderr
    assert arena.platform.value("SELECT count(*) FROM events.erasures WHERE finished_at IS NULL") == 0
    record = Record("an erasure is killed", arena.broker_name, len(killed))
    measured.append(arena.settled_and_right(load, record, since=ended))
