"""The endpoint of a worker: a process beside its children that adds up what each of them counts.

Each child counts in files of its own, which outlive it. What a dead one counted is added to one file for all the dead,
so that there are never more files than processes, whatever is killed and replaced. The endpoint is a process and not a
thread: the worker's main process forks, and a thread of it could hold a lock at that moment.
"""

from __future__ import annotations

import os
import signal
import stat
import struct
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Lock, Thread
from typing import TYPE_CHECKING

from fundlyhub.errors import Unavailable
from fundlyhub.monitoring.process_endpoint import listen
from fundlyhub.monitoring.serving import Server, make_app
from fundlyhub.observability import metrics
from fundlyhub.settings import Settings

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""The variable that tells prometheus_client where its files are."""
LOOK = 0.5
"""Seconds between two looks at who has died."""
DEAD = "0"
"""What stands for the number of a process in the name of a file of all the dead."""


def start(settings: Settings) -> None:
    """Begin to count, and start the endpoint's process, which ends with this one; nothing when no port is set.

    To be called before any child is forked. Raises WrongUse without the extra, and Unavailable when the port is taken.
    """
    if settings.metrics_port is None:
        return
    server = listen(settings)
    os.environ.setdefault(FOLDER, str(_folder(server.server_port)))
    metrics.enable("worker", in_files=True)
    parent = os.getpid()
    if os.fork() == 0:
        try:
            _serve(settings, server, parent)
        finally:
            os._exit(1)
    server.server_close()


def _folder(port: int) -> Path:
    """An empty folder that only we may look into; the port makes it ours among all workers of this machine."""
    folder = Path(tempfile.gettempdir()) / f"fundlyhub-metrics-{os.getuid()}-{port}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise Unavailable(f"{folder} is not a folder of ours: remove it, or set TMPDIR")
    for left in folder.glob("*.db"):  # of a worker that was killed
        left.unlink(missing_ok=True)
    return folder


def _serve(settings: Settings, server: Server, parent: int) -> None:
    """The endpoint's process, until the worker has ended. A signal to all is for the worker, which takes its time."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    from prometheus_client import CollectorRegistry

    numbers = Sum(Path(os.environ[FOLDER]))
    registry = CollectorRegistry()
    registry.register(numbers)
    server.set_app(make_app(settings, registry, "worker"))
    Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    while os.getppid() == parent:
        time.sleep(LOOK)
        numbers.bury()
    os._exit(0)


class Sum:
    """What all processes of a worker have counted, the living and the dead."""

    def __init__(self, folder: Path, lives: Callable[[int], bool] | None = None) -> None:
        self._folder, self._lives = folder, lives or _lives
        self._lock = Lock()

    def collect(self) -> Iterator[Metric]:
        """All numbers, added up."""
        from prometheus_client.multiprocess import MultiProcessCollector

        self.bury()
        with self._lock:
            for tries_left in (2, 1, 0):
                try:
                    yield from list(MultiProcessCollector(None, str(self._folder)).collect())
                    return
                except (struct.error, ValueError, RuntimeError):  # a file that is just being made
                    if not tries_left:
                        raise
                    time.sleep(0.01)

    def bury(self) -> None:
        """Add what dead processes counted to the file of all the dead, and forget what they were."""
        from prometheus_client.mmap_dict import MmapedDict

        with self._lock:
            for file in self._folder.glob("*.db"):
                kind, _, number = file.stem.rpartition("_")
                if number == DEAD or self._lives(int(number)):
                    continue
                if not kind.startswith("gauge_live"):
                    dead = MmapedDict(str(self._folder / f"{kind}_{DEAD}.db"))
                    for key, value, _, _ in MmapedDict.read_all_values_from_file(str(file)):
                        dead.write_value(key, dead.read_value(key)[0] + value, 0.0)
                    dead.close()
                file.unlink()


def _lives(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another account's, which has taken the number over
        return False
    return True
