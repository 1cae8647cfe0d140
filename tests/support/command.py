"""Runs a `fundlyhub` command, or any Python module, as a person would: in a process with its own environment."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]

Done = subprocess.CompletedProcess[str]


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """This process's environment with none of our settings but these."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FUNDLYHUB_")}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "default", **variables}


def dsns(events: str, app: str | None = None, analytics: str | None = None) -> dict[str, str]:
    """The settings of three databases; what is not given is the first."""
    return {
        "FUNDLYHUB_EVENTS_DSN": events,
        "FUNDLYHUB_APP_DSN": app or events,
        "FUNDLYHUB_ANALYTICS_DSN": analytics or events,
    }


def fundlyhub(*args: str, settings: Mapping[str, str], input: bytes | None = None, module: str = "fundlyhub") -> Done:
    """`fundlyhub ARGS` to its end, at most a minute."""
    done = subprocess.run(
        [sys.executable, "-m", module, *args],
        env=environment(settings),
        cwd=ROOT,
        input=b"" if input is None else input,
        capture_output=True,
        timeout=60,
    )
    return Done(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())
