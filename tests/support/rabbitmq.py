"""A private RabbitMQ node from Debian's package: own ports, own data, gone with whoever started it."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

long_on_rabbitmq = pytest.mark.parametrize(
    "platform",
    ["valkey", pytest.param("rabbitmq", marks=[pytest.mark.rabbitmq, pytest.mark.chaos])],
    indirect=True,
)
"""For a test whose seconds on RabbitMQ are for `make chaos`; on Valkey it runs with all others."""

SCRIPTS = Path("/usr/lib/rabbitmq/bin")
"""The scripts themselves; those in /usr/sbin switch to the user of the system's own service."""

MISSING = f"RabbitMQ is not installed: there is no {SCRIPTS}/rabbitmq-server (apt-get install rabbitmq-server)"

# Replaces itself by the command given, after asking the kernel for SIGKILL when the parent dies. The request
# survives each exec on the way to the Erlang machine, but no fork: so nothing here may fork.
DIES_WITH_PARENT = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL)
if os.getppid() == int(sys.argv[1]):
    os.execvp(sys.argv[2], sys.argv[2:])
"""

# Erlang terms, and not rabbitmq.conf: translating the latter takes a second at each start.
CONFIG = """[
 {{kernel, [{{inet_dist_use_interface, {{127,0,0,1}}}}]}},
 {{rabbit, [{{tcp_listeners, [{{"127.0.0.1", {port}}}]}},
           {{cluster_partition_handling, {partitions}}},
           {{vm_memory_high_watermark, {{absolute, "256MB"}}}},
           {{disk_free_limit, {{absolute, "50MB"}}}},
           {{log, [{{console, [{{enabled, false}}]}}, {{file, [{{level, warning}}]}}]}}]}}].
"""


def available() -> bool:
    """Whether RabbitMQ is installed on this machine."""
    return os.access(SCRIPTS / "rabbitmq-server", os.X_OK) and all(map(shutil.which, ("epmd", "erl_call")))


def free_port() -> int:
    """A free port of 127.0.0.1, below those of outgoing connections: it stays free while a node is down."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


