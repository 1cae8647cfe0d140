"""A process that is killed at any step of archiving or restoring has lost nothing, and the next one goes on.

Three of the steps here; the others are among the chaos tests.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fundlyhub.settings import Settings
from tests.retention.archives.old import Old
from tests.support.command import dsns
from tests.support.platform import Platform
from tests.support.proxy import PostgresWire, Proxy
from tests.support.proxy.trap import When
from tests.support.urls import port_of, through

EVENTS = 12_000
"""So that rows go in three pieces."""


@dataclass(frozen=True, slots=True)
class Step:
    """``pattern`` is the statement there; a step of ``every`` run of the tests is not among the long ones."""

    name: str
    pattern: str
    when: When
    nth: int = 1
    every: bool = False


ARCHIVING = (
    Step("in the middle of the file", "^SELECT position, type, jsonb_build_object", "after", nth=5),
    Step("when the file is whole", "^LOCK TABLE events.processors", "before"),
    Step("before it is announced for good", "^COMMIT of .*INSERT INTO events.archives", "before"),
    Step("when it is announced", "^COMMIT of .*INSERT INTO events.archives", "after", every=True),
    Step("while ids are kept", "INSERT INTO events.event_ids", "after", nth=2),
    Step("while it waits", "FROM pg_stat_activity", "before"),
    Step("before the first row goes", "DELETE FROM events.events", "before"),
    Step("after the first rows went", "DELETE FROM events.events", "after", every=True),
    Step("before it is finished", "^UPDATE events.archives SET finished_at", "before"),
    Step("after it was finished", "^UPDATE events.archives SET finished_at", "after"),
)
RESTORING = (
    Step("before it is begun", "^UPDATE events.archives SET restoring_at", "before"),
    Step("before rows are back for good", "^COMMIT of .*OVERRIDING SYSTEM VALUE", "before", nth=3),
    Step("when some rows are back", "^COMMIT of .*OVERRIDING SYSTEM VALUE", "after", nth=3, every=True),
    Step("before its end", "^UPDATE events.archives SET restored_at", "before"),
)


def each(steps: tuple[Step, ...]) -> list[Any]:
    """The steps with their names and marks."""
    return [pytest.param(one, id=one.name, marks=() if one.every else pytest.mark.chaos) for one in steps]


class Commands:
    """Archives and restorations as processes behind a proxy, which may kill them."""

    def __init__(self, old: Old, platform: Platform, proxy: Proxy) -> None:
        self.old, self.platform, self.proxy = old, platform, proxy

    def dies(self, step: Step, *args: str) -> None:
        """A command that is killed at a step."""
        trap = self.proxy.kill(step.pattern, step.when, nth=step.nth)
        victim = self.platform.start("command", [sys.executable, "-m", "fundlyhub", "events", *args], {})
        assert trap.wait() == victim.popen.pid
        victim.kill()

    def does(self, *args: str) -> None:
        """A command that comes to its end."""
        done = self.platform.run("events", *args)
        assert done.returncode == 0, done.stderr

    def put_away(self) -> tuple[str, ...]:
        """The words of the command that archives what is old."""
        return ("archive", "--older-than", "30", "--to", str(self.old.folder), "--by", "ann")


@pytest.fixture
def commands(old: Old, settings: Settings, tmp_path: Path) -> Iterator[Commands]:
    """A log with enough events for several pieces, that may all be archived."""
    old.many(EVENTS)
    old.settled("fine")
    dsn = settings.dsn("events")
    with Proxy(port_of(dsn), PostgresWire) as proxy:
        environment = dsns(through(proxy, dsn))
        with Platform(environment, dsn, None, tmp_path) as platform:
            yield Commands(old, platform, proxy)


@pytest.mark.parametrize("step", each(ARCHIVING))
@pytest.mark.chaos  # for its length
def test_an_archive_that_is_killed_loses_nothing_and_goes_on(commands: Commands, step: Step) -> None:
    old = commands.old
    before, known = old.whole(), old.known()
    commands.dies(step, *commands.put_away())
    assert old.known() == known
    commands.does(*commands.put_away())
    assert old.known() == known
    assert (len(old.positions()), len(old.ids())) == (1, EVENTS + 1)
    for path in old.files():
        assert path.startswith("events-")
        commands.does("restore", str(old.folder / path))
    assert (old.whole(), old.ids()) == (before, [])


@pytest.mark.parametrize("step", each(RESTORING))
@pytest.mark.chaos  # for its length
def test_a_restoration_that_is_killed_loses_nothing_and_goes_on(commands: Commands, step: Step) -> None:
    old = commands.old
    before, known = old.whole(), old.known()
    file = old.archived(EVENTS)
    commands.dies(step, "restore", str(file))
    assert old.known() == known
    commands.does("restore", str(file))
    assert (old.whole(), old.ids()) == (before, [])
