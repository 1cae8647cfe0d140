"""New ids: in the order of time, and never the same from two processes."""

from __future__ import annotations

import subprocess
import sys

from fundlyhub import Event
from tests.support import ROOT
from tests.support.make import completed

# In a process without threads: elsewhere Python warns of forks. What a child writes at once stays together.
_FORKS = """
import os
from fundlyhub import Event
from tests.support.make import completed

Event.of(completed())
for _ in range(16):
    if not os.fork():
        os.write(1, "".join(f"{Event.of(completed()).id}\\n" for _ in range(20)).encode())
        os._exit(0)
for _ in range(16):
    os.wait()
"""


def test_new_ids_are_in_the_order_of_time() -> None:
    ids = [Event.of(completed()).id for _ in range(1_000)]
    assert ids == sorted(set(ids))
    assert {id.version for id in ids} == {7}


def test_processes_that_one_process_became_never_make_the_same_id() -> None:
    """As the workers of a server that loads the application first; what is random, without the time."""
    done = subprocess.run(
        [sys.executable, "-c", _FORKS], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    tails = [id[19:] for id in done.stdout.split()]
    assert len(tails) == len(set(tails)) == 16 * 20
