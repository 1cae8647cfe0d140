"""Read models in the Analytics DB, each kept by one processor."""