class RabbitNode:
    """One node, with its data in a new folder below ``parent``.

    Its port, and its data until ``reset`` or ``stop``, stay the same over every restart.

    Start it from the main thread: the kernel ends it together with the thread that started it. ``beside`` is a node
    that runs, and whose cluster this one is to join (``tests/support/rabbitmq_cluster.py``).
    """

    env: dict[str, str]

    def __init__(
        self, parent: Path | None = None, *, beside: RabbitNode | None = None, partitions: str = "ignore"
    ) -> None:
        self._beside, self._partitions = beside, partitions
        self.name = f"t{uuid.uuid4().hex[:8]}@localhost"
        self.dir = Path(tempfile.mkdtemp(prefix="fundlyhub-rabbitmq-", dir=parent))
        self._server: subprocess.Popen[bytes] | None = None
        self._names: subprocess.Popen[bytes] | None = None
        self._new = True
        self._choose_ports()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The address for Celery and kombu: user guest, virtual host ``/``."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}//"

    @property
    def cookie(self) -> str:
        """What nodes and tools must know to be let in."""
        return (self.dir / ".erlang.cookie").read_text()

    @property
    def pid(self) -> int | None:
        """The process of the node; None while it is down."""
        running = self._server is not None and self._server.poll() is None
        return self._server.pid if self._server and running else None

    def start(self, timeout: float = 180) -> None:
        """Start the node on its data and wait, at most ``timeout`` seconds, until it speaks AMQP.

        Raises RuntimeError with the end of the node's output when it dies or is late.
        """
        if not available():
            raise RuntimeError(MISSING)
        if self.pid is not None:
            return
        for tries_left in (2, 1, 0):
            try:
                self._start(timeout)
                break
            except RuntimeError:
                # Somebody took a port between our look and our use of it. Later the address must stay.
                if not self._new or not tries_left or "eaddrinuse" not in self._output():
                    raise
                self._end_names()
                self._choose_ports()
        self._new = False

    def _start(self, timeout: float) -> None:
        if self._beside is None and (self._names is None or self._names.poll() is not None):
            self._names = self._spawn("epmd", "-port", self.env["ERL_EPMD_PORT"], "-address", "127.0.0.1")
        self._server = self._spawn(str(SCRIPTS / "rabbitmq-server"))
        deadline = time.monotonic() + timeout
        while not self._speaks_amqp():
            status = self._server.poll()
            if status is not None or time.monotonic() > deadline:
                self.kill()
                late = f"it does not answer after {timeout:.0f} s" if status is None else f"it ended with {status}"
                raise RuntimeError(f"RabbitMQ did not start, {late}:\n{self._output()}")
            time.sleep(0.05)

    def kill(self) -> None:
        """SIGKILL: what the broker had not yet handed to the operating system is gone.

        RabbitMQ 3.10 hands over a new quorum queue's name and state up to 5 s late. Killed before, it comes
        back with a queue that answers 541 INTERNAL_ERROR after a minute: ``settle`` after declaring queues.
        """
        if self._server is not None:
            self._server.kill()
            self._server.wait()
            self._server = None

    def settle(self) -> None:
        """Have the broker write at once what it knows of its queues, so that they outlive a ``kill``."""
        self.evaluate("[dets:sync(Table) || Table <- dets:all()], mnesia:sync_log()")

    def halt(self, timeout: float = 30) -> None:
        """End the node in order and keep its data: the next ``start`` finds them."""
        if self._server is not None:
            self._server.send_signal(signal.SIGTERM)
            try:
                self._server.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
            self._server = None

    def restart(self) -> None:
        """End the node in order, and start it on the same data and port."""
        self.halt()
        self.start()

    def reset(self) -> None:
        """Replace the broker by an empty one on the same port: no queue, no exchange, no message is left."""
        self.kill()
        shutil.rmtree(self.dir / "mnesia", ignore_errors=True)
        self.start()

    def stop(self) -> None:
        """End the node and all that belongs to it, and remove its data."""
        self.halt(timeout=10)
        self._end_names()
        shutil.rmtree(self.dir, ignore_errors=True)

    def ctl(self, *args: str) -> str:
        """What ``rabbitmqctl ARGS`` prints about this node. Raises RuntimeError when it fails."""
        command = [str(SCRIPTS / "rabbitmqctl"), "--quiet", "--node", self.name, *args]
        done = subprocess.run(command, env=self.env, cwd=self.dir, capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            raise RuntimeError(f"rabbitmqctl {' '.join(args)} failed:\n{done.stdout}{done.stderr}")
        return done.stdout

    def messages(self, vhost: str) -> dict[str, int]:
        """How many messages are in each queue of a virtual host, those that a consumer holds among them."""
        name = "binary_to_list(element(4, proplists:get_value(name, Queue)))"
        queues = f'rabbit_amqqueue:info_all(<<"{vhost}">>, [name, messages])'
        told = self.evaluate(f"[{{{name}, proplists:get_value(messages, Queue)}} || Queue <- {queues}]")
        return {queue: int(number) for queue, number in re.findall(r'\{"([^"]*)", (\d+)\}', told)}

    def evaluate(self, expression: str) -> str:
        """What an Erlang expression comes to in the node. Raises RuntimeError when that fails.

        rabbitmqctl would do it too, but starts an Erlang machine for each call: half a second of work.
        """
        done = subprocess.run(
            ["erl_call", "-sname", self.name, "-c", self.cookie, "-e"],
            input=f"{expression}.\n", env=self.env, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        if done.returncode != 0 or not done.stdout.startswith("{ok,"):
            raise RuntimeError(f"{expression} failed:\n{done.stdout}{done.stderr}")
        return done.stdout.removeprefix("{ok,").strip().removesuffix("}")

    def _end_names(self) -> None:
        if self._names is not None:
            self._names.kill()
            self._names.wait()
            self._names = None

    def _choose_ports(self) -> None:
        self.port = free_port()
        names = free_port() if self._beside is None else int(self._beside.env["ERL_EPMD_PORT"])
        self.env = self._environment(distribution=free_port(), names=names)
        self._write_files()

    def _environment(self, *, distribution: int, names: int) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "HOME": str(self.dir),
            "ERL_EPMD_PORT": str(names),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": self.name,
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(distribution),
            "RABBITMQ_MNESIA_BASE": str(self.dir / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.dir / "log"),
            "RABBITMQ_CONFIG_FILE": str(self.dir / "rabbitmq.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.dir / "enabled_plugins"),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            # The script then becomes the Erlang machine, where it would else stay in front of it as a parent.
            "RABBITMQ_ALLOW_INPUT": "1",
            # Few threads that do not spin; the daemon of names is ours, else it would outlive us.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-noinput -start_epmd false +S 2:2 +sbwt none",
        }

    def _write_files(self) -> None:
        (self.dir / "rabbitmq.config").write_text(CONFIG.format(port=self.port, partitions=self._partitions))
        (self.dir / "enabled_plugins").write_text("[].\n")
        cookie = self.dir / ".erlang.cookie"
        if not cookie.exists():
            cookie.write_text(uuid.uuid4().hex if self._beside is None else self._beside.cookie)
            cookie.chmod(0o400)

    def _spawn(self, *command: str) -> subprocess.Popen[bytes]:
        launcher = [sys.executable, "-c", DIES_WITH_PARENT, str(os.getpid()), *command]
        with (self.dir / "output").open("ab") as output:
            return subprocess.Popen(
                launcher,
                env=self.env,
                cwd=self.dir,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def _speaks_amqp(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as line:
                line.sendall(b"AMQP\x00\x00\x09\x01")
                return bool(line.recv(1))
        except OSError:
            return False

    def _output(self) -> str:
        return (self.dir / "output").read_text(errors="replace")[-2000:]
