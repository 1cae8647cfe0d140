"""A replay that dies between its commit and the broker: `python -m tests.dead_letters.replay_and_die ID…`."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence

import tests.support.processors  # noqa: F401  # registers them
from fundlyhub.processing.dead_letters import replay
from tests.support.publishing import To


def die(name: str, positions: Sequence[int]) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    replay([int(id) for id in sys.argv[1:]], To(die), who="ann")
