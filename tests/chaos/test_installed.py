"""The wheel in an empty environment, on each Python that it is for: `fundlyhub demo` runs there, and is verified."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import ROOT
from tests.support.wheel import built, require_index

VERSIONS = ("3.11", "3.12", "3.13", "3.14")
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith(("FUNDLYHUB_", "PYTHON"))}
"""The environment of somebody who has none of this repository."""


def run(*argv: str | Path, timeout: float = 400) -> subprocess.CompletedProcess[str]:
    """A command to its end, away from the checkout."""
    return subprocess.run(argv, env=CLEAN, cwd="/", capture_output=True, text=True, timeout=timeout, check=False)


def candidates(version: str) -> Iterator[str]:
    """What may be a Python of this version: by its name, and what pyenv has of it, where there is pyenv."""
    yield f"python{version}"
    if shutil.which("pyenv"):
        for line in run("pyenv", "versions", "--bare").stdout.split():
            if line.startswith(f"{version}."):
                yield f"{run('pyenv', 'prefix', line).stdout.strip()}/bin/python"


def interpreter(version: str) -> str:
    """One that runs; a version manager's python3.12 may be there and only say no. Without any the test is skipped."""
    asked = f"import sys, venv, ensurepip; sys.exit('%d.%d' % sys.version_info[:2] != '{version}')"
    for python in candidates(version):
        if shutil.which(python) and run(python, "-c", asked).returncode == 0:
            return python
    pytest.skip(f"there is no Python {version} with venv here")


@pytest.fixture
def environment(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """The programs of an environment that holds the wheel, what it rests on, and nothing else."""
    folder = tmp_path / "environment"
    made = run(interpreter(request.param), "-m", "venv", folder)
    assert made.returncode == 0, made.stderr
    python = folder / "bin" / "python"
    require_index(python)
    below = ["--require-hashes", "-r", str(ROOT / "requirements" / "run.txt")]
    for what in (below, ["--no-deps", str(built(tmp_path))]):
        done = run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *what)
        assert done.returncode == 0, done.stderr
    yield folder / "bin"
    shutil.rmtree(folder)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("environment", VERSIONS, indirect=True)
def test_the_demo_of_an_installed_wheel_is_verified(environment: Path, server_root: Path) -> None:
    found = run(environment / "python", "-c", "import fundlyhub, sys; print(fundlyhub.__file__)").stdout
    assert Path(found).is_relative_to(environment.parent)
    data = server_root / f"installed-{os.urandom(4).hex()}"
    done = run(environment / "fundlyhub", "demo", "--events", "100", "--data-dir", data, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["verified"], told["mismatches"]) == (True, [])
    assert told["events"] >= 100
    assert min(told["checked"].values()) > 0
    assert told["outage"] is None, "its mail provider needs an extra"
