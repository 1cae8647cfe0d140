"""What people and others type into a search field."""

from __future__ import annotations

_SIGNS = """' '' " "unclosed \\ % _ %s %(query)s {} {key} : :* a:* a:*b ! !! <-> )) * ** ? ~ ^ a~2 title:x $$x$$
    -wells +wells"""
_PHRASES = [
    "a & b", "a | b", "a <-> b", "( (", "a AND OR NOT", "the", "the and of", "wells -roofs", '{"match_all": {}}',
    "'; DROP TABLE campaign_search_projection; --", "1 OR 1=1", "\\'; SELECT pg_sleep(9); --", "E'\\x00'",
    "<script>alert(1)</script>", "<b>wells</b>", "<img src=x onerror=alert(1)>", "</mark><mark>", "&lt;b&gt;", "&#60;",
]  # fmt: skip
_SCRIPTS = ["😀", "👩‍👩‍👧‍👦 wells", "مرحبا", "שלום wells", "\u202eslleW", "日本語", "e\u0301", "ﬁ", "İ", "ß"]
_CONTROLS = ["", " ", "\ue000wells\ue001", "\u200b", "\x00", "a\x00b", "\ud800", "\t\n\r"]
_LONG = ["a" * 10_000, "wells " * 2_000, "'\"" * 5_000, "(" * 10_000, "w:" * 3_000, "😀" * 10_000]

HOSTILE = [*_SIGNS.split(), *_PHRASES, *_SCRIPTS, *_CONTROLS, *_LONG]
