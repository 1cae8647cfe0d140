"""JSON text for the log: Decimals as exact numbers, and no value that the log cannot hold."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import orjson

from fundlyhub.errors import InvalidEvent
from fundlyhub.events.payload import Payload
from fundlyhub.events.rules import MAX_DIGITS, check_json

_NUL = b"\\u0000"


def dumps(value: Any, *, pretty: bool = False, whole: bool = False) -> bytes:
    """Encode a value, Decimals as exact numbers; ``pretty`` indents. Raises InvalidEvent for values outside of JSON.

    ``whole`` takes whole numbers of more than 64 bits too: what is in the log already may have them.
    """
    option = orjson.OPT_INDENT_2 if pretty else None
    try:
        return orjson.dumps(value, default=_exact, option=option)
    except TypeError as error:  # orjson's JSONEncodeError
        if whole:
            return dumps(_exactly(value), pretty=pretty)
        raise InvalidEvent(f"payload: cannot be JSON: {error}") from None


def checked_json(payload: Payload) -> bytes:
    """The payload's JSON, after the checks that its class does not make. Raises InvalidEvent.

    For a payload of plain values the encoder finds all that ``check_json`` looks for, so the slow check runs only if
    the encoder refuses a value.
    """
    wire = payload.plain_wire()
    if wire is not None:
        try:
            text = orjson.dumps(wire, default=_short)
        except TypeError:  # a lone surrogate, NaN, or a number that is too long
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


def _exactly(value: Any) -> Any:
    """The value with whole numbers that the encoder does not take as Decimals."""
    if isinstance(value, dict):
        return {key: _exactly(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_exactly(one) for one in value]
    return Decimal(value) if isinstance(value, int) and not -(2**63) <= value < 2**64 else value


def _short(value: Any) -> Any:
    """A number with plain digits and a limited length."""
    text = str(value)
    if len(text) <= MAX_DIGITS and text.replace(".", "", 1).removeprefix("-").isdigit():
        return orjson.Fragment(text)
    raise TypeError
