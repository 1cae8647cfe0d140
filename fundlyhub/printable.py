"""Makes text from outside safe to show: in a terminal, in a line of a log, in JSON that somebody reads in either."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

_CONTROL = frozenset({"Cc", "Cf", "Zl", "Zp"})
_JOINERS = "‌‍"  # they belong to words and to emoji, and end no line


def printable(text: str) -> str:
    r"""A text with each control character but the newline as its escape: it cannot steer a terminal.

    >>> printable("red \x1b[31m\nand more")
    'red \\x1b[31m\nand more'
    """
    return _escaped(text, "\n", _python)


def one_line(text: str) -> str:
    r"""The same with newlines escaped, for what is one line: it cannot forge another.

    >>> one_line("an id\n2026-01-01 INFO all is well")
    'an id\\n2026-01-01 INFO all is well'
    """
    return _escaped(text, "", _python)


def printable_json(document: str) -> str:
    r"""A JSON document with the control characters in its texts as JSON's escapes; its meaning stays.

    >>> printable_json('{"name": "\x9b31m"}')
    '{"name": "\\u009b31m"}'
    """
    return _escaped(document, "\n", _json)


def _escaped(text: str, kept: str, escape: Callable[[str], str]) -> str:
    if text.isprintable():
        return text
    return "".join(
        one if one in kept or one in _JOINERS or unicodedata.category(one) not in _CONTROL else escape(one)
        for one in text
    )


def _python(character: str) -> str:
    return character.encode("unicode_escape").decode()


def _json(character: str) -> str:
    units = character.encode("utf-16-be").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
