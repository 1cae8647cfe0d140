"""The place of a sign-in: its network, as a keyed hash. What the browser calls itself is anybody's choice."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from fundlyhub.events.catalogue.user import UserLoggedIn
from fundlyhub.processors.shared.address_hashes import keyed_hash
from fundlyhub.settings import get_settings


def place_of(payload: UserLoggedIn) -> str:
    """The place of a sign-in as a keyed hash of its network."""
    return keyed_hash("network", _network(payload.ip_address), get_settings().secret)


def former_place_of(payload: UserLoggedIn) -> str:
    """The place as earlier releases wrote it down: of network and browser."""
    where = f"{_network(payload.ip_address) or payload.ip_address or ''}\n{payload.user_agent or ''}"
    return keyed_hash("place", where, get_settings().secret)


def _network(address: str | None) -> str:
    """The network around an address: a phone's last digits change by the hour."""
    try:
        ip = ip_address(address or "")
    except ValueError:  # what is no address is one place, whatever it says
        return ""
    return str(ip_network(f"{ip}/{24 if ip.version == 4 else 48}", strict=False))
