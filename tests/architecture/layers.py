"""The layers: what each part of the package may import; checked by the architecture test, shown in the docs."""

from __future__ import annotations

from collections.abc import Mapping

BASE = {"settings", "unknown_variables", "errors", "addresses", "forks", "server_urls", "redis_servers"}
"""Modules that any part may import."""

MAY_IMPORT: Mapping[str, set[str]] = {
    "errors": set(),
    "addresses": set(),
    "forks": set(),
    "server_urls": set(),
    "redis_servers": set(),
    "settings": {"errors", "addresses", "server_urls"},
    "unknown_variables": {"settings"},
    "database": BASE,
    "observability": {*BASE, "database", "events"},
    "events": {*BASE, "database"},
    "channels": {*BASE, "database", "events", "observability"},
    "processing": {*BASE, "database", "events", "observability"},
    "processors": {*BASE, "__init__", "database", "events", "channels", "processing", "observability"},
    "retention": {*BASE, "database", "events", "processing"},
    "relay": {*BASE, "database", "events", "processing", "retention", "observability"},
    "verification": {*BASE, "database", "events", "processing", "processors", "retention", "relay"},
    "streams": {*BASE, "database", "events", "relay", "observability"},
    "monitoring": {
        *BASE,
        "database",
        "events",
        "channels",
        "processing",
        "retention",
        "relay",
        "streams",
        "observability",
    },
    "__init__": {*BASE, "database", "events", "processing"},
}
"""What each part may import beside itself. The parts of WIRING may import anything."""

WIRING = {"cli", "celery", "demo", "embedded", "webhooks"}
"""The parts that connect all others to a process."""

WIRED_BY: Mapping[str, set[str]] = {
    "cli": {"__main__"},
    "celery": {"cli"},
    "demo": {"cli"},
    "embedded": {"cli", "demo"},
    "webhooks": {"cli"},
}
"""What may import a part that wires."""
