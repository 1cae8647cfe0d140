"""The work queues as the broker sees them."""

from __future__ import annotations

from fundlyhub.monitoring.servers import broker
from fundlyhub.processing.queues import Seen, seen
from fundlyhub.settings import get_settings


def work_queues() -> dict[str, Seen]:
    """Messages and workers of each work queue. Raises Unavailable while the broker is away."""
    settings = get_settings()
    with broker(settings) as connection:
        return seen(connection, settings.broker_is_amqp)
