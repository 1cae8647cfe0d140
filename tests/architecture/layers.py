"""The layers: what each part of the package may import; checked by the architecture test, shown in the docs."""

from __future__ import annotations

from collections.abc import Mapping

BASE = {
    "settings", "unknown_variables", "errors", "account", "secret_files", "addresses", "forks", "server_urls",
    "redis_servers", "printable", "private_files", "secret_keys", "installed", "garbage",
}  # fmt: skip
"""Modules that any part may import."""

MAY_IMPORT: Mapping[str, set[str]] = {
    "errors": set(),
    "addresses": set(),
    "forks": set(),
    "server_urls": set(),
    "redis_servers": set(),
    "printable": set(),
    "account": set(),
    "secret_files": {"errors"},
    "private_files": set(),
    "secret_keys": set(),
    "garbage": set(),
    "installed": {"errors"},
    "settings": {"errors", "addresses", "server_urls", "secret_files"},
    "unknown_variables": {"settings", "secret_files"},
    "database": BASE,
    "web": BASE,
    "observability": {*BASE, "database", "events"},
    "events": {*BASE, "database"},
    "channels": {*BASE, "database", "events", "observability"},
    "processing": {*BASE, "database", "events", "observability"},
    "processors": {*BASE, "__init__", "database", "events", "channels", "processing", "observability"},
    "messages": {*BASE, "channels", "processors"},
    "retention": {*BASE, "database", "events", "processing"},
    "relay": {*BASE, "database", "events", "processing", "retention", "observability"},
    "history": {*BASE, "database", "events", "processing", "relay"},
    "verification": {*BASE, "database", "events", "processing", "processors", "retention", "relay", "people"},
    "rebuilds": {
        *BASE,
        "database",
        "events",
        "processing",
        "retention",
        "relay",
        "verification",
        "observability",
    },
    "people": {
        *BASE,
        "database",
        "events",
        "channels",
        "processing",
        "processors",
        "retention",
        "relay",
        "streams",
        "observability",
    },
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

WIRING = {"cli", "celery", "console", "demo", "embedded", "testing", "webhooks"}
"""The parts that connect all others to a process."""

WIRED_BY: Mapping[str, set[str]] = {
    "cli": {"__main__"},
    "celery": {"cli", "console"},
    "console": {"cli", "embedded"},
    "demo": {"cli"},
    "embedded": {"cli", "demo", "testing"},
    "testing": set(),
    "webhooks": {"cli"},
}
"""What may import a part that wires."""
