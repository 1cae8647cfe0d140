"""The ways in which a text may be written: escaped as JSON, in a URL, quoted in a row, or in a mail. Pure."""

from __future__ import annotations

import email
import email.policy
import html
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator
from urllib.parse import unquote

_ESCAPED = re.compile(r"\\++(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
"""An escape of JSON, also of JSON that stands as a text in JSON."""
QUOTING = '"\\'
"""Signs that stand before or beside those of a text where it is quoted: in JSON, in a row, in an array."""
_UNQUOTED = str.maketrans("", "", QUOTING)


def readings(text: str) -> Iterator[str]:
    r"""A text from outside, and what it says where it is JSON or a part of a URL, whether that is whole or not.

    >>> list(readings(r'{"e": "jos\u00e9"}'))
    ['{"e": "jos\\u00e9"}', '{"e": "josé"}']
    """
    yield text
    if "\\" in text:
        plain = _ESCAPED.sub(lambda sign: chr(int(sign[1], 16)) if sign[1] else sign[2], text)
        text = plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        yield text
    if "%" in text:
        yield unquote(text, errors="replace")


class Sought:
    """Words that are looked for in texts, whatever the case of their letters and however a place quotes them.

    A database looks for ``forms`` in a text without quotation marks and backslashes; so does ``stand_in``.
    """

    def __init__(self, words: Iterable[str]) -> None:
        found = {form for word in words if len(word) >= 3 for form in _forms(word)}
        self.forms = sorted(found)
        self._folded = sorted({_folded(form) for form in found})
        self.longest = max(map(len, self._folded), default=0)

    def __bool__(self) -> bool:
        return bool(self.forms)

    def stand_in(self, text: str) -> bool:
        """Whether one of them stands in this text."""
        within = _folded(text)
        return any(form in within for form in self._folded)


def _forms(word: str) -> Iterator[str]:
    word = unicodedata.normalize("NFC", word)
    for written in (word, json.dumps(word, ensure_ascii=False), json.dumps(word)):
        yield written.translate(_UNQUOTED)


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold().translate(_UNQUOTED)


def mail_texts(content: bytes) -> Iterator[str]:
    """What a mail says to its reader: its headers and each text in it, decoded."""
    mail = email.message_from_bytes(content, policy=email.policy.default)
    yield "\n".join(str(value) for value in mail.values())
    for part in mail.walk():
        if part.get_content_maintype() == "text":
            text = (part.get_payload(decode=True) or b"").decode("utf-8", "replace")  # type: ignore[union-attr]
            yield " ".join(html.unescape(text).split())
