"""A process from the nursery is a process like any other."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support import ROOT
from tests.support.command import environment, run
from tests.support.nursery import Child, Start, can_bear

PROGRAM = """
import atexit, os, sys, time
from fundlyhub.settings import get_settings

atexit.register(lambda: print("the end"))
match sys.argv[1]:
    case "tell":
        print(get_settings.cache_info().currsize, "fundlyhub.celery" in sys.modules, os.getsid(0) == os.getpid())
        print(__name__, sys.argv[1:], os.environ.get("OURS"), os.environ.get("THEIRS"), sys.stdin.read())
    case "leave":
        sys.exit(7)
    case "fail":
        raise ValueError("on purpose")
    case "stay":
        print("here", flush=True)
        time.sleep(600)
"""


@pytest.fixture
def variables(tmp_path: Path) -> dict[str, str]:
    """The environment of a module `program` in the test's folder."""
    (tmp_path / "program.py").write_text(PROGRAM)
    return {**environment({"OURS": "ours"}), "PYTHONPATH": f"{ROOT}:{tmp_path}"}


def start(variables: Mapping[str, str], folder: Path, *args: str) -> Child:
    out = folder / "out"
    return Child(Start("program", args, variables, folder, Path(os.devnull), out, out))


def test_it_has_a_main_module_arguments_environment_and_stdin_of_its_own(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THEIRS", "theirs")
    done = run("program", ["tell", "more"], variables, b"input")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["0 False True", "__main__ ['tell', 'more'] ours None input", "the end"]


def test_its_status_is_what_it_left_with(variables: dict[str, str]) -> None:
    assert run("program", ["leave"], variables).returncode == 7
    failed = run("program", ["fail"], variables)
    assert failed.returncode == 1
    assert "ValueError: on purpose" in failed.stderr
    assert failed.stdout == "the end\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_signal_ends_it(variables: dict[str, str], tmp_path: Path, number: int) -> None:
    child = start(variables, tmp_path, "stay")
    assert child.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        child.wait(0.01)
    child.send_signal(number)
    assert child.wait(30) == child.returncode == -number
    child.send_signal(number)  # nobody is there, and it is no error


def test_what_is_no_plain_module_of_this_checkout_is_started_as_usual() -> None:
    plain, module = {"PYTHONPATH": str(ROOT)}, [sys.executable, "-m", "fundlyhub"]
    assert can_bear(module, plain)
    assert not can_bear(["valkey-server"], plain)
    assert not can_bear(module, {**plain, "LD_PRELOAD": "clock.so"})
    assert not can_bear(module, {"PYTHONPATH": f"/newer:{ROOT}"})
