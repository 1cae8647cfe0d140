"""Work that runs beside the requests of this process, each in a thread: a comparison or an exchange of tables.

Of one thing there is one run at a time, and its result stays until the next. If the process ends, a comparison is lost
and leaves nothing, and an exchange has happened whole or not at all.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from logging import getLogger
from threading import Lock, Thread
from typing import Any

from fundlyhub.errors import FundlyHubError, WrongState, text_of
from fundlyhub.observability.redaction import describe

log = getLogger(__name__)

AT_ONCE = 3
"""Runs at a time, of different things."""


@dataclass(slots=True)
class Run:
    """One run: of what kind, about which thing, how far it is, and how it ended. ``of`` is 0 where it is not known.

    ``subject`` is an id of what its result is about: the result is of no use when that is gone.
    """

    kind: str
    about: str
    who: str
    subject: int = 0
    key: str = field(default_factory=lambda: secrets.token_hex(8))
    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    what: str = ""
    done: int = 0
    of: int = 0
    result: Any = None
    failed: str = ""
    ended: datetime | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing more is to come."""
        return self.ended is not None

    def tell(self, what: str, done: int, total: int = 0, /) -> None:
        """Keep how far it is."""
        self.what, self.done, self.of = what, done, total


class Runs:
    """The runs of this process: of each thing the newest."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._runs: dict[str, Run] = {}

    def start(self, run: Run, work: Callable[[Run], Any]) -> Run:
        """Begin one. Raises WrongState while one about the same thing runs, or too many do."""
        with self._lock:
            under_way = [one for one in self._runs.values() if not one.is_over]
            if same := next((one for one in under_way if one.about == run.about), None):
                raise WrongState(f"{same.about}: a {same.kind} of {same.who} is under way; wait for its end")
            if len(under_way) >= AT_ONCE:
                raise WrongState(f"{AT_ONCE} such runs are under way: wait for the end of one")
            self._runs[run.about] = run
        Thread(target=_run, args=(run, work), name=f"run-{run.key}", daemon=True).start()
        return run

    def of(self, about: str) -> Run | None:
        """The newest about a thing; None if this process knows none."""
        with self._lock:
            return self._runs.get(about)


def _run(run: Run, work: Callable[[Run], Any]) -> None:
    try:
        run.result = work(run)
    except FundlyHubError as error:
        run.failed = text_of(error)
    except Exception as error:
        log.warning("a %s failed: %s", run.kind, describe(error))
        run.failed = describe(error)
    finally:
        run.ended = datetime.now(UTC)
