"""Applies a stored report, and is killed before that is committed."""

from __future__ import annotations

import os
import signal

from sqlalchemy import event

from fundlyhub.database import get_engine
from fundlyhub.processors.notifications.delivery_reports.inbox import take_up

if __name__ == "__main__":
    engine = get_engine("app")
    event.listen(engine, "commit", lambda _: os.kill(os.getpid(), signal.SIGKILL))
    take_up(engine)
