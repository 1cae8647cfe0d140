"""Places in a broker of the tests where nothing waits yet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import redis

from fundlyhub.embedded.valkey import Valkey
from tests.support.rabbitmq import RabbitNode

Broker = Valkey | RabbitNode


def fresh_broker_url(broker: Broker) -> str:
    """A place of the broker where nothing waits."""
    if isinstance(broker, RabbitNode):
        broker.start()  # a test that failed may have left it down: those after it are not to fail for that
        vhost = uuid4().hex
        give_vhost(broker, vhost)
        return f"{broker.url.rstrip('/')}/{vhost}"
    redis.Redis.from_url(broker.url).flushall()
    return broker.url


@contextmanager
def broker_place(broker: Broker) -> Iterator[str]:
    """The same for as long as it is wanted: a test leaves 33 quorum queues in RabbitMQ, and forty tests fill it."""
    url = fresh_broker_url(broker)
    try:
        yield url
    finally:
        if isinstance(broker, RabbitNode) and broker.pid is not None:
            broker.evaluate(f'ok = rabbit_vhost:delete(<<"{url.rpartition("/")[2]}">>, <<"guest">>)')


def give_vhost(broker: RabbitNode, vhost: str) -> None:
    """A virtual host of its own for one test."""
    name, all_of_it = f'<<"{vhost}">>', '<<".*">>'
    allow = f'rabbit_auth_backend_internal:set_permissions(<<"guest">>, {name}, {all_of_it}, {all_of_it}, {all_of_it}'
    broker.evaluate(f'ok = rabbit_vhost:add({name}, <<"guest">>), {allow}, <<"guest">>)')
