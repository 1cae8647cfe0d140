"""Ingest from Redis Streams: an entry becomes an event in the log, or goes into quarantine; none is dropped.

``ingest`` is the loop, ``reader`` speaks with Redis and ``store`` with PostgreSQL; ``layouts`` makes events of entries.
"""
