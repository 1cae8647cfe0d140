"""Flower's own user at the broker: it may watch, and reach nothing of ours. As somebody who has its password."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import amqp
import pytest
from amqp.exceptions import AccessRefused
from kombu import Connection

from fundlyhub.processing.queues import EXCHANGE, QUEUES, routing_key
from tests.flower.watcher import watcher
from tests.support.platform import Platform

ON_RABBITMQ = pytest.mark.parametrize("platform", [pytest.param("rabbitmq", marks=pytest.mark.rabbitmq)], indirect=True)

Attack = Callable[[Connection], object]


def published(exchange: str, key: str) -> Attack:
    """A message, and the broker's confirmation of it."""
    return lambda connection: connection.channel().basic_publish_confirm(
        amqp.Message("x", content_encoding="utf-8"), exchange=exchange, routing_key=key
    )


ATTACKS: dict[str, Attack] = {
    **{f"publish to {queue}": published(EXCHANGE, routing_key(queue)) for queue in QUEUES},
    **{f"put into {queue}": published("", queue) for queue in QUEUES},
    "take a message": lambda connection: connection.channel().basic_get("projections"),
    "consume": lambda connection: connection.channel().basic_consume("writes"),
    "read dead letters": lambda connection: connection.channel().basic_get("fundlyhub.dead"),
    "purge": lambda connection: connection.channel().queue_purge("projections"),
    "delete": lambda connection: connection.channel().queue_delete("projections"),
    "make a queue": lambda connection: connection.channel().queue_declare("mine"),
    "listen along": lambda connection: connection.channel().queue_bind(
        connection.channel().queue_declare(f"celeryev.{uuid4()}", auto_delete=True).queue, EXCHANGE, "#"
    ),
}  # fmt: skip


@pytest.fixture
def running(platform: Platform) -> Iterator[Platform]:
    """The queues are there."""
    platform.worker(queues=",".join(QUEUES))
    yield platform


@ON_RABBITMQ
@pytest.mark.timeout(300)
def test_on_rabbitmq_it_reaches_no_queue_and_no_exchange_of_ours(running: Platform, tmp_path: Path) -> None:
    url = watcher(running, tmp_path)
    for name, attack in ATTACKS.items():
        with (
            Connection(url, transport_options={"confirm_publish": True}) as connection,
            pytest.raises(AccessRefused),
        ):
            pytest.fail(f"{name}: {attack(connection)}")
    with Connection(running.environment["FUNDLYHUB_BROKER_URL"]) as connection:  # what Flower's login was before
        ATTACKS["publish to projections"](connection)
        ATTACKS["purge"](connection)
