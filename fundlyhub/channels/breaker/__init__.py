"""Circuit breakers around outside services: rules, states, and their storage in Redis."""

from fundlyhub.channels.breaker.breaker import DEFAULTS, SERVICES, Breaker, breaker, shared_storage

__all__ = ["DEFAULTS", "SERVICES", "Breaker", "breaker", "shared_storage"]
