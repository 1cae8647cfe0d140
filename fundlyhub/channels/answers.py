"""What is read of a provider's answer: little of it, JSON of any kind, and an id that a column takes."""

from __future__ import annotations

import json
from typing import Any

from fundlyhub.channels import provider_errors

LARGEST = 64 * 1024
"""Bytes of an answer that are read; providers need less than a tenth."""
LONGEST_ID = 200
_DIGITS = 18


def parsed(answer: bytes | str) -> Any:
    """An answer's JSON, or None if it has none. Fractions and what is no number are texts; huge whole numbers are None.

    >>> parsed(b'{"code": 21211, "more": 1e999}')
    {'code': 21211, 'more': '1e999'}
    """
    try:
        return json.loads(answer, parse_int=whole, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError):
        return None


def whole(digits: Any) -> int | None:
    """A whole number of usual size, from its digits or from itself; else None."""
    text = str(digits) if type(digits) in (int, str) else ""
    known = len(text) <= _DIGITS and text.isascii() and text.removeprefix("-").isdigit()
    return int(text) if known else None


def plain_id(id: object) -> str | None:
    """A provider's id of a message as plain text without blanks, of limited length; None if nothing of it is left.

    An index takes no longer one, and a column no U+0000: the message could not be settled, and would be sent again.
    """
    text = id[:LONGEST_ID] if isinstance(id, str) else ""
    return "".join(sign for sign in text if "!" <= sign <= "~") or None


def accepted(provider: str, status: int, id: object) -> str:
    """The provider's id of a message that it has accepted. Raises OutcomeUnknown without one: who has answered?"""
    found = plain_id(id)
    if found is None:
        raise provider_errors.unreadable(provider, status)
    return found
