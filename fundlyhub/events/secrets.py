"""Keys that hold secrets: they are removed from every event, however it is published."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic.alias_generators import to_snake

from fundlyhub.events.catalogue.index import SECRET_KEYS, VERSIONS

_SESSION = "sessionId"


def _spellings(*names: str) -> Iterator[str]:
    """Spellings of a secret and of its hash, in camel and snake case."""
    for name in names:
        for spelling in (name, f"{name}Hash"):
            yield spelling
            yield to_snake(spelling)


_ALL = frozenset(_spellings(*(key for keys in SECRET_KEYS.values() for key in keys)))
_OF_SESSIONS = frozenset(_spellings(_SESSION))


def secret_names(kind: str | None) -> frozenset[str]:
    """The keys to remove from an event of this type.

    A session id is a secret in some types and a plain field in others; in an unknown type, or None, it is a secret.
    """
    if kind is not None and kind in VERSIONS and _SESSION not in SECRET_KEYS.get(kind, ()):
        return _ALL - _OF_SESSIONS
    return _ALL


def without(value: Any, names: frozenset[str]) -> Any:
    """A JSON value without these keys, at any depth."""
    if isinstance(value, dict):
        return {key: without(item, names) for key, item in value.items() if key not in names}
    if isinstance(value, list):
        return [without(item, names) for item in value]
    return value
