"""Numbers of rounds: medians, percentiles, the best of the peers, and the file that keeps them."""

from __future__ import annotations

import pytest

from benchmarks.results import Number, Results, best_peer, percentiles


def results() -> Results:
    """Two rounds of two rows."""
    made = Results(about={"date": "2026-01-01"}, missing={"pg-boss": "node is not installed"})
    for ours, theirs in ((100.0, 10.0), (90.0, 30.0)):
        made.add("drain", "ours", {"events_per_s": ours})
        made.add("drain", "pgqueuer", {"events_per_s": theirs})
    made.add("drain", "dramatiq", {"events_per_s": 15.0})
    return made


@pytest.mark.parametrize(
    ("values", "median", "lowest", "highest"),
    [((3.0,), 3, 3, 3), ((9.0, 1.0, 2.0), 2, 1, 9), ((1.0, 2.0), 1.5, 1, 2)],
)
def test_the_median_of_the_rounds_counts(
    values: tuple[float, ...], median: float, lowest: float, highest: float
) -> None:
    number = Number(values)
    assert (number.median, number.lowest, number.highest) == (median, lowest, highest)


@pytest.mark.parametrize(
    ("count", "p50", "p95", "p99"), [(1, 1, 1, 1), (2, 1, 2, 2), (100, 50, 95, 99), (1_000, 500, 950, 990)]
)
def test_a_percentile_is_a_value_that_was_measured(count: int, p50: int, p95: int, p99: int) -> None:
    values = [float(n) for n in range(count, 0, -1)]
    assert percentiles(values) == {"p50": p50, "p95": p95, "p99": p99}


def test_the_best_peer_is_the_one_with_the_best_median() -> None:
    peers = ("pgqueuer", "dramatiq", "pg-boss")
    assert best_peer(results(), "drain", "events_per_s", peers, least=False) == "pgqueuer"
    assert best_peer(results(), "drain", "events_per_s", peers, least=True) == "dramatiq"


def test_without_peers_there_is_no_best_one() -> None:
    assert best_peer(results(), "latency at 50/s", "p50", ("pgqueuer",), least=True) is None


def test_what_was_not_measured_is_no_number() -> None:
    assert results().number("drain", "pg-boss", "events_per_s") is None
    assert results().rows("drain") == ["ours", "pgqueuer", "dramatiq"]


def test_a_file_keeps_everything() -> None:
    made = results()
    made.failures.append("drain: stalled")
    assert Results.from_json(made.to_json()) == made
