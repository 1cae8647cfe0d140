"""The work queues as the broker sees them."""

from __future__ import annotations

from collections.abc import Mapping

from fundlyhub.monitoring.servers import broker
from fundlyhub.processing.queues import Seen, seen
from fundlyhub.processing.task_names import REBUILDS
from fundlyhub.settings import get_settings


def work_queues() -> dict[str, Seen]:
    """Messages and workers of each work queue. Raises Unavailable while the broker is away."""
    settings = get_settings()
    with broker(settings) as connection:
        return seen(connection, settings.broker_is_amqp)


def without_worker(queues: Mapping[str, Mapping[str, int]]) -> list[str]:
    """The queues that lack a worker. That of rebuilds needs one when something waits in it, and else none. Pure.

    >>> without_worker({"writes": {"messages": 0, "consumers": 0}, "rebuilds": {"messages": 0, "consumers": 0}})
    ['writes']
    """
    return [name for name, one in queues.items() if not one["consumers"] and (name != REBUILDS or one["messages"])]
