"""The page of the benchmarks: targets, ratios, tables between marks, and the plot."""

from __future__ import annotations

import xml.etree.ElementTree as xml
from pathlib import Path

import pytest

from benchmarks import report
from benchmarks.chart import Bar, bars
from benchmarks.results import Results
from benchmarks.rows import ROWS, WHOLE
from benchmarks.targets import targets

ABOUT = {
    "date": "2026-01-01", "cores": 2, "postgresql": "18", "python": "3.13", "celery": "5.7", "events": 1_000,
    "rounds": 3, "load": 0.1, "growth_small": 10, "growth_large": 20,
}  # fmt: skip


def measured(**rates: float) -> Results:
    """A drain of these rows; their names with ``_`` for ``-``."""
    made = Results(about=dict(ABOUT))
    for name, rate in rates.items():
        made.add("drain", name.replace("_", "-"), {"events_per_s": rate})
    return made


def found(results: Results, what: str) -> tuple[float | None, bool | None]:
    """What became of one target."""
    (one,) = (target for target in targets(results) if target.what == what)
    return one.found, one.met


@pytest.mark.parametrize(
    ("what", "ratio", "met"),
    [
        ("drain against the average team's Celery", 40.0, False),
        ("drain against the best of the peers", 8.0, False),
        ("drain against the limit", 0.4, False),
        ("drain with all processors against that Celery with one", 20.0, True),
    ],
)
def test_a_target_is_a_ratio_within_the_run(what: str, ratio: float, met: bool) -> None:
    results = measured(ours=24_000, ours_all=12_000, celery_outbox=600, pg_boss=3_000, dramatiq=1_500, limit=60_000)
    value, is_met = found(results, what)
    assert value == pytest.approx(ratio)
    assert is_met is met


@pytest.mark.parametrize(("row", "target", "ratio", "met"), [
    ("whole-celery", "whole system against the average team's Celery doing it all", 10.0, True),
    ("whole-limit", "whole system against the limit of the whole", 0.5, False),
])  # fmt: skip
def test_the_whole_system_has_targets_of_its_own(row: str, target: str, ratio: float, met: bool) -> None:
    results = measured(ours=1)
    for key, rate in (("whole", 600), ("whole-celery", 60), ("whole-limit", 1_200)):
        results.add("whole", key, {"events_per_s": rate})
    value, is_met = found(results, target)
    assert value == pytest.approx(ratio)
    assert is_met is met
    line = next(line for line in report.TABLES["whole"](results).splitlines() if WHOLE["whole"].title in line)
    assert line.startswith(f"| {WHOLE['whole'].title} | 600 | 10.00 | 0.50 |")


def test_costs_are_told_of_events_or_of_messages() -> None:
    results = measured(ours=1)
    for name in ("whole", "campaign_stats", "email_notification"):
        results.add("whole_costs", name, {"client_cpu_us": 20, "round_trips": 0.5})
    lines = report.TABLES["wholecosts"](results).splitlines()[2:]
    assert [line.split(" | ")[1] for line in lines] == ["event", "event", "message"]


def test_the_average_teams_celery_is_one_of_the_peers() -> None:
    assert found(measured(ours=600, celery_outbox=60, pg_boss=30), "drain against the best of the peers")[0] == 10


def test_what_was_not_measured_is_neither_met_nor_missed() -> None:
    assert found(measured(ours=600), "drain against the limit") == (None, None)
    assert "| not measured |" in report.TABLES["targets"](measured(ours=600))


@pytest.mark.parametrize(("p50", "met"), [(4.5, True), (4.6, False)])
def test_a_bound_from_above(p50: float, met: bool) -> None:
    results = measured(ours=1)
    results.add("latency at 50/s", "ours", {"p50": p50, "p99": 1.0})
    assert found(results, "latency at 50 events/s, p50") == (p50, met)


def test_a_row_stands_with_its_ratios_and_the_spread_of_its_rounds() -> None:
    results = measured(ours=1_000, celery_outbox=100, limit=2_000)
    results.add("drain", "ours", {"events_per_s": 3_000})
    line = report.TABLES["drain"](results).splitlines()[2]
    assert line.startswith("| FundlyHub on Valkey | 2,000 (1,000 to 3,000) | 20.00 | 20.00 | 1.00 |")


def test_a_column_that_nobody_measured_is_left_out() -> None:
    results = measured(ours=1)
    results.add("mail", "ours", {"mails_per_s": 500, "provider_cpu_us": 200})
    results.add("mail", "celery-outbox", {"mails_per_s": 400})
    head, _, first, second = report.TABLES["mail"](results).splitlines()
    assert head == "| row | mails/s | the provider's |"
    assert (first[-13:], second[-10:]) == ("| 500 | 200 |", "| 400 |  |")


def test_rows_that_are_missing_and_runs_that_failed_are_told() -> None:
    results = measured(ours=1)
    results.missing["pg-boss"] = "node is not installed"
    results.failures.append("drain: 3 totals are wrong")
    told = report.TABLES["about"](results)
    assert "Left out: pg-boss: node is not installed." in told
    assert "Failed, and so without a number: drain: 3 totals are wrong." in told


def test_a_page_keeps_what_stands_outside_its_marks() -> None:
    page = (
        "before\n<!-- bench: drain -->\nold\n<!-- bench: end -->\nbetween\n<!-- bench: mail -->\n<!-- bench: end -->\n"
    )
    once = report.filled(page, measured(ours=5))
    assert once.startswith("before\n<!-- bench: drain -->\n| row |")
    assert "old" not in once
    assert once.endswith("between\n<!-- bench: mail -->\nNot measured.\n<!-- bench: end -->\n")
    assert report.filled(once, measured(ours=5)) == once


def test_a_mark_without_a_table_is_a_mistake() -> None:
    with pytest.raises(KeyError):
        report.filled("<!-- bench: nothing -->\n<!-- bench: end -->\n", measured(ours=5))


def test_the_page_of_the_docs_has_a_place_for_every_table_and_shows_the_committed_numbers() -> None:
    page = report.PAGE.read_text()
    for name in report.TABLES:
        assert f"<!-- bench: {name} -->" in page
    results = Results.read(report.NUMBERS)
    assert report.filled(page, results) == page, "run python -m benchmarks.report"
    assert report.PLOT.read_text() == report.plot(results)


def test_the_plot_is_a_picture_with_a_longer_bar_for_a_larger_value(tmp_path: Path) -> None:
    drawn = bars("a & b", [Bar("small", 10, 9, 11, "peer"), Bar("large", 1_000, 900, 1_200, "ours")])
    root = xml.fromstring(drawn)  # noqa: S314 - it is our own
    widths = [float(one.get("width", "0")) for one in root.iter("{http://www.w3.org/2000/svg}rect")][1:]
    assert widths[0] < widths[1]


def test_every_row_has_a_colour_and_a_title_of_its_own() -> None:
    results = measured(**{key.replace("-", "_"): 100.0 for key in ROWS})
    assert report.plot(results).count("<rect") == len(ROWS) + 1
    assert len({row.title for row in ROWS.values()}) == len(ROWS)
