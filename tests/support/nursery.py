"""Python processes that start at once: forked from a process that has imported the libraries.

Each is a process like any other, with an environment, a session and a main module of its own, and can be killed. A
second of importing is all that it lacks, and the tests start a thousand of them.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext
from pathlib import Path

from tests.support import ROOT


@dataclass(frozen=True, slots=True)
class Start:
    """What a process begins with: ``python -m MODULE ARGS``, and the files that are its stdin, stdout and stderr."""

    module: str
    args: Sequence[str]
    environment: Mapping[str, str]
    cwd: Path
    stdin: Path
    stdout: Path
    stderr: Path


class Child:
    """One of them: as much of ``subprocess.Popen`` as the tests use."""

    def __init__(self, start: Start) -> None:
        # A daemon, in the words of multiprocessing: what a test has forgotten ends with the tests.
        self._process = _context().Process(target=_run, args=(start,), daemon=True)
        self._process.start()
        assert self._process.pid is not None
        self.pid: int = self._process.pid
        self.args = [start.module, *start.args]

    @property
    def returncode(self) -> int | None:
        """As ``poll``."""
        return self.poll()

    def poll(self) -> int | None:
        """The exit status, the negative number of the signal that ended it, or None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end. Raises subprocess.TimeoutExpired after ``timeout`` seconds."""
        self._process.join(timeout)
        status = self.poll()
        if status is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return status

    def send_signal(self, number: int) -> None:
        """To the process alone, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)


def can_bear(argv: Sequence[str], environment: Mapping[str, str]) -> bool:
    """Whether it is a module of this checkout, run as it is: no other code, no other interpreter, no library before."""
    plain = environment.get("PYTHONPATH") == str(ROOT) and "LD_PRELOAD" not in environment
    return plain and list(argv[:2]) == [sys.executable, "-m"]


@cache
def _context() -> ForkServerContext:
    """Start the process that all others are forked from; it ends with this one."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.support.preloaded"])
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(ROOT)  # it would look for the module in its working directory alone
    try:
        forkserver.ensure_running()
    finally:
        del os.environ["PYTHONPATH"]
        if before is not None:
            os.environ["PYTHONPATH"] = before
    return context


def _run(start: Start) -> None:
    """In the new process: become ``python -m MODULE``."""
    os.setsid()
    for number, (path, flags) in enumerate([
        (start.stdin, os.O_RDONLY),
        (start.stdout, os.O_WRONLY | os.O_APPEND | os.O_CREAT),
        (start.stderr, os.O_WRONLY | os.O_APPEND | os.O_CREAT),
    ]):  # fmt: skip
        opened = os.open(path, flags)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115  # multiprocessing has closed it
    os.environ.clear()
    os.environ.update(start.environment)
    os.chdir(start.cwd)
    sys.path[:0] = [str(start.cwd), *filter(None, start.environment.get("PYTHONPATH", "").split(os.pathsep))]
    sys.argv = [start.module, *start.args]
    if start.environment.get("PYTHONWARNINGS") == "default":
        warnings.simplefilter("default")
    try:
        runpy.run_module(start.module, run_name="__main__", alter_sys=True)
    finally:
        atexit._run_exitfuncs()  # multiprocessing ends its processes without them
