"""The metrics endpoint of a worker: a separate process that adds up what the worker's children count.

Each child counts in its own files, which outlive it. The counts of dead children are merged into one file, so there are
never more files than processes. The endpoint is a process because the worker's main process forks: a thread there could
hold a lock at that moment.
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
"""Variable with the folder of prometheus_client's files."""
LOOK = 0.5
"""Seconds between two searches for dead children."""
DEAD = "0"
"""The process id in the name of a merged file."""


def start(settings: Settings) -> None:
    """Start counting and start the endpoint's process, which ends with this one; do nothing if no port is set.

    Call it before any child is forked. Raises WrongUse without the extra, and Unavailable if the port is taken.
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
    """An empty folder with access for our account only; the port makes it unique among the machine's workers."""
    folder = Path(tempfile.gettempdir()) / f"fundlyhub-metrics-{os.getuid()}-{port}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise Unavailable(f"{folder} is not a folder of ours: remove it, or set TMPDIR")
    for left in folder.glob("*.db"):  # left by a worker that was killed
        left.unlink(missing_ok=True)
    return folder


def _serve(settings: Settings, server: Server, parent: int) -> None:
    """Serve until the worker has ended. Signals to the group are ignored, since the worker takes time to stop."""
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
    """The sum of what all processes of a worker have counted, living and dead."""

    def __init__(self, folder: Path, lives: Callable[[int], bool] | None = None) -> None:
        self._folder, self._lives = folder, lives or _lives
        self._lock = Lock()

    def collect(self) -> Iterator[Metric]:
        """All metrics, added up."""
        from prometheus_client.multiprocess import MultiProcessCollector

        self.bury()
        with self._lock:
            for tries_left in (2, 1, 0):
                try:
                    yield from list(MultiProcessCollector(None, str(self._folder)).collect())
                    return
                except (struct.error, ValueError, RuntimeError):  # a file is being created
                    if not tries_left:
                        raise
                    time.sleep(0.01)

    def bury(self) -> None:
        """Merge the files of dead processes, and drop the gauges of what they were."""
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
    except PermissionError:  # reused by another account's process
        return False
    return True
