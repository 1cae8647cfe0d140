"""Addresses of servers, and the same addresses by way of a proxy."""

from __future__ import annotations

from urllib.parse import urlsplit

from tests.support.proxy import Proxy


def port_of(url: str) -> int:
    """The port of a DSN or URL."""
    port = urlsplit(url).port
    assert port is not None
    return port


def through(proxy: Proxy, url: str) -> str:
    """The same address through the proxy."""
    assert url.count(f":{port_of(url)}") == 1
    return url.replace(f":{port_of(url)}", f":{proxy.port}")
