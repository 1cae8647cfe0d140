"""The outside world: every call to a service that is not ours goes through here, behind its circuit breaker."""
