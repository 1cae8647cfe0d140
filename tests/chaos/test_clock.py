"""The clock of the processes jumps, by hours and both ways; that of the database does not."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.chaos.arena import Arena
from tests.chaos.load import Load, mixed
from tests.support.make import search
from tests.support.platform import wait_until
from tests.support.reliability import Record

SOURCE = Path(__file__).parents[1] / "support" / "clock.c"
HOUR = 3_600
JUMPS = (2 * HOUR, -1 * HOUR, 26 * HOUR, 0)
FLAKY = 400
"""Events that fail at first: when they are due again is noted under one clock, and looked at under another."""
WAITING = "SELECT count(*) FROM events.attempts WHERE attempts > 0"


@pytest.fixture
def clock(tmp_path: Path) -> Path:
    """The file that says how many seconds the processes' clock is off."""
    file = tmp_path / "clock"
    file.write_text("0")
    return file


@pytest.fixture
def process_settings(clock: Path, tmp_path: Path) -> dict[str, str]:
    """Real time as the file says, for all that a process does, its libraries included."""
    if shutil.which("cc") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("there is no C compiler, and CI must not do without: see .ci/run")
        pytest.skip("there is no C compiler (Debian: apt-get install gcc libc6-dev)")
    library = tmp_path / "clock.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-Wall", "-o", library, SOURCE, "-ldl"], check=True)
    return {"LD_PRELOAD": str(library), "CLOCK_OFFSET": str(clock)}


@pytest.mark.timeout(900)
def test_a_clock_that_jumps_under_load(arena: Arena, clock: Path, measured: list[Record]) -> None:
    jumps = iter(JUMPS)

    def jump() -> None:
        new = clock.with_suffix(".new")
        new.write_text(str(next(jumps)))
        new.replace(clock)
        wait_until(lambda: arena.platform.value(WAITING), what="an event that is to be tried again")

    payloads = [*(search("flaky") for _ in range(FLAKY)), *(event.payload for event in mixed().events)]
    random.Random(FLAKY).shuffle(payloads)
    load, ended = arena.under_load(jump, len(JUMPS), Load(payloads))
    said = ", ".join(f"{seconds // HOUR:+d} h" for seconds in JUMPS)
    record = Record(f"clock of the processes: {said}", arena.broker_name, len(JUMPS))
    measured.append(arena.settled_and_right(load, record, since=ended))
