"""The supervisor brings back what dies, with growing pauses, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

import psutil
import pytest

from fundlyhub.embedded.supervisor import HEALTHY_AFTER, Service, Supervisor, pause
from fundlyhub.errors import Unavailable
from tests.support.platform import wait_until

TALKER = "import time; print('ready', flush=True); time.sleep(600)"


@pytest.mark.parametrize(("deaths", "seconds"), [(1, 0.5), (2, 1.0), (3, 2.0), (6, 16.0), (7, 30.0), (99, 30.0)])
def test_the_pause_grows_with_the_deaths(deaths: int, seconds: float) -> None:
    assert pause(deaths) == seconds


def service(name: str, code: str = TALKER) -> Service:
    return Service(name, [sys.executable, "-c", code], dict(os.environ), ready="ready")


def tended(keeper: Supervisor) -> bool:
    keeper.tend()
    return True


def test_what_dies_is_started_again_after_its_pause(tmp_path: Path) -> None:
    told: list[tuple[str, int, float]] = []
    now = 0.0
    keeper = Supervisor(tmp_path, on_death=lambda *death: told.append(death), clock=lambda: now)
    keeper.start(service("talker"))
    first = keeper.processes()["talker"]
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: tended(keeper) and told, what="its death")
    assert told == [("talker", -signal.SIGKILL, 0.5)]
    keeper.tend()
    assert keeper.processes()["talker"] == first
    now = 0.6
    keeper.tend()
    second = keeper.processes()["talker"]
    assert second != first
    now = HEALTHY_AFTER + 1.0
    os.kill(second, signal.SIGKILL)
    wait_until(lambda: tended(keeper) and len(told) == 2, what="its second death")
    assert told[-1][2] == 0.5, "after a minute of health the pauses begin anew"
    keeper.stop()


def test_services_start_side_by_side(tmp_path: Path) -> None:
    waits = f"import os, time\nwhile not os.path.exists({str(tmp_path / 'sign')!r}): time.sleep(0.01)\n{TALKER}"
    signs = f"open({str(tmp_path / 'sign')!r}, 'w')\n{TALKER}"
    keeper = Supervisor(tmp_path)
    keeper.start(service("waits for the other", waits), service("other", signs), limit=60)
    assert list(keeper.processes()) == ["waits for the other", "other"]
    keeper.end("waits for the other", "other")
    assert keeper.processes() == {}


def test_all_end_in_reverse_order_with_their_children(tmp_path: Path) -> None:
    parent = (
        "import subprocess, time; p = subprocess.Popen(['sleep', '600']); print('ready', p.pid, flush=True); p.wait()"
    )
    keeper = Supervisor(tmp_path)
    keeper.start(service("first"))
    keeper.start(service("parent", parent))
    grandchild = int((tmp_path / "parent.log").read_text().split()[1])
    pids = [*keeper.processes().values(), grandchild]
    keeper.stop()
    keeper.stop()
    wait_until(lambda: not any(psutil.pid_exists(pid) for pid in pids), what="their end")


def test_a_service_that_does_not_start_is_told_with_its_last_words(tmp_path: Path) -> None:
    keeper = Supervisor(tmp_path)
    with pytest.raises(Unavailable, match="broken did not start: no such luck"):
        keeper.start(service("broken", "print('no such luck')"))
    keeper.stop()


def test_watching_ends_when_it_is_told_to(tmp_path: Path) -> None:
    stop = threading.Event()
    keeper = Supervisor(tmp_path)
    watcher = threading.Thread(target=keeper.watch, args=(stop,))
    watcher.start()
    stop.set()
    watcher.join(10)
    assert not watcher.is_alive()
