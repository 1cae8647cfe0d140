"""Our extensions of a Celery worker: it refuses unreadable messages, reports outcomes, and stops within a limit."""
