"""Values as JSON text for the log: money as numbers, exactly, and nothing that the log cannot hold."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import orjson

from fundlyhub.errors import InvalidEvent
from fundlyhub.events.payload import Payload
from fundlyhub.events.rules import MAX_DIGITS, check_json

_NUL = b"\\u0000"


def dumps(value: Any, *, pretty: bool = False) -> bytes:
    """JSON with Decimals as numbers, exactly; ``pretty`` is for people.

    Raises InvalidEvent for what JSON cannot say.
    """
    try:
        return orjson.dumps(value, default=_exact, option=orjson.OPT_INDENT_2 if pretty else None)
    except TypeError as error:  # orjson's JSONEncodeError
        raise InvalidEvent(f"payload: cannot be JSON: {error}") from None


def checked_json(payload: Payload) -> bytes:
    """The payload's JSON, after a check of what its class does not rule out.

    ``check_json`` looks at each value. Of a payload of plain values the encoder has seen all that it would look for,
    and it is asked only where the encoder found something odd.

    Raises InvalidEvent.
    """
    wire = payload.plain_wire()
    if wire is not None:
        try:
            text = orjson.dumps(wire, default=_short)
        except TypeError:  # a lone surrogate, a number that is none or far too long
            pass
        else:
            if _NUL not in text:
                return text
    wire = payload.to_wire()
    check_json(wire, path="payload")
    return dumps(wire)


def _exact(value: Any) -> Any:
    if isinstance(value, Decimal):
        return orjson.Fragment(format(value, "f"))
    raise TypeError(f"{type(value).__name__} is no JSON type")


def _short(value: Any) -> Any:
    """A number of plain digits, and not too many of them."""
    text = str(value)
    if len(text) <= MAX_DIGITS and text.replace(".", "", 1).removeprefix("-").isdigit():
        return orjson.Fragment(text)
    raise TypeError
