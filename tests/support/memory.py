"""How much memory a process has used, by the kernel's account."""

from __future__ import annotations

from pathlib import Path

from tests.support.platform import Process


def peak_memory(process: Process) -> int:
    """Bytes that a process has held at most, without those of its children."""
    return _peak(process.popen.pid)


def _peak(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (kilobytes,) = (line.split()[1] for line in lines if line.startswith("VmHWM"))
    return int(kilobytes) * 1024


def peak_memory_of_children(process: Process) -> int:
    """Bytes that the largest child of a process has held at most."""
    children = Path(f"/proc/{process.popen.pid}/task/{process.popen.pid}/children").read_text().split()
    return max(_peak(int(child)) for child in children)
