"""Circuit breakers around outside services: their rules, their state in Redis, and who may call now."""

from fundlyhub.channels.breaker.breaker import DEFAULTS, SERVICES, Breaker, breaker, shared_storage

__all__ = ["DEFAULTS", "SERVICES", "Breaker", "breaker", "shared_storage"]
