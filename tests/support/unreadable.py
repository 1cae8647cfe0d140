"""A type whose code fails on an event: wherever the event says, and with the error that it names.

Importing this changes nothing: ``added`` enters the type, for as long as it is wanted.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from pydantic import model_validator

from fundlyhub.events.catalogue import index
from fundlyhub.events.payload import Line, Payload
from fundlyhub.events.upcasters import upcasts

TYPE = "test.unreadable"
SECRET = "ann@exämple.org"
"""What no error may tell."""


def _endless(text: str) -> str:
    return _endless(text + text[:1])


FAULTS: Mapping[str, Callable[[str], Any]] = {
    "ArithmeticError": lambda said: 1 / (len(said) - len(said)),
    "OverflowError": lambda said: float(10) ** (len(said) * 1_000),
    "RecursionError": lambda said: _endless(said),
    "MemoryError": lambda said: bytearray(2**62 + len(said)),
    "KeyError": lambda said: dict[str, str]()[said],
    "UnicodeError": lambda said: said.encode("ascii"),
    "ValueError": lambda said: int(said),
    "OSError": lambda said: Path(f"/nowhere/{said}").read_text(),
    "Snooze": lambda said: _raise("Snooze", said),
    "WrongUse": lambda said: _raise("WrongUse", said),
}
"""What fails, and how: each with an error whose own text may quote what the event says."""
PLACES = ("upcaster", "validator", "encoder", "aggregate")


def _raise(name: str, said: str) -> None:
    from fundlyhub import errors

    raise errors.Snooze(said, seconds=1) if name == "Snooze" else errors.WrongUse(said)


def _hang(text: str) -> None:
    while True:
        time.sleep(0.1)


def fail(place: str, said: Any) -> None:
    """Fail if the event says so."""
    asked = said if isinstance(said, dict) else {"where": said.where, "fault": said.fault}
    if asked["where"] == place:
        FAULTS.get(asked["fault"], _hang)(SECRET)


class UnreadableV1(Payload, type=TYPE, version="1.0.0", aggregate=("test", None)):
    """Something that was written by an older release."""

    where: Line
    fault: Line
    said: Line = SECRET


class Unreadable(Payload, type=TYPE, version="2.0.0", aggregate=("test", None)):
    """Something that nobody can read."""

    where: Line
    fault: Line
    said: Line = SECRET

    @model_validator(mode="after")
    def _validated(self) -> Self:
        fail("validator", self)
        return self

    def to_wire(self) -> dict[str, Any]:
        """Fails where it says so."""
        fail("encoder", self)
        return super().to_wire()

    def plain_wire(self) -> dict[str, Any] | None:
        """The way through ``to_wire``."""
        return None

    @property
    def aggregate_id(self) -> str | None:
        """Fails where it says so."""
        fail("aggregate", self)
        return None


@upcasts(TYPE, "1.0.0", "2.0.0")
def _brought_up(payload: dict[str, Any]) -> dict[str, Any]:
    fail("upcaster", payload)
    return payload


def version_of(place: str) -> str:
    """The version in which an event fails at this place."""
    return "1.0.0" if place == "upcaster" else "2.0.0"


def said(place: str, fault: str) -> dict[str, Any]:
    """What such an event says."""
    return {"where": place, "fault": fault, "said": SECRET}


def text_of(place: str, fault: str) -> str:
    """The same as JSON."""
    return json.dumps(said(place, fault))


def enter() -> None:
    """Add the type to the catalogue."""
    for one in (UnreadableV1, Unreadable):
        index.add(one)


@contextmanager
def added() -> Iterator[None]:
    """The type is known meanwhile."""
    enter()
    try:
        yield
    finally:
        for one in (Unreadable, UnreadableV1):
            index.remove(one)
