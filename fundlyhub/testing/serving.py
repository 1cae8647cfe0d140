"""Servers in a thread of a test's process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from socketserver import BaseServer

LOOK = 0.005
"""Seconds between two looks whether a server is to end; socketserver's own half a second would be waited for."""


@contextmanager
def serving(server: BaseServer) -> Iterator[None]:
    """It answers until the block ends."""
    threading.Thread(target=server.serve_forever, args=(LOOK,), daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
