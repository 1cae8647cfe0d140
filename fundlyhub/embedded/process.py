"""One child process: in a session of its own, with a log, and gone when its owner is."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


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
        run_as: dict[str, Any] = {"user": account[0], "group": account[1], "extra_groups": []} if account else {}
        owner = os.getpid()
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                [str(part) for part in argv],
                env=env,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                # After the change of account, which would take the request back.
                preexec_fn=lambda: _die_with(owner, stop_signal),  # one system call, no lock
                **run_as,
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
    for port in range(20_000 + os.getpid() % 10_000, 32_768):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError("no free port")


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


def _die_with(owner: int, number: signal.Signals) -> None:
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, int(number))
        if os.getppid() != owner:  # it died before the request was made
            os._exit(1)


def _wait_gone(pid: int, limit: float) -> None:
    end = time.monotonic() + limit
    while time.monotonic() < end:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    os.kill(pid, signal.SIGKILL)
