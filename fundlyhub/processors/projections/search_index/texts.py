"""Texts as the index wants them: without markup, addresses and control characters, and not too long. Pure."""

from __future__ import annotations

import re
import unicodedata
from html.parser import HTMLParser

MAX_BYTES = 200_000
"""Of one text, in UTF-8. Four of this size, in words of one letter or of thousands, make a vector below the
1,048,575 bytes that PostgreSQL allows; a test shows it."""

START, STOP = "\ue000", "\ue001"
"""Stand around a match in a snippet. Private-use characters, which no text keeps: nobody can forge them."""

_BLOCKS = """
    address article aside blockquote br dd details div dl dt fieldset figcaption figure footer form h1 h2 h3 h4 h5 h6
    header hr li main nav ol option p pre section table tbody td tfoot th thead tr ul
"""
_BLOCK = frozenset(_BLOCKS.split())
_SILENT = frozenset({"script", "style", "template", "noscript", "head", "title", "iframe", "object", "svg", "math"})
_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u2028\u2029\ue000\ue001\ufeff]")


class _Text(HTMLParser):
    """Collects what a reader would see: blocks apart, words across inline tags together."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._silent: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag in _SILENT:
            self._silent.append(tag)
        elif tag in _BLOCK:
            self.parts.append(" ")

    def handle_endtag(self, tag: str) -> None:
        if self._silent:
            if tag == self._silent[-1]:
                self._silent.pop()
        elif tag in _BLOCK:
            self.parts.append(" ")

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        if tag in _BLOCK:
            self.parts.append(" ")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.parts.append(data)


def without_markup(html: str) -> str:
    """The text of HTML, or of plain text, whose signs stay as they are."""
    if "<" not in html and "&" not in html:
        return html
    parser = _Text()
    parser.feed(html)
    parser.close()
    return "".join(parser.parts)


def clean(text: str | None) -> str:
    """One line without markup, e-mail addresses and unseen characters, of at most MAX_BYTES bytes."""
    if not text:
        return ""
    words = _UNSEEN.sub(" ", without_markup(text)).split()
    return cut(" ".join(word for word in words if not _is_address(word)), MAX_BYTES)


def _is_address(word: str) -> bool:
    """Whether a word is an e-mail address, or holds one. No regular expression: a text may be one long word."""
    return "." in word.rpartition("@")[2] if "@" in word else False


def cut(text: str, size: int) -> str:
    """The beginning of a text, of at most so many bytes in UTF-8, and no half character."""
    data = text.encode()
    return text if len(data) <= size else data[:size].decode(errors="ignore").rstrip()


def folded(text: str) -> str:
    """The same text for those who write without accents or capitals: what trigrams are made of."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return " ".join("".join(sign for sign in decomposed if not unicodedata.combining(sign)).split())
