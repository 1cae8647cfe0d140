"""The place of a sign-in: network and browser, as a keyed hash."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from fundlyhub.events.catalogue.user import UserLoggedIn
from fundlyhub.processors.shared.address_hashes import keyed_hash
from fundlyhub.settings import get_settings


def place_of(payload: UserLoggedIn) -> str:
    """The place of a sign-in as a keyed hash of network and browser."""
    where = f"{_network(payload.ip_address)}\n{payload.user_agent or ''}"
    return keyed_hash("place", where, get_settings().secret)


def _network(address: str | None) -> str:
    """The network around an address: a phone's last digits change by the hour."""
    try:
        ip = ip_address(address or "")
    except ValueError:
        return address or ""
    return str(ip_network(f"{ip}/{24 if ip.version == 4 else 48}", strict=False))
