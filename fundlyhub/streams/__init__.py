"""Redis Streams in: what other services write there comes into the log, or into quarantine; nothing is dropped.

``ingest`` is the loop, ``reader`` speaks with Redis and ``store`` with PostgreSQL; ``layouts`` makes events of entries.
"""
