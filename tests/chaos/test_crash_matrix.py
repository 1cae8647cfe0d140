"""The crash matrix: at each boundary, before and after it, the process that is there dies; nothing else changes."""

from __future__ import annotations

import time

import pytest

from fundlyhub.events import Event
from fundlyhub.events.encoding import dumps
from tests.chaos.arena import Arena
from tests.chaos.boundaries import BOUNDARIES, Boundary
from tests.chaos.load import Load, mixed
from tests.support.make import search
from tests.support.proxy.trap import Trap, When
from tests.support.reliability import Record

EVENTS = 120
"""Donations that begin; with the others that is a dozen batches."""
CASES = [
    pytest.param(broker, boundary, when, id=f"{boundary.name}-{when}-{broker}",
                 marks=[pytest.mark.rabbitmq] if broker == "rabbitmq" else [])
    for boundary in BOUNDARIES
    for broker in boundary.brokers
    for when in ("before", "after")
]  # fmt: skip


@pytest.fixture
def process_settings() -> dict[str, str]:
    """A lease as short as a call may last, so that a mail which is left behind is not waited for long."""
    return {"FUNDLYHUB_NOTIFICATION_LEASE": "3", "FUNDLYHUB_CALL_TIMEOUT": "1"}


def small_load() -> Load:
    """Something for each processor, one mail, and one event that no handler can take."""
    load = mixed(EVENTS, gifts=20, people=1)
    load.events.append(Event.of(search("never")))
    return load


@pytest.mark.parametrize(("celery_broker", "boundary", "when"), CASES, indirect=["celery_broker"])
def test_a_process_that_dies_there_loses_and_repeats_nothing(
    arena: Arena, boundary: Boundary, when: When, measured: list[Record]
) -> None:
    load = small_load()
    trap = getattr(arena, boundary.line).kill(boundary.pattern, when, side=boundary.side, nth=boundary.nth)
    if boundary.process == "publisher":
        publish_in_a_process_that_dies(arena, load, trap, when)
    else:
        load.publish()
        trap.wait()
    died = time.monotonic()
    start_afresh(arena, trap)
    record = Record(f"SIGKILL, {boundary.name}, {when}", arena.broker_name, 1)
    measured.append(arena.settled_and_right(load, record, since=died, dead=1, unknown=boundary.in_doubt(when)))


def publish_in_a_process_that_dies(arena: Arena, load: Load, trap: Trap, when: When) -> None:
    """All of the load in one transaction, or none of it; then the service is started again and repeats itself."""
    lines = b"".join(dumps(event.to_envelope()) + b"\n" for event in load.events)
    assert arena.platform.run("events", "publish", "-", input=lines).returncode == -9
    trap.wait(1)
    there = arena.platform.value("SELECT count(*) FROM events.events")
    assert there == (0 if when == "before" else len(load.events))
    assert arena.platform.run("events", "publish", "-", input=lines).returncode == 0


def start_afresh(arena: Arena, trap: Trap) -> None:
    """A new relay or worker for one whose main process was killed; a worker replaces a child by itself."""
    for process in arena.platform.processes:
        if process.popen.pid == trap.victim:
            process.kill()
            arena.platform.processes.remove(process)
            if process is arena.setup.worker.container.process:
                arena.setup.worker.restart()
            else:
                arena.relay()
