"""Texts of the index: markup goes, words stay whole, nothing is too long."""

from __future__ import annotations

import itertools

import pytest
from sqlalchemy import Engine

from fundlyhub.processors.projections.search_index.query import MAX_WORDS, words_of
from fundlyhub.processors.projections.search_index.texts import MAX_BYTES, clean, cut, folded
from tests.processors.hostile import HOSTILE


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>one</p><p>two</p>", "one two"),
        ("on<b>e</b> wo<i class='x'>r</i>d", "one word"),
        ("one<br>two<br/>three", "one two three"),
        ("<ul><li>a</li><li>b</li></ul>", "a b"),
        ("a<script>alert('x')</script>b<style>p{}</style> c", "ab c"),
        ("<script><p>never</p></script>seen", "seen"),
        ("fish &amp; chips &lt;b&gt; &eacute;", "fish & chips <b> é"),
        ("a < b and b > c", "a < b and b > c"),
        ("3 <4 of them", "3 <4 of them"),
        ("<!-- hidden -->shown", "shown"),
        ("plain\n\ttext", "plain text"),
        ("\ue000forged\ue001", "forged"),
        ("write to someone@example.org today", "write to today"),
        (None, ""),
    ],
)
def test_what_a_reader_would_see(html: str | None, text: str) -> None:
    assert clean(html) == text


def test_an_address_for_a_name_is_no_name() -> None:
    assert clean("ann@example.org") == ""


@pytest.mark.parametrize(("text", "size", "kept"), [("abc", 2, "ab"), ("aé", 2, "a"), ("a😀", 4, "a")])
def test_a_cut_leaves_whole_characters(text: str, size: int, kept: str) -> None:
    assert cut(text, size) == kept


def test_accents_and_capitals_do_not_matter() -> None:
    assert folded("Çà  ET Là ﬁn") == "ca et la fin"
    assert words_of("Çà-et:LÀ! 'quoted' (x)") == ["ca", "et", "la", "quoted", "x"]


@pytest.mark.parametrize("text", HOSTILE)
def test_whatever_is_typed_becomes_a_few_plain_words(text: str) -> None:
    words = words_of(text)
    assert len(words) <= MAX_WORDS
    assert all(word.isalnum() and len(word) <= 64 for word in words)


def _words(count: int, alphabet: str) -> str:
    return " ".join("".join(letters) for letters in itertools.islice(itertools.product(alphabet, repeat=4), count))


@pytest.mark.parametrize(
    "text",
    [
        "x" * 300_000,
        _words(60_000, "abcdefghijklmnopqrstuvwxyz"),
        _words(60_000, "日本語中文字漢語国家民族学校"),
        " ".join(f"{n}" for n in range(90_000)),
        " ".join("w" * 2_000 + str(n) for n in range(200)),
        "😀" * 80_000,
    ],
    ids=["one word", "latin", "chinese", "numbers", "long words", "emoji"],
)
def test_four_of_the_longest_texts_make_no_vector_too_long(analytics: Engine, text: str) -> None:
    cleaned = clean(text)
    assert len(cleaned.encode()) <= MAX_BYTES
    sizes = """SELECT length(setweight(to_tsvector('search_plain', %(text)s), 'B')
                             || setweight(to_tsvector('search_stem', %(text)s), 'B')
                             || setweight(to_tsvector('search_stem', %(other)s), 'C'))"""
    with analytics.begin() as db:
        db.exec_driver_sql(sizes, {"text": cleaned, "other": cleaned.replace("a", "ä").replace("1", "ø")[::-1]}).one()
