"""Keys that hold secrets: they are removed from every event, however it is published."""

from __future__ import annotations

from typing import Any

from fundlyhub.events.catalogue.index import VERSIONS
from fundlyhub.secret_keys import ALL_NAMES, SECRET_KEYS, SESSION, SESSION_NAMES


def secret_names(kind: str | None) -> frozenset[str]:
    """The keys to remove from an event of this type.

    A session id is a secret in some types and a plain field in others; in an unknown type, or None, it is a secret.
    """
    if kind is not None and kind in VERSIONS and SESSION not in SECRET_KEYS.get(kind, ()):
        return ALL_NAMES - SESSION_NAMES
    return ALL_NAMES


def without(value: Any, names: frozenset[str]) -> Any:
    """A JSON value without these keys, at any depth."""
    if isinstance(value, dict):
        return {key: without(item, names) for key, item in value.items() if key not in names}
    if isinstance(value, list):
        return [without(item, names) for item in value]
    return value
