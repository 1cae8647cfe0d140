"""Sending through the broker in processes that one process became: every message arrives, and nobody waits for ever."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from kombu import Connection

from fundlyhub.processing.queues import declare, depths
from tests.relay import send_in_each
from tests.support.forking import CHILDREN, forked
from tests.support.platform import Platform, wait_until


@pytest.mark.parametrize(
    ("use", "threads"),
    [
        (send_in_each.tasks, 0),
        (send_in_each.tasks, 2),
        (send_in_each.batches, 0),  # a publisher belongs to one thread
        (send_in_each.depths, 0),
    ],
    ids=["Celery's pool", "Celery's pool beside threads that send", "publisher", "depths"],
)
def test_every_message_of_each_process_arrives(platform: Platform, use: Callable[[], int], threads: int) -> None:
    url = platform.environment["FUNDLYHUB_BROKER_URL"]
    amqp = url.startswith("amqp")
    with Connection(url) as connection:
        declare(connection, amqp)
    sent = sum(forked(f"{send_in_each.__name__}:{use.__name__}", platform.environment, threads=threads))
    assert sent == (CHILDREN + 1) * send_in_each.BATCHES or use is send_in_each.depths

    def arrived() -> int:
        with Connection(url) as connection:
            return depths(connection, amqp, ["projections"])["projections"]

    least = sent and sent + send_in_each.BATCHES
    wait_until(lambda: arrived() >= least, what="all messages")
    if not threads:
        assert arrived() == least
