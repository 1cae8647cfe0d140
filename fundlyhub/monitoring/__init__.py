"""The whole looked at from outside: health for probes, numbers for Prometheus."""
