"""A process that uses something, becomes several, and goes on using it in all of them; what each of them saw.

Run as ``python -m tests.support.forking``, so that nothing else has a thread or a connection there.
"""

from __future__ import annotations

import faulthandler
import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from importlib import import_module
from typing import Any

from tests.support.command import run

CHILDREN = 8
LIMIT = 30
"""Seconds after which a process that has not come to its end hangs."""


def forked(use: str, variables: dict[str, str], *, threads: int = 0) -> list[Any]:
    """What ``use``, as ``module:function``, returned in each process, the parent's first.

    The function is called once before the forks, and once more in each process after them; ``threads`` call it all
    the while that the parent forks. Fails when one of them raises or hangs.
    """
    done = run("tests.support.forking", [use, str(threads)], variables)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line["error"][-2_000:] for line in lines if line["error"]] == [], done.stderr
    assert len(lines) == CHILDREN + 1, f"{CHILDREN + 1 - len(lines)} processes did not come to their end"
    return [line["seen"] for line in sorted(lines, key=lambda line: bool(line["child"]))]


def _told(function: Callable[[], Any], *, child: bool) -> None:
    """One line in one write, which no other process can come between."""
    try:
        line = {"child": child, "error": "", "seen": function()}
    except BaseException:
        line = {"child": child, "error": traceback.format_exc(), "seen": None}
    os.write(1, json.dumps(line).encode() + b"\n")


def _main(use: str, threads: int) -> int:
    module, _, name = use.partition(":")
    function = getattr(import_module(module), name)
    function()
    stop = threading.Event()
    busy = [threading.Thread(target=_on_and_on, args=(function, stop), daemon=True) for _ in range(threads)]
    for thread in busy:
        thread.start()
    children = []
    for _ in range(CHILDREN):
        if busy:
            time.sleep(0.02)  # so that the forks fall into different moments of a thread's call
        child = os.fork()
        if not child:
            faulthandler.dump_traceback_later(LIMIT, exit=True)  # a failure says where each thread of it stood
            _told(function, child=True)
            os._exit(0)
        children.append(child)
    _told(function, child=False)
    stop.set()
    statuses = [os.waitpid(child, 0)[1] for child in children]
    return int(any(statuses))


def _on_and_on(function: Callable[[], Any], stop: threading.Event) -> None:
    while not stop.is_set():
        function()


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1], int(sys.argv[2])))
