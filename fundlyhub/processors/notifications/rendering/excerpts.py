"""Excerpts: plain text from HTML, without tags, scripts and styles. Pure."""

from __future__ import annotations

import re
from html.parser import HTMLParser


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_LONGEST = 5_000
"""Characters that are looked at, without scripts and styles; an excerpt shows 500."""
_UNSEEN = _names("head iframe math noscript object svg template title")
_INLINE = _names(
    "a abbr acronym b bdi bdo big cite code data del dfn em font i ins kbd label mark q rp rt ruby s samp small span"
    " strike strong sub sup time tt u var wbr"
)
_APART = _names(
    "address area article aside audio base blockquote body br button canvas caption center col colgroup dd details"
    " dialog dir div dl dt embed fieldset figcaption figure footer form frame frameset h1 h2 h3 h4 h5 h6 header hgroup"
    " hr html img input legend li link main map menu meta meter nav ol optgroup option output p param picture pre"
    " progress section select slot source summary table tbody td textarea tfoot th thead tr track ul video"
)
# Scripts, styles, comments, declarations and instructions; Python's parser fails at some that are malformed.
_NOT_TEXT = re.compile(
    r"<(script|style)\b.*?(?:</\1\s*>|\Z)|<!--.*?(?:-->|\Z)|<[!?][^>]*(?:>|\Z)", re.DOTALL | re.IGNORECASE
)
_BROKEN_OFF = re.compile(r"<[^<>]*\Z")


def excerpt(html: str) -> str:
    """The beginning of a text that may be HTML, for a reader of plain text.

    Text that only looks like a tag, as in ``I <really> mean it``, stays. Blanks stay as they are.
    """
    reader = _Reader()
    text = _NOT_TEXT.sub(" ", html)
    reader.feed(_BROKEN_OFF.sub("", text[:_LONGEST]) if len(text) > _LONGEST else text)
    reader.close()
    return "".join(reader.said)


class _Reader(HTMLParser):
    """Collects the text that a browser would show."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.said: list[str] = []
        self._within: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._within == "head" and tag == "body":  # its end may be left out
            self._within = None
        if self._within is None and tag in _UNSEEN:
            self._within = tag
        self._tag(tag, self.get_starttag_text() or "")

    def handle_endtag(self, tag: str) -> None:
        self._tag(tag, f"</{tag}>")
        if self._within == tag:
            self._within = None

    def handle_data(self, data: str) -> None:
        if self._within is None:
            self.said.append(data)

    def _tag(self, tag: str, written: str) -> None:
        """Replace a tag: by nothing, by a blank between blocks, or by itself where it is no tag of HTML."""
        if tag in _INLINE:
            return
        known = tag in _APART or tag in _UNSEEN or "-" in tag or ":" in tag
        self.handle_data(" " if known else written)
