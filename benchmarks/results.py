"""Numbers of a run: what was measured of which row, once per round, and the file that keeps them."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Number:
    """One number of all rounds: the median, and how far they lie apart."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """What counts."""
        return statistics.median(self.values)

    @property
    def lowest(self) -> float:
        """The least of them."""
        return min(self.values)

    @property
    def highest(self) -> float:
        """The most of them."""
        return max(self.values)


@dataclass(slots=True)
class Results:
    """Numbers by measure, row and quantity; rows that were left out, with the reason; runs that failed."""

    about: dict[str, Any] = field(default_factory=dict)
    numbers: dict[tuple[str, str, str], list[float]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def add(self, measure: str, row: str, quantities: Mapping[str, float]) -> None:
        """Another round's."""
        for quantity, value in quantities.items():
            self.numbers.setdefault((measure, row, quantity), []).append(value)

    def number(self, measure: str, row: str, quantity: str) -> Number | None:
        """All rounds of one, or None where it was not measured."""
        values = self.numbers.get((measure, row, quantity))
        return Number(tuple(values)) if values else None

    def rows(self, measure: str) -> list[str]:
        """The rows that a measure has numbers of."""
        return list(dict.fromkeys(row for name, row, _ in self.numbers if name == measure))

    def to_json(self) -> str:
        """As the file holds them."""
        numbers = [
            {"measure": measure, "row": row, "quantity": quantity, "values": [round(value, 4) for value in values]}
            for (measure, row, quantity), values in self.numbers.items()
        ]
        document = {"about": self.about, "numbers": numbers, "missing": self.missing, "failures": self.failures}
        return json.dumps(document, indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Results:
        """What a file holds."""
        document = json.loads(text)
        numbers = {(one["measure"], one["row"], one["quantity"]): one["values"] for one in document["numbers"]}
        return cls(document["about"], numbers, document["missing"], document["failures"])

    @classmethod
    def read(cls, file: Path) -> Results:
        """A file."""
        return cls.from_json(file.read_text())


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """p50, p95 and p99: the smallest value that so many hundredths do not exceed."""
    ordered = sorted(values)
    return {f"p{rank}": ordered[max(0, -(-len(ordered) * rank // 100) - 1)] for rank in (50, 95, 99)}


def best_peer(results: Results, measure: str, quantity: str, peers: Sequence[str], *, least: bool) -> str | None:
    """The peer with the best median, if any was measured."""
    found = dict(_medians(results, measure, quantity, peers))
    if not found:
        return None
    return min(found, key=found.__getitem__) if least else max(found, key=found.__getitem__)


def _medians(results: Results, measure: str, quantity: str, rows: Sequence[str]) -> Iterator[tuple[str, float]]:
    for row in rows:
        number = results.number(measure, row, quantity)
        if number is not None:
            yield row, number.median
