"""A package of its own, from its wheel beside our wheel: neither sees the checkout, and its own tests pass."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.support import ROOT
from tests.support.wheel import built, copy_tracked, wheel_of

PACKAGE = ROOT / "examples" / "outside_package"
LOOK = """
import importlib.util, sys
import fundlyhub, donor_leaderboard

print(fundlyhub.__file__)
print(donor_leaderboard.__file__)
print([name for name in ("tests", "examples", "benchmarks", "celeryconfig") if importlib.util.find_spec(name)])
print("\\n".join(sys.path))
"""


def installed(folder: Path) -> Path:
    """The Python of an environment with both wheels; dependencies are those of this one, and nothing is fetched."""
    source = folder / "outside"
    copy_tracked(source, lambda name: not name.startswith("leaderboard_tests/"), PACKAGE)
    wheels = [built(folder / "ours"), wheel_of(source, folder / "theirs")]
    environment = folder / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    python = environment / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "-q", "--no-deps", "--no-index"]
    subprocess.run([*pip, *map(str, wheels)], check=True)
    (site,) = (environment / "lib").glob("python*/site-packages")
    # A folder behind the environment's own: what makes the checkout importable there, a .pth file, is not read.
    (site / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"])
    return python


@pytest.mark.chaos  # for its length
@pytest.mark.timeout(900)
def test_a_package_of_its_own_passes_its_tests_beside_our_wheel(tmp_path: Path) -> None:
    python = installed(tmp_path)
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("FUNDLYHUB_", "PYTHON"))}
    tests = tmp_path / "elsewhere" / "leaderboard_tests"
    tests.mkdir(parents=True)
    for path in (PACKAGE / "leaderboard_tests").glob("*.py"):
        (tests / path.name).write_bytes(path.read_bytes())
    seen = subprocess.run([python, "-c", LOOK], cwd=tests, env=clean, capture_output=True, text=True, check=True).stdout
    ours, theirs, strange, *paths = seen.splitlines()
    assert ours.startswith(str(tmp_path / "environment"))
    assert theirs.startswith(str(tmp_path / "environment"))
    assert strange == "[]"
    assert str(ROOT) not in paths
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:valkey", "-p", "no:docker_tools", "-p", "no:celery"]
    done = subprocess.run(
        [python, "-m", "pytest", *options, str(tests)], cwd=tests, env=clean, capture_output=True, text=True,
        check=False, timeout=360,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 passed" in done.stdout
