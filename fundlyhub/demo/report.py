"""The result of a run, and the same as a JSON document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fundlyhub.demo.check import Comparison
from fundlyhub.demo.clock import Clock
from fundlyhub.demo.messages import Told
from fundlyhub.demo.outage import Report
from fundlyhub.demo.publisher import Tally


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a run. ``verified`` is the report of `fundlyhub verify`.

    ``rush`` is the clock of the first phase, ``whole`` the same with messages, and ``steady`` that of the paced one.
    """

    run: int
    tally: Tally
    comparison: Comparison
    told: Told
    outage: Report | None
    verified: Mapping[str, Any]
    rush: Clock
    whole: Clock
    steady: Clock
    seconds: float


def report(result: Result, seed: int, broker: str, api: bool) -> dict[str, Any]:
    """The run as one JSON document; ``api`` says that the example API service published."""
    checked = {**result.comparison.checked, "messages": result.told.checked}
    mismatches = result.comparison.mismatches + result.told.mismatches
    mismatches += [{**one, "what": f"verify: {one['what']}"} for one in result.verified["findings"]]
    return {
        "verified": not mismatches and result.verified["ok"],
        "events": len(result.tally.positions),
        "applied": len(result.tally.wanted),
        "passed_over": len(result.tally.positions) - len(result.tally.wanted),
        "rolled_back": result.tally.rolled_back,
        "duplicates": result.tally.duplicates,
        "campaigns": len(result.comparison.titles),
        "effects": result.tally.effects,
        "numbers": sum(checked.values()),
        "checked": checked,
        "messages": dict(result.told.sent),
        "verify": result.verified["checked"],
        "outage": result.outage.document() if result.outage else None,
        "mismatches": mismatches,
        "throughput_events_per_s": round(result.rush.rate(), 1),
        "whole_events_per_s": round(result.whole.rate(), 1),
        "latency_ms": result.steady.latency_ms(),
        "clock": result.rush.source,
        "seconds": round(result.seconds, 1),
        "seed": seed,
        "run": result.run,
        "broker": broker,
        "api": api,
    }
