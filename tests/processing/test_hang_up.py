"""Whatever waits for a broker that hangs fails as soon as the process hangs up, also what only connects."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from kombu import Connection

from fundlyhub.errors import Unavailable
from fundlyhub.processing.broker_connections import give_up, hang_up, is_passing, open_line
from fundlyhub.processing.queues import declare, depths, seen
from fundlyhub.settings import Settings, get_settings
from tests.support.platform import Platform, wait_until

LIMIT = 15.0
"""Seconds: half of what a broker has to answer."""

Use = Callable[[Connection, Settings], object]


def _look(connection: Connection, settings: Settings) -> object:
    return depths(connection, settings.broker_is_amqp)


def _look_closer(connection: Connection, settings: Settings) -> object:
    return seen(connection, settings.broker_is_amqp)


def _declare(connection: Connection, settings: Settings) -> object:
    declare(connection, settings.broker_is_amqp)
    return None


def _connect(_: Connection, settings: Settings) -> object:
    return open_line(settings)


@pytest.mark.rabbitmq
@pytest.mark.parametrize("use", [_look, _look_closer, _declare, _connect])
def test_what_waits_for_a_broker_that_hangs_fails_when_the_process_hangs_up(platform: Platform, use: Use) -> None:
    settings = get_settings()
    connection = open_line(settings)
    declare(connection, settings.broker_is_amqp)
    with ThreadPoolExecutor() as threads:
        with platform.broker_held():
            waiting = threads.submit(use, connection, settings)
            began = time.monotonic()

            def failed() -> bool:
                hang_up()
                return waiting.done()

            wait_until(failed, timeout=LIMIT, what="its end")
            error = waiting.exception()
            assert time.monotonic() - began < LIMIT
        give_up(connection)
    assert error is not None
    assert is_passing(error) or isinstance(error, Unavailable)
