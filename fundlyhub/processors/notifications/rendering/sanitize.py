"""Foreign text made harmless: one line, no change of direction, no link, cut to a length. Pure."""

from __future__ import annotations

import re
import unicodedata

from fundlyhub.channels.clean_text import one_line

_FSI, _PDI = "\u2068", "\u2069"
_ISOLATES = dict.fromkeys(map(ord, (_FSI, _PDI)))
# Mail programs and phones make links of a scheme, an at sign, and a dot before the letters of a domain.
_SCHEME, _AT = re.compile(r":(?=//)"), re.compile(r"(?<=\S)@(?=\S)")
_DOT = re.compile(r"(?<=[^\s.])(\.(?=[^\W\d_]{2})|[。．｡](?=[A-Za-z]{2}))")
_ZWJ = "\u200d"


class Foreign(str):
    """A cleaned text that another person wrote."""

    __slots__ = ()


def clean(value: str, room: int) -> Foreign:
    """One line of at most ``room`` characters, without marks that change the direction of what follows."""
    return Foreign(cut(one_line(value.translate(_ISOLATES)), room))


def unlinked(text: str) -> str:
    """Put a blank into everything that a mail program would make a link of.

    A reader sees the blank and can remove it. A sign without width would be copied unseen with the text.
    """
    return _DOT.sub(r"\1 ", _AT.sub(" @ ", _SCHEME.sub(": ", text)))


def isolated(text: str) -> str:
    """Isolate the direction of a text that runs from right to left; another one stays as it is."""
    turns = any(unicodedata.bidirectional(sign) in ("R", "AL", "AN") for sign in text)
    return f"{_FSI}{text}{_PDI}" if turns else text


def cut(text: str, room: int) -> str:
    """Cut a text to at most ``room`` characters, with an ellipsis: at a word if one is near, never within a sign."""
    if len(text) <= room:
        return text
    end = room - 1 - (_FSI in text)  # the ellipsis, and the end of an isolate that it may cut
    while end > 0 and not _may_part(text, end):
        end -= 1
    blank = text.rfind(" ", int(end * 0.8), end)
    kept = text[: blank if blank > 0 else end].rstrip()
    return kept + "…" + _PDI * max(0, kept.count(_FSI) - kept.count(_PDI))


def _may_part(text: str, at: int) -> bool:
    """Whether a text may be cut here: no mark, joiner or skin tone belongs to the sign before."""
    before, after = text[at - 1], text[at]
    if unicodedata.category(after) in ("Mn", "Mc", "Me") or "\U0001f3fb" <= after <= "\U0001f3ff":
        return False
    if _ZWJ in (before, after):
        return False
    return not (_is_flag(after) and _flags_before(text, at) % 2)


def _is_flag(sign: str) -> bool:
    return "\U0001f1e6" <= sign <= "\U0001f1ff"


def _flags_before(text: str, at: int) -> int:
    """How many flag letters come before: flags are pairs, which must not be separated."""
    count = 0
    while at - count > 0 and _is_flag(text[at - count - 1]):
        count += 1
    return count
