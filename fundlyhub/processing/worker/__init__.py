"""What is ours in a Celery worker: how it refuses messages, and how it stops."""
