"""One process uses a data folder at a time, and says who it is; a demo empties nothing that is not its own."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import psutil
import pytest

from fundlyhub.embedded.holding import CHECKOUT, claim_for_demo, hold, of_checkout
from fundlyhub.embedded.supervisor import SERVICES_LIMIT
from fundlyhub.errors import Unavailable, WrongUse
from tests.embedded.test_up import Up
from tests.support.command import fundlyhub


def test_a_second_process_is_told_who_holds_the_folder(tmp_path: Path) -> None:
    with hold(tmp_path):
        for _ in range(2):
            done = fundlyhub("up", "--data-dir", str(tmp_path), "--only", "valkey", settings={})
            assert done.returncode == 1
            assert f"of {CHECKOUT} (process {os.getpid()}, since 2" in done.stderr
        done = fundlyhub("demo", "--data-dir", str(tmp_path), settings={})
        assert (done.returncode, f"process {os.getpid()}" in done.stderr) == (1, True)
        with pytest.raises(Unavailable):
            hold(tmp_path)
    hold(tmp_path).close()


def test_a_demo_empties_no_folder_that_no_demo_has_made(tmp_path: Path) -> None:
    (tmp_path / "valkey").mkdir()
    kept = tmp_path / "valkey" / "appendonly.aof"
    kept.write_text("somebody's data")
    done = fundlyhub("demo", "--data-dir", str(tmp_path), settings={})
    assert (done.returncode, "holds what no demo has made" in done.stderr) == (2, True), done.stderr
    assert kept.read_text() == "somebody's data"


def test_a_demo_may_empty_what_a_demo_has_made(tmp_path: Path) -> None:
    with hold(tmp_path):
        claim_for_demo(tmp_path)
        (tmp_path / "valkey").mkdir()
        claim_for_demo(tmp_path)
        (tmp_path / "made-by-demo").unlink()
        with pytest.raises(WrongUse):
            claim_for_demo(tmp_path)


def test_each_checkout_has_a_folder_of_its_own_for_demos() -> None:
    assert of_checkout().startswith(f"{CHECKOUT.name}-")


@pytest.mark.chaos  # for its length
def test_up_stops_in_time_whatever_hangs_and_says_what_it_leaves(server_root: Path) -> None:
    folder = server_root / f"hanging-{os.urandom(4).hex()}"
    up = Up(folder)
    try:
        found = up.ready()
        below = up.processes()
        for name in ("relay", "worker"):
            psutil.Process(int(found[name].removeprefix("process "))).suspend()
        began = time.monotonic()
        up.popen.send_signal(signal.SIGTERM)
        assert up.popen.wait(60) == 0
        assert time.monotonic() - began < SERVICES_LIMIT + 10, "and the servers after it"
        said = up.text("err")
        assert "relay did not end in time and was killed" in said
        assert "worker did not end in time and was killed" in said
        assert f"Kept for the next start, with all data and logs: {folder}" in said
        _, left = psutil.wait_procs(below, timeout=30)
        assert not left
    finally:
        up.close()
