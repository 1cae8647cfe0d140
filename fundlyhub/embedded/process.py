"""One child process: in a session of its own, with a log, and gone when its owner is."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

LINUX: bool = sys.platform == "linux"
LAST_WAIT = 1.0
"""Seconds that a process has after its last signal, before it is killed."""
LARGEST_LOG = 20_000_000
"""Bytes; a larger log is put aside at the next start."""

# Becomes the program, after asking the kernel for a signal when its owner dies; the request outlives exec, but no
# change of account, so that the account comes first. Not a preexec_fn, which is unsafe beside threads. The owner
# is the thread that starts the child: start children from the main thread.
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
    """A process that outlives neither its ``stop`` nor, on Linux, its owner; elsewhere its pid file tells of it.

    In a session of its own, so that Ctrl-C reaches only the owner, who stops the children in their order.
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
        """Start it. ``folder`` is where it works; None is where we do. Limits are in seconds.

        ``owner_signal`` is what it gets when its owner dies, otherwise ``stop_signal``.
        """
        self.name, self.log, self._pid_file = name, log, pid_file
        self._stop_signal, self._last_signal, self._stop_limit = stop_signal, last_signal, stop_limit
        self._asked = False
        self._reap()
        _put_aside(log)
        with log.open("ab") as out:
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
        """Whether it runs."""
        return self.process.poll() is None

    def ask(self) -> None:
        """Ask it to end, and do not wait for it."""
        if self.alive and not self._asked:
            self._asked = True
            self.process.send_signal(self._stop_signal)

    def stop(self, limit: float | None = None) -> bool:
        """Ask it to end, then make it; whether it ended by itself within ``limit`` seconds. Safe to repeat."""
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
        except subprocess.TimeoutExpired:  # it is stopped, or does not hear
            self.process.kill()
            self.process.wait(10)

    def kill(self) -> None:
        """End it and all its children at once, as a crash would."""
        end_group(self.process.pid)
        self.process.wait(10)

    def said(self) -> str:
        """What it has written to the log since it was started."""
        with self.log.open("rb") as file:
            file.seek(self.log_start)
            return file.read().decode(errors="replace")

    def tail(self, lines: int = 5) -> str:
        """The last lines of it."""
        return " | ".join(self.said().splitlines()[-lines:])

    @staticmethod
    def _account(account: tuple[int, int] | None) -> dict[str, Any]:
        """Whom the child runs as, where it does not see to that itself."""
        if account is None or LINUX:
            return {}
        return {"user": account[0], "group": account[1], "extra_groups": []}

    def _reap(self) -> None:
        """End what a dead owner left behind, if the pid is still that process's."""
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
    """When a running process began, as the system writes it: pids are used again, a pid with its birth is not."""
    if LINUX:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        return None if fields[0] == "Z" else fields[19]  # state; clock ticks from the machine's start
    found = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return found.stdout.strip() or None


def end_group(pid: int) -> None:
    """SIGKILL to what is left of a child's session."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _bound(argv: list[str], number: signal.Signals, account: tuple[int, int] | None) -> list[str]:
    """The command line that ties a program's life to ours, where the kernel can."""
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
