"""Snapshots of the platform's numbers: read once for all pages and all tabs, and kept for the last hour.

The first request after a second or two reads anew, and all others get the same. Without requests nothing is read but
one point a minute, for the small charts.
"""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Event, Lock, Thread

from fundlyhub.forks import in_each_process
from fundlyhub.monitoring.readings import Sample, sources
from fundlyhub.monitoring.time_limited import Bounded
from fundlyhub.observability.redaction import describe
from fundlyhub.processing.processor import Processor
from fundlyhub.settings import Settings

FRESH = 1.0
"""Seconds for which a snapshot is good, at least."""
SHARE, WAITED, LONGEST = 200.0, 50.0, 10.0
"""It is good for so many times the seconds that reading it took of a processor here (half a percent of a core) and that
the servers took to answer, in seconds at most: looking must not be what loads."""
LIMIT = 2.0
"""Seconds that a server has to answer; after that its numbers are missing."""
POINT = 60.0
"""Seconds between two points of the charts."""
POINTS = 61

Labels = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The numbers by metric and labels, and for each source that did not answer the reason.

    ``clock`` is the monotonic time in seconds, for rates; ``good`` for how many seconds it is; ``at`` the time of day.
    """

    numbers: Mapping[str, Mapping[Labels, float]]
    missing: Mapping[str, str]
    clock: float
    good: float = FRESH
    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def value(self, metric: str, *labels: str) -> float | None:
        """One number; None when its source did not answer."""
        return self.numbers.get(metric, {}).get(labels)

    def by(self, metric: str) -> Mapping[Labels, float]:
        """All numbers of a metric by their labels."""
        return self.numbers.get(metric, {})

    def total(self, metric: str) -> float | None:
        """The sum over all labels; None when nothing is known."""
        found = self.by(metric)
        return sum(found.values()) if found else None


class Snapshots:
    """The newest snapshot, those before it for rates, and a point a minute."""

    def __init__(self, settings: Settings, processors: Mapping[str, type[Processor]]) -> None:
        bounds = {"connect_timeout": LIMIT, "statement_timeout": LIMIT}
        self._sources = sources(settings.model_copy(update=bounds), processors, keep=True)
        self._recent: deque[Snapshot] = deque(maxlen=15)
        self._points: deque[Snapshot] = deque(maxlen=POINTS)
        in_each_process(self._begin)

    def _begin(self) -> None:
        self._lock, self._bounded, self._is_stale = Lock(), Bounded(), False

    def now(self) -> Snapshot:
        """A snapshot that is about a second old at most: longer where reading is dear, or a source does not answer."""
        with self._lock:
            is_good = self._recent and time.monotonic() - self._recent[-1].clock < self._recent[-1].good
            if self._is_stale or not is_good:
                self._is_stale = False
                self._recent.append(self._read())
            newest = self._recent[-1]
            if not self._points or newest.clock - self._points[-1].clock >= POINT:
                self._points.append(newest)
            return newest

    def forget(self) -> None:
        """Read anew at the next look: somebody changed something, and wants to see it."""
        self._is_stale = True

    def latest(self) -> Snapshot | None:
        """The last snapshot, however old: for what must not wait for a server that hangs."""
        recent = list(self._recent)
        return recent[-1] if recent else None

    def rate(self, metric: str, *labels: str) -> float | None:
        """By how much a number has grown a second, over the last snapshots; None before the second one."""
        return _growth(list(self._recent), metric, labels)

    def points(self) -> Sequence[Snapshot]:
        """The last hour, a point a minute, the oldest first."""
        return list(self._points)

    def rates(self, metric: str, *labels: str) -> list[float | None]:
        """The growth a second between each two points of the last hour."""
        points = self.points()
        return [_growth(pair, metric, labels) for pair in itertools.pairwise(points)]

    def keep(self, stop: Event) -> Thread:
        """Take the points in a thread until ``stop`` is set."""

        def run() -> None:
            while not stop.wait(POINT):
                self.now()

        thread = Thread(target=run, name="console-points", daemon=True)
        thread.start()
        return thread

    def _read(self) -> Snapshot:
        numbers: dict[str, dict[Labels, float]] = {}
        missing: dict[str, str] = {}
        began, used, waited = time.monotonic(), 0.0, 0.0
        for source, result in self._bounded.run(self._sources, LIMIT + 1).items():
            used, waited = used + result.used, waited + result.seconds
            if result.error is not None:
                missing[source] = describe(result.error)
            for sample in _samples(result.value):
                numbers.setdefault(sample.metric, {})[sample.labels] = sample.value
        return Snapshot(numbers, missing, began, max(FRESH, min(LONGEST, max(SHARE * used, WAITED * waited))))


def _samples(value: Sequence[Sample] | None) -> Iterator[Sample]:
    yield from value or ()


def _growth(points: Sequence[Snapshot], metric: str, labels: Labels) -> float | None:
    known = [(one.clock, value) for one in points if (value := _value(one, metric, labels)) is not None]
    if len(known) < 2:
        return None
    (began, first), (ended, last) = known[0], known[-1]
    return max(0.0, last - first) / (ended - began)


def _value(snapshot: Snapshot, metric: str, labels: Labels) -> float | None:
    return snapshot.value(metric, *labels) if labels else snapshot.total(metric)
