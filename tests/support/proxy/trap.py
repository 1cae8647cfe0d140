"""A trap: at the Nth message that matches, the process at the other end of the connection is killed, or the server."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import psutil

from tests.support.proxy.wire import Message, Side, Wire

When = Literal["before", "after"]
Verdict = Literal["pass", "kill", "pass, then kill"]


@dataclass
class Trap:
    """Springs once.

    ``before``: the message is not passed on. ``after``: it is, and the process dies when the server has answered,
    before it hears the answer; what the server says itself it has heard, or could have. With a ``strike`` that is done
    in place of the killing, for instance to kill the server itself.
    """

    pattern: re.Pattern[str]
    when: When
    side: Side = "client"
    nth: int = 1
    strike: Callable[[], None] | None = None
    victim: int | None = None
    sprung: threading.Event = field(default_factory=threading.Event)
    _seen: int = 0
    _question: tuple[Wire, Message] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def judge(self, wire: Wire, side: Side, message: Message) -> Verdict:
        """What becomes of a message."""
        with self._lock:
            if self.sprung.is_set():
                return "pass"
            if self._question is not None:
                asked, question = self._question
                due = wire is asked and side == "server" and wire.answers(question, message)
                return "kill" if due else "pass"
            if side != self.side or not self.pattern.search(message.text):
                return "pass"
            self._seen += 1
            if self._seen != self.nth:
                return "pass"
            if self.when == "before":
                return "kill"
            if side == "server" or not message.answered:
                return "pass, then kill"
            self._question = (wire, message)
            return "pass"

    def spring(self, port: int, to: int) -> None:
        """Kill the process whose connection leads from this port to that one, and return when it is gone."""
        if self.sprung.is_set():
            return
        if self.strike is not None:
            self.strike()
            self.sprung.set()
            return
        self.victim = owner_of(port, to)
        os.kill(self.victim, signal.SIGKILL)
        while _lives(self.victim):
            time.sleep(0.001)
        self.sprung.set()

    def wait(self, timeout: float = 60) -> int:
        """The process that was killed, or 0; fails when nothing has sprung the trap in so many seconds."""
        assert self.sprung.wait(timeout), f"in {timeout:.0f} s nothing came {self.when} which to kill: {self.pattern}"
        return self.victim or 0


def owner_of(port: int, to: int) -> int:
    """The process that owns the connection between two ports; of a family that shares it, the eldest.

    One port alone is not enough: connections to different servers may share their local port, and the kernel does that.
    """
    for connection in psutil.net_connections("tcp4"):
        if connection.raddr and connection.pid and (connection.laddr.port, connection.raddr.port) == (port, to):
            return int(connection.pid)
    raise AssertionError(f"no process holds a connection from port {port} to port {to}")


def _lives(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
