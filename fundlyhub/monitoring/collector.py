"""Prometheus metrics of the platform, read from tables and servers at each scrape, independent of any worker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from logging import getLogger
from typing import NamedTuple

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from fundlyhub.monitoring.readings import Sample, sources
from fundlyhub.monitoring.time_limited import Bounded
from fundlyhub.observability.redaction import describe
from fundlyhub.processing.processor import Processor
from fundlyhub.settings import Settings

log = getLogger(__name__)

LIMIT = 8.0
"""Seconds that a source may take: Prometheus gives up after ten."""


class Described(NamedTuple):
    """A metric: its help text, labels and kind."""

    text: str
    labels: tuple[str, ...] = ()
    counter: bool = False

    def family(self, name: str) -> Metric:
        """The metric without samples."""
        kind = CounterMetricFamily if self.counter else GaugeMetricFamily
        return kind(name, self.text, labels=self.labels)


UP = "fundlyhub_source_up"
METRICS: Mapping[str, Described] = {
    UP: Described("1, or 0 if the source did not answer in time; its metrics are then absent.", ("source",)),
    "fundlyhub_log_head_position": Described("Position of the newest event in the log."),
    "fundlyhub_relay_leaders": Described("1, or 0 if no relay leads."),
    "fundlyhub_relay_lag_events": Described("Events that are committed and not relayed."),
    "fundlyhub_relay_lag_seconds": Described("Age of the oldest event that is not relayed."),
    "fundlyhub_events_applied": Described("Events that took effect: the claims.", ("processor",), counter=True),
    "fundlyhub_events_waiting": Described("Events that it handles and has not applied or put off.", ("processor",)),
    "fundlyhub_events_waiting_seconds": Described("Age of the oldest waiting event.", ("processor",)),
    "fundlyhub_events_retrying": Described("Events that failed and will be retried.", ("processor",)),
    "fundlyhub_events_retrying_seconds": Described("Seconds since the first failure of the oldest.", ("processor",)),
    "fundlyhub_events_snoozed": Described("Events that wait without having failed.", ("processor",)),
    "fundlyhub_events_blocked": Described("Events that wait for what its database lacks.", ("processor",)),
    "fundlyhub_dead_letters_open": Described("Dead letters that wait for an operator.", ("processor", "type")),
    "fundlyhub_quarantine_open": Described("Stream entries that are no valid events.", ("stream",)),
    "fundlyhub_processor_paused": Described("1 while it is paused, by a burst or by hand.", ("processor", "kind")),
    "fundlyhub_queue_messages": Described("Messages that wait in the queue.", ("queue",)),
    "fundlyhub_queue_consumers": Described("Workers that consume the queue.", ("queue",)),
    "fundlyhub_breaker_state": Described("1 for the current state of the breaker.", ("service", "state")),
    "fundlyhub_breaker_state_seconds": Described("Seconds in that state.", ("service",)),
    "fundlyhub_messages_open": Described("Messages to users that are not settled yet.", ("channel", "state")),
    "fundlyhub_delivery_reports_waiting": Described("Delivery reports that are stored and not applied yet."),
    "fundlyhub_delivery_reports_waiting_seconds": Described("Age of the oldest of them."),
    "fundlyhub_delivery_reports_failed": Described("Delivery reports that cannot be applied."),
    "fundlyhub_digests_overdue": Described("Digests that are late by more than an hour.", ("channel",)),
    "fundlyhub_search_documents_waiting": Described("Documents that Elasticsearch lacks."),
    "fundlyhub_search_documents_refused": Described("Documents that Elasticsearch refused."),
    "fundlyhub_ingest_lag_entries": Described("Entries of a stream that are not read.", ("stream",)),
    "fundlyhub_ingest_pending_entries": Described("Entries that are read and not acknowledged.", ("stream",)),
    "fundlyhub_ingest_lag_seconds": Described("Age of the oldest of either.", ("stream",)),
}
"""Every metric by its name; Prometheus adds ``_total`` to that of a counter."""


class TablesCollector(Collector):
    """Reads all sources in parallel at each scrape; a failed source lacks only its own metrics."""

    def __init__(self, settings: Settings, processors: Mapping[str, type[Processor]]) -> None:
        self._limit = min(LIMIT, settings.connect_timeout)
        bounds = {"connect_timeout": self._limit, "statement_timeout": self._limit}
        self._sources = sources(settings.model_copy(update=bounds), processors)
        self._bounded = Bounded()

    def describe(self) -> Iterator[Metric]:
        """All metrics without samples."""
        return (described.family(name) for name, described in METRICS.items())

    def collect(self) -> Iterator[Metric]:
        """All metrics with their current samples."""
        families = {name: described.family(name) for name, described in METRICS.items()}
        for source, result in self._bounded.run(self._sources, self._limit).items():
            if result.error is not None:
                log.warning("the numbers of %s are missing: %s", source, describe(result.error))
            samples: list[Sample] = result.value or []
            for sample in (Sample(UP, (source,), int(result.error is None)), *samples):
                families[sample.metric].add_metric(sample.labels, sample.value)  # type: ignore[attr-defined]
        return iter(families.values())


def registry(settings: Settings, processors: Mapping[str, type[Processor]]) -> CollectorRegistry:
    """A registry with only these metrics. Raises WrongUse if a setting is missing."""
    found = CollectorRegistry()
    found.register(TablesCollector(settings, processors))
    return found
