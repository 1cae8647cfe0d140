"""Three RabbitMQ nodes of one cluster on this machine, which can be killed, and cut off from each other."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.platform import wait_until
from tests.support.rabbitmq import RabbitNode

NODES = 3


class RabbitCluster:
    """Its queues are on all nodes; a node that finds itself in a minority pauses, as an operator would want it."""

    def __init__(self, parent: Path) -> None:
        first = RabbitNode(parent, partitions="pause_minority")
        self.nodes = [first]
        self._parent = parent

    def __enter__(self) -> Self:
        first = self.nodes[0]
        first.start()
        for _ in range(NODES - 1):
            node = RabbitNode(self._parent, beside=first, partitions="pause_minority")
            self.nodes.append(node)
            node.start()
            for command in (("stop_app",), ("join_cluster", first.name), ("start_app",)):
                node.ctl(*command)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for node in self.nodes:
            node.kill()
        for node in reversed(self.nodes):  # the names of all are kept by the first
            node.stop()

    @property
    def url(self) -> str:
        """All nodes, for our settings."""
        return ";".join(node.url for node in self.nodes)

    def cut_off(self, node: RabbitNode) -> None:
        """Have it and the others refuse each other: to its clients it is there, until it pauses."""
        for other in self.nodes:
            if other is not node:
                other.evaluate(f"erlang:set_cookie('{node.name}', nobody), erlang:disconnect_node('{node.name}')")
                node.evaluate(f"erlang:set_cookie('{other.name}', nobody), erlang:disconnect_node('{other.name}')")
        wait_until(lambda: not node._speaks_amqp(), timeout=60, what="the pause of the minority")

    def join_again(self, node: RabbitNode) -> None:
        """End that."""
        for other in self.nodes:
            if other is not node:
                other.evaluate(f"erlang:set_cookie('{node.name}', '{node.cookie}')")
                node.evaluate(f"erlang:set_cookie('{other.name}', '{node.cookie}')")
        wait_until(node._speaks_amqp, timeout=60, what="the node")
