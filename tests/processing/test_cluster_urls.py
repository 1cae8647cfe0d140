"""Relay and worker whose broker has several nodes, of which the first is down."""

from __future__ import annotations

import pytest

from fundlyhub import publish_events
from tests.support.make import search
from tests.support.platform import Platform, wait_until
from tests.support.processors import TABLES

SECRET = "s3cret-of-the-test"


@pytest.mark.chaos  # for its length
@pytest.mark.parametrize("platform", [pytest.param("rabbitmq", marks=pytest.mark.rabbitmq)], indirect=True)
def test_they_work_on_the_node_that_answers_and_ask_no_other_again_and_again(platform: Platform) -> None:
    platform.execute(TABLES)
    here = platform.environment["FUNDLYHUB_BROKER_URL"]
    platform.environment["FUNDLYHUB_BROKER_URL"] = f"amqp://ada:{SECRET}@127.0.0.1:1//;{here}"
    publish_events([search("transient"), search("fine")])
    processes = [platform.relay(), platform.worker()]
    platform.wait_applied("test_count", 1)
    wait_until(lambda: (platform.value("SELECT attempts FROM events.attempts") or 0) >= 2, what="a second attempt")
    said = "".join(process.log.read_text() for process in processes)
    assert "delayed delivery" not in said, "it was set up at once, on the node that answers"
    assert SECRET not in said
