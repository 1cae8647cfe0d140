"""Undoes all suppressions, and is killed before it has committed."""

from __future__ import annotations

import os
import signal
from datetime import UTC, datetime, timedelta

from fundlyhub.database import get_engine
from fundlyhub.processors.notifications.suppressions import Filter, undo

if __name__ == "__main__":
    with get_engine("app").begin() as db:
        assert undo(db, Filter(since=datetime.now(UTC) - timedelta(days=1)), who="ann")
        os.kill(os.getpid(), signal.SIGKILL)
