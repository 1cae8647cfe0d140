"""Numbers of a run as cells and rows of Markdown tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from benchmarks.results import Number, Results
from benchmarks.rows import TITLES


def measures(results: Results, begin: str) -> list[str]:
    """The measures whose names begin so: one for each rate."""
    return [name for name in dict.fromkeys(key[0] for key in results.numbers) if name.startswith(begin)]


def in_order(results: Results, measure: str) -> Iterator[str]:
    there = results.rows(measure)
    return (key for key in TITLES if key in there)


def simple(results: Results, measure: str, columns: Mapping[str, str]) -> str:
    """A row for each; a column that an older run did not measure is left out."""
    keys = list(in_order(results, measure))
    there = {head: name for head, name in columns.items() if any(results.number(measure, key, name) for key in keys)}
    rows = [(TITLES[key], *(spread(results.number(measure, key, name)) for name in there.values())) for key in keys]
    return markdown(("row", *there), rows)


def cell(results: Results, measure: str, row: str, quantity: str) -> str:
    """The median of a number, or nothing."""
    number = results.number(measure, row, quantity)
    return "" if number is None else number_text(number.median)


def spread(number: Number | None) -> str:
    """The median, and in brackets how far the rounds lie apart."""
    if number is None:
        return ""
    if len(number.values) == 1:
        return number_text(number.median)
    return f"{number_text(number.median)} ({number_text(number.lowest)} to {number_text(number.highest)})"


def share(number: Number | None) -> str:
    """The median of a share, as per cent."""
    return "" if number is None else f"{round(100 * number.median)} %"


def number_text(value: float) -> str:
    """Three digits where there are no more: 0.52, 9.84, 41.3, 41,300."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table as Markdown."""
    if not rows:
        return "Not measured.\n"
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
