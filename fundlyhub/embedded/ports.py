"""Ports of 127.0.0.1 that stay the same over restarts."""

from __future__ import annotations

import random
import socket
from pathlib import Path


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
