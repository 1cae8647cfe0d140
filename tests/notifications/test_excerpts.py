"""An update's beginning, read as a person reads it in a browser."""

from __future__ import annotations

from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fundlyhub.processors.notifications.rendering.excerpts import excerpt


@pytest.mark.parametrize(
    ("html", "said"),
    [
        ("On Monday the drill reached water.", "On Monday the drill reached water."),
        ("<p>On <b>Mon</b>day it</p><p>reached&nbsp;water &amp; more.</p>", "On Monday it reached water & more."),
        ("<h1>News</h1><ul><li>one</li><li>two</li></ul>three<br/>four", "News one two three four"),
        ('<a href="https://evil.example/x" onclick="y()">See here</a>', "See here"),
        ("<script>alert('<p>1</p>')</script>after<style>p { color: red }</style>", "after"),
        ("<html><head><title>t</title><meta charset=utf-8></head><body>seen</body></html>", "seen"),
        ("<head><meta charset=utf-8><body>seen", "seen"),
        ("<svg><text>no</text></svg><iframe src=x>no</iframe>yes", "yes"),
        ('<img src=x onerror="alert(1)">photo', "photo"),
        ("1 < 2 and 3 > 2, <3 and I <really> mean it", "1 < 2 and 3 > 2, <3 and I <really> mean it"),
        ("&lt;b&gt; and &amp;lt;", "<b> and &lt;"),
        ("a<!-- <p>hidden</p> -->b<!doctype html>c<?php x ?>d<![CDATA[e]]>f<!-- open", "a b c d f"),
        ("<![x[ never", ""), ("<<!-- -->![x[ a", "< ![x[ a"), ("<", "<"),
        ("&#0;&#xD800;&#x110000;", "\ufffd\ufffd\ufffd"),
        ("<o:p>word</o:p><trix-attachment x>file</trix-attachment>", "word file"),
        ("<SCRIPT>x</SCRIPT><P>big</P>", "big"), ("<script>never closed", ""),
        (f"<style>{'x' * 50_000}</style>after", "after"), ("", ""),
        ("</p></div>only ends", "only ends"),
    ],
)  # fmt: skip
def test_html_is_read_as_text(html: str, said: str) -> None:
    assert " ".join(excerpt(html).split()) == said


PIECES = [
    "<script>",
    "</script>",
    "<style>",
    "<!--",
    "-->",
    "<![",
    "]]>",
    "</",
    "<!",
    "<?",
    "&#",
    *"<>ap=\"'&;x/\x00é ",
]


@given(st.lists(st.sampled_from(PIECES)).map("".join))
def test_nothing_that_is_written_makes_it_fail(html: str) -> None:
    excerpt(html)


@pytest.mark.parametrize("piece", ["<a ", "<!--", "</", "<![", "&#", "<a href='", '<a x="', "<script>", "<p>", "<a\n"])
def test_no_text_holds_it_up(piece: str) -> None:
    began = process_time()  # a text of twice the length would take four times as long
    assert len(excerpt(piece * 30_000)) <= 5_000
    assert process_time() - began < 2
