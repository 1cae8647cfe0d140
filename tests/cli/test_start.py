"""What each process says and finds at its start: variables that are no settings, and modules of the current folder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command import environment
from tests.support.platform import Platform, wait_until

pytestmark = pytest.mark.parametrize("platform", ["valkey"], indirect=True)

MISTAKE = "FUNDLYHUB_RELAY_POL is no setting: did you mean FUNDLYHUB_RELAY_POLL?"


def test_each_process_names_a_variable_that_is_no_setting(platform: Platform) -> None:
    platform.environment["FUNDLYHUB_RELAY_POL"] = "s3cret"
    ingest = platform.start("ingest", [sys.executable, "-m", "fundlyhub", "ingest"], {})
    for process in (platform.relay(), platform.worker(), ingest):
        wait_until(lambda process=process: process.said(MISTAKE), what="the mistake")  # type: ignore[misc]
        assert process.log.read_text().count(MISTAKE) == 1
    done = platform.run("relay", "status", "--json")
    assert (done.returncode, done.stderr.count(MISTAKE), "s3cret" in done.stderr) == (0, 1, False)


@pytest.mark.chaos  # for its length
def test_the_console_script_finds_modules_of_the_current_folder(platform: Platform, tmp_path: Path) -> None:
    (tmp_path / "our_processors.py").write_text("print('our own module')\n")
    variables = {name: value for name, value in platform.environment.items() if name.startswith("FUNDLYHUB_")}
    variables |= {"FUNDLYHUB_PROCESSORS": "our_processors"}
    script = Path(sys.executable).parent / "fundlyhub"
    done = subprocess.run(
        [script, "verify", "--no-tables"], env=environment(variables), cwd=tmp_path, capture_output=True, text=True,
        check=False, timeout=60,
    )  # fmt: skip
    assert (done.returncode, "our own module" in done.stdout) == (0, True), done.stderr
