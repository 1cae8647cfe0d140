"""What is ours in a Celery worker: how it refuses messages, what it tells of them, and how it stops."""
