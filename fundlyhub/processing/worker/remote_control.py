"""Limits remote control to what only looks: who can write to the broker cannot stop or change workers with it."""

from __future__ import annotations

from celery.worker.control import Panel

ALLOWED = frozenset({
    "active", "active_queues", "clock", "conf", "ping", "query_task", "registered", "report", "reserved", "revoked",
    "scheduled", "stats",
    "hello", "heartbeat",  # workers to each other
    "enable_events", "disable_events",  # Flower asks for the events that it shows
})  # fmt: skip
"""What ``celery inspect`` and Flower's read-only pages ask."""


def only_look() -> None:
    """Remove all other commands, before the mailbox is opened."""
    for name in set(Panel.data) - ALLOWED:
        del Panel.data[name]
