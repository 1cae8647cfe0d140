"""A child process in its own session, with a log, that ends when its owner dies."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fundlyhub.errors import Unavailable
from fundlyhub.private_files import appending

LINUX: bool = sys.platform == "linux"
LAST_WAIT = 1.0
"""Seconds between the last signal to a process and SIGKILL."""
LARGEST_LOG = 20_000_000
"""Bytes; a larger log is renamed at the next start."""

# Asks the kernel for a signal when the owner dies, then executes the program. The request survives exec but not a
# change of account, so the account is changed first. A preexec_fn would be unsafe with threads. The owner is the thread
# that starts the child: start children from the main thread.
_DIES_WITH_OWNER = """
import ctypes, os, sys
owner, number, user, group = map(int, sys.argv[1:5])
if user >= 0:
    os.setgroups([]), os.setgid(group), os.setuid(user)
ctypes.CDLL(None).prctl(1, number)
if os.getppid() == owner:
    os.execv(sys.argv[5], sys.argv[5:])
"""


class Child:
    """A process that ends with ``stop`` and, on Linux, with its owner; elsewhere the next start ends it.

    It has its own session, so Ctrl-C reaches only the owner, which stops the children in order.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str | Path],
        *,
        log: Path,
        pid_file: Path,
        env: Mapping[str, str] | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        last_signal: signal.Signals = signal.SIGKILL,
        owner_signal: signal.Signals | None = None,
        stop_limit: float = 30.0,
        account: tuple[int, int] | None = None,
        folder: Path | None = Path("/"),
    ) -> None:
        """Start the process in ``folder``, or in our own folder if None. Limits are in seconds.

        When its owner dies it gets ``owner_signal``, by default ``stop_signal``.
        """
        self.name, self.log, self._pid_file = name, log, pid_file
        self._stop_signal, self._last_signal, self._stop_limit = stop_signal, last_signal, stop_limit
        self._asked = False
        self._reap()
        _put_aside(log)
        with appending(log) as out:
            self.log_start = out.tell()
            self.process = subprocess.Popen(
                _bound([str(part) for part in argv], owner_signal or stop_signal, account),
                env=env,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                **self._account(account),
            )
        pid_file.write_text(f"{self.process.pid} {birth(self.process.pid) or ''}")

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self.process.poll() is None

    def wait_until(self, is_ready: Callable[[], bool], limit: float) -> None:
        """Wait until the program is ready. Raises Unavailable with the log's last lines."""
        end = time.monotonic() + limit
        while not is_ready():
            if not self.alive or time.monotonic() > end:
                raise Unavailable(f"{self.name} did not start: {self.tail()}")
            time.sleep(0.05)

    def ask(self) -> None:
        """Send the stop signal and do not wait."""
        if self.alive and not self._asked:
            self._asked = True
            self.process.send_signal(self._stop_signal)

    def stop(self, limit: float | None = None) -> bool:
        """Stop the process; returns whether it ended by itself within ``limit`` seconds. Safe to repeat."""
        in_time = True
        if self.alive:
            self.ask()
            try:
                self.process.wait(self._stop_limit if limit is None else max(0.0, limit))
            except subprocess.TimeoutExpired:
                in_time = False
                self._make_it_end()
        end_group(self.process.pid)
        self._pid_file.unlink(missing_ok=True)
        return in_time

    def _make_it_end(self) -> None:
        self.process.send_signal(self._last_signal)
        try:
            self.process.wait(LAST_WAIT)
        except subprocess.TimeoutExpired:  # it is suspended, or ignores the signal
            self.process.kill()
            self.process.wait(10)

    def kill(self) -> None:
        """Kill the process and its children, like a crash."""
        end_group(self.process.pid)
        self.process.wait(10)

    def said(self) -> str:
        """The log since the start."""
        with self.log.open("rb") as file:
            file.seek(self.log_start)
            return file.read().decode(errors="replace")

    def tail(self, lines: int = 5) -> str:
        """The last lines of the log."""
        return " | ".join(self.said().splitlines()[-lines:])

    @staticmethod
    def _account(account: tuple[int, int] | None) -> dict[str, Any]:
        """Arguments for the child's account, where the child does not change it itself."""
        if account is None or LINUX:
            return {}
        return {"user": account[0], "group": account[1], "extra_groups": []}

    def _reap(self) -> None:
        """End the process that a dead owner left, if the pid still belongs to it."""
        try:
            number, born = self._pid_file.read_text().split(maxsplit=1)
        except (FileNotFoundError, ValueError):
            return
        pid = int(number)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if birth(pid) == born:
                os.kill(pid, self._stop_signal)
                _wait_gone(pid, born, self._stop_limit)
                end_group(pid)
        self._pid_file.unlink(missing_ok=True)


def birth(pid: int) -> str | None:
    """The start time of a running process: pids are reused, a pid with its start time is not."""
    if LINUX:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        return None if fields[0] == "Z" else fields[19]  # state; clock ticks since boot
    found = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return found.stdout.strip() or None


def end_group(pid: int) -> None:
    """Send SIGKILL to all remaining processes of a child's session."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _bound(argv: list[str], number: signal.Signals, account: tuple[int, int] | None) -> list[str]:
    """The command line that makes a program end with us, where the kernel supports it."""
    if not LINUX:
        return argv
    user, group = account or (-1, -1)
    program = shutil.which(argv[0]) or argv[0]
    numbers = [str(number) for number in (os.getpid(), int(number), user, group)]
    return [sys.executable, "-I", "-S", "-c", _DIES_WITH_OWNER, *numbers, program, *argv[1:]]


def _wait_gone(pid: int, born: str, limit: float) -> None:
    end = time.monotonic() + limit
    while birth(pid) == born:
        if time.monotonic() > end:
            os.kill(pid, signal.SIGKILL)
            return
        time.sleep(0.05)


def _put_aside(log: Path) -> None:
    if log.exists() and log.stat().st_size > LARGEST_LOG:
        log.rename(log.with_suffix(".log.1"))
