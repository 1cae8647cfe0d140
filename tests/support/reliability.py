"""What chaos tests have measured: one record each, as lines of JSON and as a table of Markdown."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
_HEAD = ("fault", "where", "injected", "events", "lost", "repeated", "delayed, s")


@dataclass(frozen=True, slots=True)
class Record:
    """One fault in one test. ``delayed`` is the time in seconds from the fault's end until all was settled."""

    fault: str
    where: str
    injected: int
    events: int = 0
    lost: int = 0
    repeated: int = 0
    delayed: float = 0.0


def write_lines(records: Sequence[Record], file: Path) -> None:
    """One JSON document a line."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(asdict(record), ensure_ascii=False) + "\n" for record in records))


def table(records: Sequence[Record]) -> str:
    """The records by fault and place: those that fell at the same place more than once are added up."""
    rows: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        rows.setdefault((record.fault, record.where), []).append(record)
    lines = [_row(_HEAD), _row(["---"] * 2 + ["---:"] * 5)]
    for (fault, where), group in rows.items():
        sums = [sum(getattr(one, name) for one in group) for name in ("injected", "events", "lost", "repeated")]
        lines.append(_row([fault, where, *map(str, sums), f"{max(one.delayed for one in group):.1f}"]))
    return "\n".join(lines) + "\n"


def put_into(page: Path, text: str) -> None:
    """Replace what stands between the two marks of a page."""
    before, _, rest = page.read_text().partition(BEGIN)
    _, mark, after = rest.partition(END)
    assert mark, f"{page} lacks the marks {BEGIN} and {END}"
    page.write_text(f"{before}{BEGIN}\n{text}{END}{after}")


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
