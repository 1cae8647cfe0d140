"""Runs a `fundlyhub` command, or any Python module, as a person would: in a process with its own environment."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from fundlyhub.testing.databases import dsns as dsns
from tests.support import ROOT
from tests.support.nursery import Child, Start

Done = subprocess.CompletedProcess[str]


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """This process's environment with none of our settings but these."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FUNDLYHUB_")}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "default", **variables}


def fundlyhub(*args: str, settings: Mapping[str, str], input: bytes | None = None, module: str = "fundlyhub") -> Done:
    """`fundlyhub ARGS` to its end, at most a minute."""
    return run(module, args, environment(settings), input)


def run(module: str, args: Sequence[str], variables: Mapping[str, str], input: bytes | None = None) -> Done:
    """A module to its end, with these variables and no others.

    Raises subprocess.TimeoutExpired, and ends it, when it takes longer than a minute.
    """
    with TemporaryDirectory() as folder:
        stdin, stdout, stderr = (Path(folder) / name for name in ("stdin", "stdout", "stderr"))
        stdin.write_bytes(input or b"")
        child = Child(Start(module, args, variables, ROOT, stdin, stdout, stderr))
        try:
            status = child.wait(60)
        finally:
            child.kill()
        return Done(child.args, status, stdout.read_text(), stderr.read_text())
