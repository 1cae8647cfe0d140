"""Circuit breakers around outside services: rules, states, and their storage in Redis."""

from fundlyhub.channels.breaker.breaker import DEFAULTS, SERVICES, Breaker, breaker
from fundlyhub.channels.breaker.redis_storage import SharedStorage

__all__ = ["DEFAULTS", "SERVICES", "Breaker", "SharedStorage", "breaker"]
