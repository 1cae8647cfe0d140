"""Connections from anywhere: one that sends no request is closed, and one caller cannot take up all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from fundlyhub.errors import WrongUse

CONNECTIONS = 200
"""Connections at most; beyond that the answer is 503."""
OF_ONE_CALLER = 50
"""Connections of one address at most, unless it is a trusted proxy's; further ones are closed at once."""
SILENCE = 10.0
"""Seconds that a connection may live without a request that has begun; headers must arrive within twice that."""

Networks = Sequence[IPv4Network | IPv6Network]


def networks(text: str) -> Networks:
    """Addresses and networks, separated by commas. Raises WrongUse.

    >>> networks("10.0.0.0/8, ::1")
    [IPv4Network('10.0.0.0/8'), IPv6Network('::1/128')]
    """
    try:
        return [ip_network(one.strip()) for one in text.split(",") if one.strip()]
    except ValueError:
        raise WrongUse("FUNDLYHUB_TRUSTED_PROXIES must be addresses or networks, separated by commas") from None


def is_in(address: str, networks: Networks) -> bool:
    """Whether an address is in one of the networks."""
    return any(ip_address(address) in network for network in networks)


def bounded(trusted: Networks) -> type[H11Protocol]:
    """The protocol for uvicorn, which by itself waits for a request's headers for ever."""

    class Bounded(H11Protocol):
        _watch: asyncio.TimerHandle
        _seen: Any = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
            super().connection_made(transport)
            self._watch = self.loop.call_later(SILENCE, self._look)
            if self._of_this_caller() > OF_ONE_CALLER:
                transport.abort()

        def connection_lost(self, exc: Exception | None) -> None:
            self._watch.cancel()
            super().connection_lost(exc)

        def _of_this_caller(self) -> int:
            caller = self.client[0] if self.client else None
            if caller is None or is_in(caller, trusted):
                return 0
            callers = [one.client[0] for one in self.connections if isinstance(one, Bounded) and one.client]
            return callers.count(caller)

        def _look(self) -> None:
            """Close it where nothing has been answered, or begun, since the last look."""
            cycle: Any = self.cycle  # none before the first request
            at_work = cycle is not None and not cycle.response_complete
            if not at_work and cycle is self._seen:
                self.transport.abort()
                return
            self._seen = cycle
            self._watch = self.loop.call_later(SILENCE, self._look)

    return Bounded
