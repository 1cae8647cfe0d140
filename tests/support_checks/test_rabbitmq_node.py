"""The private RabbitMQ node keeps, loses and leaves behind exactly what it says."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from queue import Empty

import psutil
import pytest
from kombu import Connection, Exchange, Queue

from tests.support.rabbitmq import MISSING, RabbitNode, available

ON_CI = os.environ.get("CI") == "true"  # there a missing RabbitMQ is a failure
pytestmark = [
    pytest.mark.chaos,
    pytest.mark.rabbitmq,
    pytest.mark.skipif(not available() and not ON_CI, reason=MISSING),
]

WORK = Exchange("work", "topic")
DEAD = Exchange("dead", "fanout")
DEAD_QUEUE = Queue("dead", DEAD, queue_arguments={"x-queue-type": "quorum"})
WORK_QUEUE = Queue(
    "work",
    WORK,
    routing_key="work",
    queue_arguments={"x-queue-type": "quorum", "x-dead-letter-exchange": DEAD.name},
)

# Starts a node, tells its processes, and then waits to be killed.
OWNER = """
import time
from tests.support.rabbitmq import RabbitNode
node = RabbitNode()
node.start()
print(node.dir, node.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture(scope="module")
def shared_node() -> Iterator[RabbitNode]:
    with RabbitNode() as node:
        yield node


@pytest.fixture
def node(shared_node: RabbitNode) -> RabbitNode:
    """A running node without a message of an earlier test."""
    shared_node.start()
    with Connection(shared_node.url) as connection:
        for queue in (DEAD_QUEUE, WORK_QUEUE):
            declared = queue(connection.default_channel)
            declared.declare()
            declared.purge()
    return shared_node


def publish(node: RabbitNode, body: str) -> None:
    """Return only when the broker has confirmed that it has the message."""
    with Connection(node.url, transport_options={"confirm_publish": True}) as connection:
        connection.Producer().publish(body, exchange=WORK, routing_key="work", delivery_mode=2)


def taken(node: RabbitNode, queue: Queue, *, reject: bool = False, timeout: float = 10) -> str | None:
    """The next message's body, waited for at most ``timeout`` seconds; acknowledged, or rejected for good."""
    with Connection(node.url) as connection, connection.SimpleQueue(queue) as inbox:
        try:
            message = inbox.get(timeout=timeout)
        except Empty:
            return None
        message.reject() if reject else message.ack()
        return str(message.payload)


def until(holds: Callable[[], bool], timeout: float = 10) -> bool:
    deadline = time.monotonic() + timeout
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def processes_in(folder: object) -> list[psutil.Process]:
    """Those that work in the node's folder or were started with it as their home, dead ones apart."""
    found = []
    for process in psutil.process_iter():
        try:
            mine = process.environ().get("HOME") == str(folder)
            if mine and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def test_a_rejected_message_goes_to_the_dead_letter_exchange(node: RabbitNode) -> None:
    publish(node, "poison")
    assert taken(node, WORK_QUEUE, reject=True) == "poison"
    assert taken(node, DEAD_QUEUE) == "poison"


def test_a_confirmed_message_outlives_a_kill(node: RabbitNode) -> None:
    node.settle()
    publish(node, "kept")
    node.kill()
    assert node.pid is None
    node.start()
    assert taken(node, WORK_QUEUE) == "kept"


def test_a_reset_broker_is_empty_and_at_the_same_address(node: RabbitNode) -> None:
    publish(node, "lost")
    before = node.url
    node.reset()
    assert node.url == before
    assert node.ctl("list_queues", "name").split() == []


def test_ctl_speaks_to_this_node(node: RabbitNode) -> None:
    assert sorted(node.ctl("list_queues", "name", "type").split()) == [
        "dead",
        "name",
        "quorum",
        "quorum",
        "type",
        "work",
    ]


def test_ctl_tells_why_a_command_failed(node: RabbitNode) -> None:
    with pytest.raises(RuntimeError, match="no_such_command"):
        node.ctl("no_such_command")


def test_a_stopped_node_leaves_neither_process_nor_folder() -> None:
    node = RabbitNode()
    node.start()
    assert len(processes_in(node.dir)) >= 2, "the broker and its daemon of names"
    node.stop()
    assert until(lambda: not processes_in(node.dir))
    assert not node.dir.exists()


def test_a_killed_owner_takes_its_node_along() -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER], stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": "."}
    )
    try:
        assert owner.stdout is not None
        folder, pid = owner.stdout.readline().rsplit(" ", 1)
        assert psutil.pid_exists(int(pid))
    finally:
        owner.kill()
        owner.communicate()
    assert until(lambda: not processes_in(folder))
    shutil.rmtree(folder)
