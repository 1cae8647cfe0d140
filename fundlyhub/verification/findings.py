"""The report of a verification: a bounded list of findings, and counts of all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal
from uuid import UUID

Kind = Literal["missing", "double", "different", "stuck", "forged"]

LISTED = 1_000
"""Findings that a report lists; of those beyond it only the number is kept."""

Tell = Callable[[str, int, int], None]
"""Told of progress: what is being done, how far it is, and of how much (0 if that is not known)."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as the log says.

    ``expected`` and ``found`` hold ids, states and numbers only: of a text that differs the column is named.
    ``table``, ``key`` and ``columns`` are those of a row. ``repairable`` says that sending its event again mends it.
    """

    kind: Kind
    processor: str
    what: str
    position: int | None = None
    event_id: UUID | None = None
    table: str | None = None
    key: Mapping[str, Any] | None = None
    columns: Sequence[str] = ()
    expected: Any = None
    found: Any = None
    repairable: bool = False


@dataclass(slots=True)
class Findings:
    """All findings: the first ones listed, all of them counted."""

    listed: list[Finding] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, finding: Finding) -> None:
        """One more."""
        self.counts[finding.kind] += 1
        if len(self.listed) < LISTED:
            self.listed.append(finding)

    def count(self, kind: Kind, more: int) -> None:
        """Count findings without listing them."""
        if more > 0:
            self.counts[kind] += more


@dataclass(slots=True)
class Report:
    """What was compared, and what was found. Numbers are of events, rows and messages."""

    findings: Findings = field(default_factory=Findings)
    head: int = 0
    """The last position of the log at the start: later events were not looked at."""
    checked: Counter[str] = field(default_factory=Counter)
    in_flight: dict[str, int] = field(default_factory=dict)
    """Per processor, events without a trace that are not late yet."""
    sampled: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    """What was not compared, and why."""
    repaired: int | None = None
    """Events that were sent again; None without --repair."""
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.findings.counts

    def document(self) -> dict[str, Any]:
        """The report as one JSON document."""
        return {
            "ok": self.ok,
            "findings": [asdict(finding) for finding in self.findings.listed],
            "counts": dict(self.findings.counts),
            "not_listed": self.findings.counts.total() - len(self.findings.listed),
            "head": self.head,
            "checked": dict(self.checked),
            "in_flight": self.in_flight,
            "sampled": self.sampled,
            "left_out": self.left_out,
            "repaired": self.repaired,
            "seconds": round(self.seconds, 1),
        }
