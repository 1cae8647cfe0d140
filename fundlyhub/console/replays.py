"""Replays that run in this process: each in a thread, so that no request waits for it, and each can be stopped.

If the process ends, what was sent goes on and what was not stays open: nothing is lost but this page of progress.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from logging import getLogger
from threading import Event, Lock, Thread

from fundlyhub.errors import FundlyHubError, WrongState, WrongUse, text_of
from fundlyhub.observability.redaction import describe
from fundlyhub.processing import dead_letters
from fundlyhub.processing.dead_letters import Replayed, Terms
from fundlyhub.settings import get_settings

log = getLogger(__name__)

AT_ONCE = 3
"""Replays that run at a time."""
KEPT = 50
"""Replays whose results are kept."""
NAMED = 20
"""Letters of one end that the page names."""


@dataclass(slots=True)
class Run:
    """A replay of these letters: how far it is, and with which result it ended."""

    key: str
    letters: tuple[int, ...]
    who: str
    began: datetime
    stop: Event = field(default_factory=Event)
    counts: Mapping[str, int] = field(default_factory=dict)
    failed: Sequence[int] = ()
    """The first letters that failed again."""
    stopped: str | None = None
    is_over: bool = False

    @property
    def settled(self) -> int:
        """Letters of which nothing more is to come."""
        return sum(count for end, count in self.counts.items() if end not in ("pending", "left"))

    def tell(self, report: Replayed) -> None:
        """Keep what is known now."""
        ends: dict[str, int] = {"unchanged": len(report.unchanged), "left": len(report.left)}
        for end in report.ends.values():
            ends[end] = ends.get(end, 0) + 1
        self.counts = {end: count for end, count in ends.items() if count}
        self.failed, self.stopped = report.ended("failed")[:NAMED], report.stopped


class Replays:
    """The replays of this process, the newest last."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._runs: OrderedDict[str, Run] = OrderedDict()

    def start(self, letters: Sequence[int], *, who: str, reason: str | None, terms: Terms) -> Run:
        """Begin one. Raises WrongState while too many run, and WrongUse when no broker is set."""
        get_settings().broker  # noqa: B018  # a missing URL is better said before that
        if not letters:
            raise WrongUse("there is no letter to be replayed")
        run = Run(secrets.token_hex(8), tuple(letters), who, datetime.now(UTC))
        with self._lock:
            if sum(not one.is_over for one in self._runs.values()) >= AT_ONCE:
                raise WrongState(f"{AT_ONCE} replays are running: wait for one of them, or stop it")
            self._runs[run.key] = run
            for key in [key for key, one in self._runs.items() if one.is_over][: max(0, len(self._runs) - KEPT)]:
                del self._runs[key]
        Thread(target=_run, args=(run, reason, terms), name=f"replay-{run.key}", daemon=True).start()
        return run

    def find(self, key: str) -> Run | None:
        """The replay of this key; None if this process knows none."""
        with self._lock:
            return self._runs.get(key)

    def newest(self) -> list[Run]:
        """Those that are known, the newest first."""
        with self._lock:
            return list(self._runs.values())[::-1]


def _run(run: Run, reason: str | None, terms: Terms) -> None:
    try:
        from fundlyhub.celery import app  # loaded for this alone: it takes a second
        from fundlyhub.processing.publisher import Publisher

        with Publisher(app) as broker:
            done = dead_letters.replay(
                run.letters, broker, who=run.who, reason=reason, terms=terms, progress=run.tell, stop=run.stop
            )
        run.tell(done)
    except FundlyHubError as error:
        run.stopped = text_of(error)
    except Exception as error:
        log.warning("a replay failed: %s", describe(error))
        run.stopped = f"it failed ({describe(error)}); what was sent goes on, the rest is open"
    finally:
        run.is_over = True
