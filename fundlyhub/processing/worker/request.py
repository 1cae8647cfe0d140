"""A message in a worker's main process: Celery's own, but for what its events tell."""

from __future__ import annotations

from typing import Any

from celery.worker.request import Request

from fundlyhub.processing.worker.task_events import told


class TellingRequest(Request):
    """Tells those who watch what became of a batch; see ``telling``."""

    def send_event(self, type: str, **fields: Any) -> None:
        """Send an event, when anybody wants them (``-E``)."""
        kind, told_fields = told(type, fields)
        super().send_event(kind, **told_fields)
