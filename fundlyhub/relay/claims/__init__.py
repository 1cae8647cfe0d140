"""The claims' partitions: made ahead of need, and dropped when nothing can ask for them any more."""
