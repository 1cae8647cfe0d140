"""Logging: one line an entry on stderr, with time, level, process and place."""

from __future__ import annotations

import logging
import sys

FORMAT = "%(asctime)s %(levelname)-7s %(process)d %(name)s: %(message)s"


def configure(level: int | str = logging.INFO) -> None:
    """Send the logs of this process to stderr, at ``level`` and above."""
    logging.basicConfig(level=level, format=FORMAT, stream=sys.stderr, force=True)
    # These tell of every connection, every message and every batch.
    for noisy in ("amqp", "kombu", "alembic", "celery.app.trace", "celery.worker.strategy"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
