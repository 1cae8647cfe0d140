"""Declares the queues of delayed delivery on the node that the worker is connected to, and on no other.

The nodes of a cluster share their queues. Celery's own step asks each URL in turn, and one that refuses four times:
with a node of three down, a worker stands still for 17 seconds each time that it connects.
"""

from __future__ import annotations

from typing import Any

from celery.worker.consumer.delayed_delivery import DelayedDelivery


class OneNodeDelayedDelivery(DelayedDelivery):  # type: ignore[misc]  # Celery's steps have no types
    """Celery's step, for one node."""

    def start(self, c: Any) -> None:
        """Declare and bind the queues there."""
        self._here = c.connection.as_uri(include_password=True)
        super().start(c)

    def _validate_broker_urls(self, broker_urls: Any) -> set[str]:
        return {self._here}
