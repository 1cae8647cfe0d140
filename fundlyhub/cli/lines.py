"""Commands that read a file of JSON lines: their progress, and what became of the lines."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar

from fundlyhub.cli.output import Answer, Aside
from fundlyhub.cli.progress import progress_bar


class Report(Protocol):
    """What became of the lines so far; ``refused`` holds the number of the line and the reason."""

    lines: int
    refused: list[tuple[int, str]]


R = TypeVar("R", bound=Report)


def read_lines(what: str, reports: Iterable[R], report: R, *counts: str) -> Answer:
    """Read to the end and answer with these counts of the last report; refused lines make the exit status 1.

    ``report`` is that of a file without a line.
    """
    with progress_bar(what) as tell:
        for report in reports:
            tell(what, report.lines)
    numbers = {name: getattr(report, name) for name in counts}
    refused = [{"line": line, "reason": reason} for line, reason in report.refused]
    asides = (Aside(f"line {line}: {reason}") for line, reason in report.refused)
    summary = ", ".join(f"{number:,} {name}" for name, number in {**numbers, "refused": len(refused)}.items())
    return Answer({**numbers, "refused": refused}, *asides, summary, good=not refused)
