"""A RabbitMQ cluster of three: nodes are killed and cut off, while events are relayed and applied."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fundlyhub import publish_events
from fundlyhub.embedded.valkey import Valkey
from fundlyhub.testing.databases import SECRET, dsns, settings_of
from tests.support.make import search
from tests.support.platform import Platform, wait_until
from tests.support.processors import TABLES
from tests.support.rabbitmq_cluster import RabbitCluster

pytestmark = [pytest.mark.chaos, pytest.mark.rabbitmq, pytest.mark.timeout(900)]

EFFECTS = "SELECT {} FROM analytics.test_effects WHERE processor = 'test_count'"
MOVES = 30.0
"""Seconds within which all go on over another node."""
PORTION = 60


@pytest.fixture
def cluster(server_root: Path) -> Iterator[RabbitCluster]:
    with RabbitCluster(server_root) as cluster:
        yield cluster


@pytest.fixture
def running(cluster: RabbitCluster, dsn: str, valkey: Valkey, tmp_path: Path) -> Iterator[Platform]:
    """A relay and a worker that know all three nodes, and have done something."""
    servers = {"FUNDLYHUB_BROKER_URL": cluster.url, "FUNDLYHUB_REDIS_URL": valkey.url}
    environment = {**dsns(dsn), **SECRET, **servers, "FUNDLYHUB_DATA_DIR": str(tmp_path)}
    with settings_of(environment), Platform(environment, dsn, None, tmp_path) as platform:
        platform.execute(TABLES)
        platform.relay()
        platform.worker()
        publish_events([search("fine")])
        wait_until(lambda: applied(platform) == 1, what="the first event")
        yield platform


def applied(platform: Platform) -> int:
    return int(platform.value(EFFECTS.format("count(*)")))


def more(platform: Platform) -> None:
    """Publish events, and wait until they are applied, each once."""
    before = int(platform.value("SELECT count(*) FROM events.events"))
    publish_events(search(f"fine {number}") for number in range(PORTION))
    wait_until(lambda: applied(platform) >= before + PORTION, timeout=MOVES, what="the events")
    assert platform.value(EFFECTS.format("count(*) - count(DISTINCT position)")) == 0


def test_a_node_that_is_killed(cluster: RabbitCluster, running: Platform) -> None:
    for node in cluster.nodes:  # one of them leads the queues, and one has the clients
        node.kill()
        more(running)
        node.start()
    more(running)


def test_two_nodes_that_are_killed_and_one_that_comes_back(cluster: RabbitCluster, running: Platform) -> None:
    first, second, _ = cluster.nodes
    first.kill()
    second.kill()
    before = int(running.value("SELECT count(*) FROM events.events"))
    publish_events(search(f"fine {number}") for number in range(PORTION))
    second.start()
    wait_until(lambda: applied(running) >= before + PORTION, timeout=120, what="the events")
    more(running)


def test_a_node_that_is_cut_off_pauses_and_all_move_over(cluster: RabbitCluster, running: Platform) -> None:
    for node in cluster.nodes:
        cluster.cut_off(node)
        more(running)
        cluster.join_again(node)
    more(running)
