"""What operators see of one process: logs, metrics and traces."""
