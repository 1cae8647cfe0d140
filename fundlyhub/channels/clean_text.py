"""Removal of invisible and control characters, for headers, titles and text messages: pure functions."""

from __future__ import annotations

import re
import unicodedata

_BLANKS = re.compile(r"[\s\x00-\x1f\x7f-\x9f\ud800-\udfff]+")
_BREAKS = re.compile(r"\r\n|[\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
# Direction marks, zero-width spaces, soft hyphens, annotations. The isolates U+2068 and U+2069 stay: our templates set
# them around right-to-left text. Tags stay after the black flag: they make the flags of England and Wales.
_INVISIBLE = re.compile(
    "[\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2067\u206a-\u206f\ufeff\ufff9-\ufffb\U000e0001]+"
    "|(?<![\U0001f3f4\U000e0020-\U000e007e])[\U000e0020-\U000e007f]+"
)
_JOINERS = re.compile("[\u200c\u200d]+")
_EMOJI_STYLE, _END_OF_TAGS = "\ufe0f", "\U000e007f"


def one_line(text: str) -> str:
    """A text on one line: runs of spaces, line breaks and control characters become one space."""
    return _BLANKS.sub(" ", _seen(text)).strip()


def lines(text: str) -> str:
    """A text that keeps its lines; each line is cleaned by ``one_line``."""
    return "\n".join(map(one_line, _BREAKS.split(text))).strip()


def _seen(text: str) -> str:
    if text.isascii():
        return text
    return _JOINERS.sub(_joiner, _INVISIBLE.sub("", text))


def _joiner(found: re.Match[str]) -> str:
    """Keep one joiner where it is visible: in an emoji, and after a letter of a script that joins letters."""
    text, sign = found.string, found[0][0]
    before, after = text[found.start() - 1 : found.start()], text[found.end() : found.end() + 1]
    if not before:
        return ""
    kind = unicodedata.category(before)
    # Emoji newer than this Python's Unicode tables have the category "Cn".
    if kind in ("So", "Sk", "Cn") or before in (_EMOJI_STYLE, _END_OF_TAGS):
        joins = sign == "\u200d" and after != "" and unicodedata.category(after) in ("So", "Sm", "Cn")
    else:
        joins = kind in ("Lo", "Lm", "Mn", "Mc")
    return sign if joins else ""
