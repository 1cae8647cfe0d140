"""Stores the fields of an entry as JSON for quarantine, without the secrets in them. Pure."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from fundlyhub.events.secrets import secret_names, without
from fundlyhub.streams.entry import MAX_KEPT, Entry, Fields
from fundlyhub.streams.layouts import kind_of

REMOVED = "[removed]"
"""What stands in the place of a secret."""
MAX_PARSED = 1024 * 1024
"""Bytes of a value that is parsed to find secrets: parsed JSON takes up to a hundred times its text."""

Json = list[list[Any]]
"""Pairs of name and value; each is a text, or ``{"base64": …}`` where it can be none."""


def to_json(entry: Entry) -> Json:
    """The fields of an entry. A text in the log of a database has neither U+0000 nor bytes that are not UTF-8."""
    names = secret_names(kind_of(entry))
    return [[_shown(name), _shown(_redacted(name, value, names))] for name, value in _beginning(entry.fields)]


def from_json(stored: Json) -> Fields:
    """The fields that were kept."""
    return tuple((_bytes(name), _bytes(value)) for name, value in stored)


def _beginning(fields: Fields) -> Iterator[tuple[bytes, bytes]]:
    """The fields up to the limit: the last one is cut there."""
    left = MAX_KEPT
    for name, value in fields:
        if left <= 0:
            return
        yield name[:left], value[:left]
        left -= len(name) + len(value)


def _shown(raw: bytes) -> Any:
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = "\0"
    return {"base64": base64.b64encode(raw).decode()} if "\0" in text else text


def _bytes(shown: Any) -> bytes:
    return base64.b64decode(shown["base64"]) if isinstance(shown, dict) else str(shown).encode()


def _redacted(name: bytes, value: bytes, names: frozenset[str]) -> bytes:
    if name.decode("utf-8", "replace") in names:
        return REMOVED.encode()
    return _without_nested(_pattern(names).sub(_marked, value), names)


def _marked(match: re.Match[bytes]) -> bytes:
    quote = match["quote"]
    return match["key"] + quote + REMOVED.encode() + quote


# Outside text meets these patterns. Their repeats are possessive: they keep no place to come back to, so that time
# and memory grow with the length of the text and no faster.


@cache
def _pattern(names: frozenset[str]) -> re.Pattern[bytes]:
    """A key with its value in JSON text, also in text that is no JSON, and in JSON that stands in a JSON text."""
    return re.compile(
        _key(names) + rb'(?:"(?:[^"\\]|\\.)*+"?'  # a text, perhaps cut off
        rb'|(?P<deep>\\{1,8})".*?(?:(?<!\\)(?P=deep)"|$)'  # the same inside another text
        rb"|[^\s,}\]\\\"{\[]++)",  # a number, true, false, null
        re.DOTALL,
    )


@cache
def _nested(names: frozenset[str]) -> re.Pattern[bytes]:
    """A key whose value is an object or a list, with all that follows: its end cannot be told."""
    return re.compile(_key(names) + rb"[{\[].*", re.DOTALL)


def _key(names: frozenset[str]) -> bytes:
    """A key in quotes, and the colon. ``quote`` is the closing one, with the backslashes of a text inside another.

    It begins with a literal and a class of letters, because Python looks for these much faster than for anything else.
    """
    words = "|".join("".join(map(_letter, name)) for name in sorted(names)).encode()
    first = "".join(sorted({name[0] for name in names})).encode()
    return rb'(?P<key>"(?=[\\' + first + rb"])(?:" + words + rb')(?P<quote>\\{0,8}")\s*+:\s*+)'


def _letter(letter: str) -> str:
    r"""A letter of a key as JSON may write it: as it is, or as an escape such as ``\u0070``."""
    digits = "".join(f"[{digit}{digit.upper()}]" if digit.isalpha() else digit for digit in f"{ord(letter):04x}")
    return rf"(?:{letter}|\\{{1,8}}u{digits})"


def _without_nested(value: bytes, names: frozenset[str]) -> bytes:
    """Take out what the pattern cannot: an object or a list. A text that can be parsed is written anew without it."""
    if _nested(names).search(value) is None:
        return value
    try:
        if len(value) <= MAX_PARSED:
            value = json.dumps(without(json.loads(value), names), ensure_ascii=False).encode("utf-8", "replace")
    except (ValueError, RecursionError):  # no JSON, or nested too deep to be read
        pass
    return _nested(names).sub(_marked, value)  # what is left, also in JSON that stands in a JSON text
