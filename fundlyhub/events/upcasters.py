"""Upcasters: steps that convert a stored payload of an older version to the newest version."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from fundlyhub.errors import UnknownVersion, WrongUse
from fundlyhub.events.catalogue import canonical_version, version_triple
from fundlyhub.events.catalogue.index import VERSIONS, payload_class

Wire = dict[str, Any]
Step = Callable[[Wire], Wire]


class Upcasters:
    """The registered steps, and the shortest path through them."""

    def __init__(self) -> None:
        self._steps: dict[str, dict[str, dict[str, Step]]] = {}
        self._ways: dict[tuple[str, str, str], tuple[Step, ...] | None] = {}

    def step(self, type: str, old: str, new: str) -> Callable[[Step], Step]:
        """Register the decorated function as the step of a type from one version to a newer one.

        It gets a copy of the payload, camelCase as on the wire, and gives back the new payload. Raises
        WrongUse for a step that is there already, or that does not lead upwards.

        ::

            from fundlyhub import upcasts

            @upcasts("campaign.praised", "1.0.0", "2.0.0")
            def _no_words_where_none_were_given(payload):
                return {"words": "", **payload}
        """
        old, new = canonical_version(old), canonical_version(new)
        if version_triple(old) >= version_triple(new):
            raise WrongUse(f"the upcaster of {type} from {old} to {new} must lead to a newer version")

        def register(function: Step) -> Step:
            steps = self._steps.setdefault(type, {}).setdefault(old, {})
            if new in steps:
                raise WrongUse(f"there is an upcaster of {type} from {old} to {new} already")
            steps[new] = function
            self._ways.clear()
            return function

        return register

    def way(self, type: str, old: str, new: str) -> tuple[Step, ...] | None:
        """The shortest path from one version to another, or None."""
        key = (type, old, new)
        if key not in self._ways:
            self._ways[key] = self._shortest(self._steps.get(type, {}), old, new)
        return self._ways[key]

    @staticmethod
    def _shortest(steps: dict[str, dict[str, Step]], old: str, new: str) -> tuple[Step, ...] | None:
        # Breadth first. Every step leads to a newer version, so there are no cycles.
        waiting: deque[tuple[str, tuple[Step, ...]]] = deque([(old, ())])
        while waiting:
            version, way = waiting.popleft()
            if version == new:
                return way
            waiting.extend((after, (*way, step)) for after, step in steps.get(version, {}).items())
        return None

    def upcast(self, type: str, version: str, payload: Wire, *, newest: str) -> Wire:
        """Convert a copy of the payload to the newest version. Raises UnknownVersion if there is no path."""
        way = self.way(type, version, newest)
        if way is None:
            raise UnknownVersion(f"version: no upcaster leads from {version} of {type} to {newest}", newer=False)
        for step in way:
            payload = step(dict(payload))
        return payload


_registry = Upcasters()
upcasts = _registry.step
"""``@upcasts("donation.completed", "1.0.0", "2.0.0")`` over a function from payload to payload."""


def upcast(type: str, version: str, payload: Wire) -> tuple[str, Wire]:
    """The newest version of the type, and the payload in that version; never changes ``payload``.

    Type and version are in canonical form. Raises UnknownEventType or UnknownVersion.
    """
    payload_class(type, version)
    newest = VERSIONS[type][-1]
    if version == newest:
        return version, payload
    return newest, _registry.upcast(type, version, payload, newest=newest)


def _fill(payload: Wire, key: str, value: Any) -> Wire:
    """Set a missing key; null counts as missing, as everywhere in payloads."""
    if payload.get(key) is None:
        payload[key] = value
    return payload


@upcasts("donation.completed", "1.0.0", "2.0.0")
def _dollars_where_no_currency(payload: Wire) -> Wire:
    return _fill(payload, "currency", "USD")


@upcasts("user.registered", "1.0.0", "2.0.0")
def _email_where_no_method(payload: Wire) -> Wire:
    return _fill(payload, "registrationMethod", "email")
