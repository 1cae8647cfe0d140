"""Celery's request of a worker's main process, with our own task events."""

from __future__ import annotations

from typing import Any

from celery.worker.request import Request

from fundlyhub.processing.worker.task_events import told


class TellingRequest(Request):
    """Sends what became of a batch to monitoring; see ``task_events``."""

    def send_event(self, type: str, **fields: Any) -> None:
        """Send an event, if task events are on (``-E``)."""
        kind, told_fields = told(type, fields)
        super().send_event(kind, **told_fields)
