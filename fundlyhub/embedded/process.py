"""One child process: in a session of its own, with a log, and gone when its owner is."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

LINUX: bool = sys.platform == "linux"

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
        stop_limit: float = 30.0,
        account: tuple[int, int] | None = None,
    ) -> None:
        self.name, self.log, self._pid_file = name, log, pid_file
        self._stop_signal, self._last_signal, self._stop_limit = stop_signal, last_signal, stop_limit
        self._reap(argv)
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                _bound([str(part) for part in argv], stop_signal, account),
                env=env,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                **self._account(account),
            )
        pid_file.write_text(str(self.process.pid))

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self.process.poll() is None

    def stop(self) -> None:
        """Ask it to end, then make it. Safe to repeat."""
        if self.alive:
            self.process.send_signal(self._stop_signal)
            try:
                self.process.wait(self._stop_limit)
            except subprocess.TimeoutExpired:
                self.process.send_signal(self._last_signal)
                self.process.wait(10)
        end_group(self.process.pid)
        self._pid_file.unlink(missing_ok=True)

    def kill(self) -> None:
        """End it and all its children at once, as a crash would."""
        end_group(self.process.pid)
        self.process.wait(10)

    def tail(self, lines: int = 5) -> str:
        """The log's last lines."""
        return " | ".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    @staticmethod
    def _account(account: tuple[int, int] | None) -> dict[str, Any]:
        """Whom the child runs as, where it does not see to that itself."""
        if account is None or LINUX:
            return {}
        return {"user": account[0], "group": account[1], "extra_groups": []}

    def _reap(self, argv: Sequence[str | Path]) -> None:
        """End what a dead owner left behind, if the pid is still that program's."""
        try:
            pid = int(self._pid_file.read_text())
        except (FileNotFoundError, ValueError):
            return
        command = subprocess.run(["ps", "-o", "args=", "-p", str(pid)], capture_output=True, text=True).stdout
        if Path(str(argv[0])).name in command:
            os.kill(pid, self._stop_signal)
            _wait_gone(pid, self._stop_limit)
        self._pid_file.unlink(missing_ok=True)


def end_group(pid: int) -> None:
    """SIGKILL to what is left of a child's session."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def free_port() -> int:
    """A free port of 127.0.0.1, below those that outgoing connections take, so that it stays free for a restart."""
    while True:
        port = random.randrange(20_000, 32_768)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def kept_port(file: Path) -> int:
    """The port of an earlier start, if it is free again, or a new one, kept in ``file``."""
    try:
        port = int(file.read_text())
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
    except (FileNotFoundError, ValueError, OSError):
        port = free_port()
        file.write_text(str(port))
    return port


def _bound(argv: list[str], number: signal.Signals, account: tuple[int, int] | None) -> list[str]:
    """The command line that ties a program's life to ours, where the kernel can."""
    if not LINUX:
        return argv
    user, group = account or (-1, -1)
    program = shutil.which(argv[0]) or argv[0]
    numbers = [str(number) for number in (os.getpid(), int(number), user, group)]
    return [sys.executable, "-I", "-S", "-c", _DIES_WITH_OWNER, *numbers, program, *argv[1:]]


def _wait_gone(pid: int, limit: float) -> None:
    end = time.monotonic() + limit
    while time.monotonic() < end:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    os.kill(pid, signal.SIGKILL)
