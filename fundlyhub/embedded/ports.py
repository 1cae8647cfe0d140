"""Ports of 127.0.0.1 that stay the same after a restart."""

from __future__ import annotations

import random
import socket
from pathlib import Path


def free_port() -> int:
    """A free port below those of outgoing connections, so that it stays free for a restart."""
    while True:
        port = random.randrange(20_000, 32_768)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def kept_port(file: Path) -> int:
    """The port in ``file``, if it is free, or a new port, which is written there."""
    try:
        port = int(file.read_text())
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
    except (FileNotFoundError, ValueError, OSError):
        port = free_port()
        file.write_text(str(port))
    return port
