"""Stores the fields of an entry as JSON for quarantine, without the secrets in them. Pure."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from fundlyhub.events.secrets import secret_names, without
from fundlyhub.streams.entry import Entry, Fields
from fundlyhub.streams.layouts import kind_of

REMOVED = "[removed]"
"""What stands in the place of a secret."""
MAX_KEPT = 16 * 1024 * 1024
"""Bytes of an entry that are kept: a database cannot hold all that Redis can."""

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
    return _without_hidden(_pattern(names).sub(_marked, value), names)


def _marked(match: re.Match[bytes]) -> bytes:
    quote = match["quote"]
    return match["key"] + quote + REMOVED.encode() + quote


@cache
def _pattern(names: frozenset[str]) -> re.Pattern[bytes]:
    """A key with its value in JSON text, also in text that is no JSON, and in JSON that stands in a JSON text."""
    return re.compile(
        _key(names) + rb'(?:"(?:[^"\\]|\\.)*"?'  # a text, perhaps cut off
        rb'|(?P<deep>\\{1,8})".*?(?:(?<!\\)(?P=deep)"|$)'  # the same inside another text
        rb"|[^\s,}\]\\\"{\[]+)",  # a number, true, false, null
        re.DOTALL,
    )


@cache
def _nested(names: frozenset[str]) -> re.Pattern[bytes]:
    """A key whose value is an object or a list, with all that follows: its end cannot be told."""
    return re.compile(_key(names) + rb"[{\[].*", re.DOTALL)


def _key(names: frozenset[str]) -> bytes:
    words = "|".join(sorted(names)).encode()
    # A few backslashes at most: a megabyte of them must not be looked through from each of its places.
    return rb'(?P<key>(?P<quote>\\{0,8}")(?:' + words + rb")(?P=quote)\s*:\s*)"


def _without_hidden(value: bytes, names: frozenset[str]) -> bytes:
    """What the pattern cannot see, an escaped key or a nested value: then the whole text is written anew."""
    try:
        parsed = json.loads(value)
        if not _has_secret(parsed, names):
            return value
        return json.dumps(without(parsed, names), ensure_ascii=False).encode("utf-8", "replace")
    except (ValueError, RecursionError):  # no JSON, or nested too deep to be read
        return _nested(names).sub(_marked, value)


def _has_secret(value: Any, names: frozenset[str]) -> bool:
    if isinstance(value, dict):
        return any((key in names and item != REMOVED) or _has_secret(item, names) for key, item in value.items())
    return isinstance(value, list) and any(_has_secret(item, names) for item in value)
