"""Idle: the CPU that relay and worker use while nothing happens, and the memory that they hold."""

from __future__ import annotations

import time
from pathlib import Path

from benchmarks.measures.drain import wait
from benchmarks.rows.ours import Ours
from benchmarks.stage import Stage
from benchmarks.usage import cpu_seconds, memory_mb

CALM = 5.0
"""Seconds after the last event before the clock starts."""


def measure(stage: Stage, row: Ours, file: Path, seconds: float) -> dict[str, float]:
    """Per cent of one core, of each, after a few events have gone through."""
    with stage.place(row.broker) as place:
        processes = {name: process.popen.pid for name, process in row.start(place).items()}
        place.run(row.publisher(place, file, 50, 1))
        wait(place, row, 70)
        time.sleep(CALM)
        before = {name: cpu_seconds([pid]) for name, pid in processes.items()}
        began = time.monotonic()
        time.sleep(seconds)
        passed = time.monotonic() - began
        shares = {name: 100 * (cpu_seconds([pid]) - before[name]) / passed for name, pid in processes.items()}
        held = {f"{name}_mb": memory_mb(pid) for name, pid in processes.items()}
    return {**{f"{name}_percent": share for name, share in shares.items()}, **held, "percent": sum(shares.values())}
