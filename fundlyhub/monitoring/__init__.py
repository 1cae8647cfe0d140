"""The state of the whole system: health for probes, metrics for Prometheus, and the age of what waits."""
