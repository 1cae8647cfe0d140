"""JSON that is nested deeper than any event may be: read all the same, since a person's words may stand in it. Pure."""

from __future__ import annotations

import json
import re

from fundlyhub.events.reading import DEEPEST

_SIGNS = re.compile(r'"(?:[^"\\]|\\.)*+"|[\[\]{}]')
"""Texts, in which no bracket counts, and brackets."""


def shallow(text: str, levels: int = DEEPEST) -> str:
    """The same JSON, in which a list or an object that is deeper than this stands as a text.

    >>> shallow('{"a": [[1], "[["], "b": 2}', levels=2)
    '{"a": ["[1]", "[["], "b": 2}'
    """
    if text.count("[") + text.count("{") <= levels:
        return text
    pieces: list[str] = []
    depth = done = begin = 0
    for sign in _SIGNS.finditer(text):
        if sign[0] in ("[", "{"):
            depth += 1
            if depth == levels + 1:
                begin = sign.start()
        elif sign[0] in ("]", "}"):
            if depth == levels + 1:
                pieces += text[done:begin], json.dumps(text[begin : sign.end()], ensure_ascii=False)
                done = sign.end()
            depth -= 1
    return "".join([*pieces, text[done:]])
