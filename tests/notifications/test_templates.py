"""What is written: each message in each language, and what people wrote in it, which stays text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from html.parser import HTMLParser
from typing import Any, NamedTuple, get_args

import pytest
from hypothesis import given
from hypothesis import settings as options
from hypothesis import strategies as st

from fundlyhub.channels.messages import ChannelName
from fundlyhub.processors.notifications.catalogue import BY_TEMPLATE, NOTICES, TEMPLATES, Category, Notice
from fundlyhub.processors.notifications.contacts import Person
from fundlyhub.processors.notifications.reference import page
from fundlyhub.processors.notifications.rendering.render import (
    LOCALES,
    PUSH_BODY,
    PUSH_TITLE,
    SMS,
    SUBJECT,
    placeholders,
    render,
    texts,
)  # fmt: skip
from fundlyhub.processors.notifications.rendering.sanitize import cut
from fundlyhub.processors.notifications.rendering.template_values import Fact, Facts, Money, sample
from tests.support import ROOT
from tests.support.command import fundlyhub
from tests.support.examples import examples

SITE = "https://site.example"
LEAVE = "https://site.example/unsubscribe/x"
each_message = pytest.mark.parametrize(
    ("notice", "channel"), [(notice, channel) for notice in TEMPLATES.values() for channel in notice.channels],
    ids=lambda value: value.template if isinstance(value, Notice) else value,
)  # fmt: skip


class Rendered(NamedTuple):
    subject: str
    text: str
    html: str


def written(
    notice: Notice, channel: ChannelName = "email", facts: Facts | None = None, *, name: str | None = "Ann",
    locale: str = "en", zone: str = "UTC",
) -> Rendered:  # fmt: skip
    reader = Person(None, name, locale=locale, time_zone=zone)
    said = {**sample(notice.facts), **(facts or {})}
    return Rendered(*render(notice.template, channel, said, reader, site_url=SITE, unsubscribe_url=LEAVE))


def shape(message: Any) -> Any:
    """A message without its words: keys, and how many paragraphs and rows."""
    return {key: len(value) if isinstance(value, list) else type(value) for key, value in message.items()}


@pytest.mark.parametrize("locale", LOCALES)
def test_a_locale_has_every_message_and_uses_just_its_facts(locale: str) -> None:
    words = texts(locale)
    assert words.keys() == {"common", *TEMPLATES}
    for template, notice in TEMPLATES.items():
        message = words[template]
        assert ("push" in message, "sms" in message) == ("push" in notice.channels, "sms" in notice.channels)
        assert placeholders(message) <= {*notice.facts, *words["common"]}
        assert placeholders(message) >= set(notice.facts) - {"campaign_url"}, "a fact that nobody is told"
        assert {name: shape(part) for name, part in words.items()} == {
            name: shape(part) for name, part in texts("en").items()
        }


@each_message
@pytest.mark.parametrize("locale", [*LOCALES, "de_AT", "fr", "xx-nonsense", ""])
def test_each_message_can_be_written_for_everybody(notice: Notice, channel: ChannelName, locale: str) -> None:
    found = written(notice, channel, locale=locale)
    assert found.text
    assert bool(found.html) is (channel == "email")
    nothing = {name: None for name, fact in sample(notice.facts).items() if name in
               ("campaign", "campaign_url", "donor", "follower", "goal", "raised", "device", "address")}  # fmt: skip
    bare = written(notice, channel, {**nothing, "reason": None} if "reason" in notice.facts else nothing, name=None)
    for said in (*(found.subject, found.text), *(bare.subject, bare.text), found.html or "", bare.html or ""):
        assert "None" not in said
        assert "{{" not in said
        assert "{%" not in said


def test_money_dates_and_numbers_are_the_readers() -> None:
    receipt = BY_TEMPLATE["donation_receipt"]
    facts: Facts = {"amount": Money(Decimal("1234.5"), "EUR"), "donated_at": datetime(2026, 1, 1, 2, tzinfo=UTC)}
    english = written(receipt, facts=facts, zone="America/New_York").text
    assert "€1,234.50" in english
    assert "December 31, 2025, 9:00\u202fPM GMT-05:00" in english
    german = written(receipt, facts=facts, locale="de", zone="Europe/Berlin").text
    assert "1.234,50\xa0€" in german
    assert "1. Januar 2026, 03:00 GMT+01:00" in german
    assert "GMT" in written(receipt, facts=facts, zone="Mars/Olympus").text
    yen = written(receipt, facts={"amount": Money(Decimal(5000), "JPY")}).text
    assert "¥5,000\n" in yen
    assert "12.345 Menschen" in written(BY_TEMPLATE["goal_reached"], facts={"donors": 12_345}, locale="de").text


def test_an_anonymous_donor_reads_that_nobody_is_told() -> None:
    receipt = BY_TEMPLATE["donation_receipt"]
    assert "shown to nobody" in written(receipt, facts={"anonymous": True}).text
    assert "shown to nobody" not in written(receipt, facts={"anonymous": False}).text


class Seen(HTMLParser):
    """Tags with their attributes, and the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, tuple[tuple[str, str | None], ...]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


WRITTEN = ("campaign", "donor", "follower", "reason", "device", "address", "title", "excerpt")
WILD = [
    '<script>alert(1)</script>', '"><img src=x onerror=alert(1)>', "' onmouseover='x", "</title></head><h1>",
    "Wells\r\nBcc: eve@example.org\r\n\r\nbody", "Wells\u2028Bcc: eve\u0085x", "a\x00b\x07c\x1b[31m",
    "👩‍👩‍👧‍👦👍🏽🇩🇪" * 40, "עִבְרִית \u202eevil\u202c العربية", "\u2067\u2066\u202a" * 30 + "x", "e\u0301" * 5_000,
    "x" * 10_000, "word " * 2_000, "{{ 7*7 }}{% raw %}{{ amount }}", "https://evil.example/login", "www.evil.example",
    "eve@evil.example", "javascript:alert(1)", "&lt;b&gt; &amp; &#x3c;", "", " ",
]  # fmt: skip
wild = st.one_of(
    st.sampled_from(WILD),
    st.text(st.characters(codec="utf-8"), max_size=300),
    st.lists(st.sampled_from([*WILD, "🇩", "\u200d", "\u0301", "\u2069"]), max_size=6).map("".join),
)


FOREIGN = ("bdi", "p", "tr", "td", "span")
"""Tags that texts of people are in."""


def _holding(notice: Notice, value: str) -> Facts:
    """This value wherever somebody may have written something."""
    facts: dict[str, Fact] = {name: value for name in WRITTEN if name in notice.facts}
    return facts | ({"parts": ({"campaign": value, "number": 2, "amount": None},)} if "parts" in notice.facts else {})


def sightings(value: str, locale: str) -> Iterator[tuple[str, ChannelName, Rendered]]:
    """Each message with this value wherever somebody may have written something."""
    for template, notice in TEMPLATES.items():
        mine = _holding(notice, value)
        for channel in notice.channels:
            yield template, channel, written(notice, channel, mine, name=value, locale=locale)


@cache
def usual(template: str, locale: str) -> list[Any]:
    """The tags of a mail with a tame value, without those that texts of people are in."""
    notice = TEMPLATES[template]
    tame = written(notice, "email", _holding(notice, "tame"), name="tame", locale=locale)
    return [tag for tag in Seen(tame.html or "").tags if tag[0] not in FOREIGN]


def harmless(value: str, locale: str) -> None:
    """Nothing that somebody wrote becomes a tag, a link, a line of a header, or too long."""
    for template, channel, found in sightings(value, locale):
        assert len(found.subject) <= (PUSH_TITLE if channel == "push" else SUBJECT)
        assert len(found.subject.splitlines()) <= 1
        assert not re.search(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066\u2067]", found.subject)
        assert found.subject.count("\u2068") == found.subject.count("\u2069")
        if channel == "email":
            seen = Seen(found.html or "")
            assert [tag for tag in seen.tags if tag[0] not in FOREIGN] == usual(template, locale)
            assert all(not attributes for tag, attributes in seen.tags if tag == "bdi")
            assert not re.search(r"evil\.[a-z]{2}|eve@|://evil", seen.text.replace(found.subject, ""))
            assert not re.search(r"evil\.example|eve@|://evil", found.text)
        else:
            assert len(found.text) <= (PUSH_BODY if channel == "push" else SMS)
            assert len(found.text.splitlines()) == 1
            assert not re.search(r"evil\.example|eve@", found.text)


@pytest.mark.parametrize("value", WILD, ids=lambda value: repr(value[:24]))
def test_what_people_write_stays_text(value: str) -> None:
    harmless(value, "en")


@options(max_examples=examples(40), deadline=None)
@given(value=wild, locale=st.sampled_from(LOCALES))
@pytest.mark.chaos  # for its length
def test_whatever_people_write_stays_text(value: str, locale: str) -> None:
    harmless(value, locale)


@pytest.mark.parametrize(
    ("text", "room", "kept"),
    [
        ("short", 10, "short"),
        ("one two three four", 12, "one two thr…"),
        ("abcdefghijkl", 6, "abcde…"),
        ("aaaa" + "e\u0301", 6, "aaaae\u0301"),
        ("aaaaa" + "e\u0301" + "b", 7, "aaaaa…"),
        ("ab👩‍👩‍👧‍👦cdef", 6, "ab…"),
        ("abc👍🏽defg", 5, "abc…"),
        ("ab🇩🇪🇫🇷cd", 6, "ab🇩🇪…"),
        ("\u2068אבגדה וזחטי\u2069", 8, "\u2068אבגדה…\u2069"),
    ],
)
def test_a_cut_parts_no_sign(text: str, room: int, kept: str) -> None:
    assert cut(text, room) == kept


def test_the_page_of_messages_is_made_from_the_code() -> None:
    assert (ROOT / "docs" / "notifications.md").read_text() == page(), "run `make docs`"
    assert all(f"`{template}`" in page() for template in TEMPLATES)
    assert {notice.category for notice in NOTICES} == set(get_args(Category))


class TestPreview:
    def test_a_message_in_another_language(self) -> None:
        done = fundlyhub("notifications", "preview", "donation_receipt", "--locale", "de", settings={})
        assert done.returncode == 0
        assert done.stdout.startswith("Beleg: Ihre Spende von 1.250,50 € an Clean water for Kisumu\n\nHallo Amara")

    def test_one_document(self) -> None:
        arguments = ("new_sign_in", "--channel", "sms", "--json")
        found = json.loads(fundlyhub("notifications", "preview", *arguments, settings={}).stdout)
        assert found["text"].startswith("FundlyHub: a new sign-in")
        assert found["html"] is None

    def test_all_of_them_in_a_folder(self, tmp_path: Any) -> None:
        done = fundlyhub("notifications", "preview", "--all", "--output", str(tmp_path), settings={})
        assert done.returncode == 0
        assert len([*tmp_path.glob("*.html")]) == len(TEMPLATES)
        assert len([*tmp_path.glob("*.txt")]) == sum(len(notice.channels) for notice in TEMPLATES.values())

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["nonsense"], "no such message: nonsense; there are welcome, donation_receipt"),
            ([], "none was named"),
            (["welcome", "--channel", "sms"], "welcome goes by email alone"),
            (["--all"], "--output FOLDER"),
        ],
    )
    def test_wrong_use_is_one_line(self, arguments: list[str], said: str) -> None:
        done = fundlyhub("notifications", "preview", *arguments, settings={})
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
        assert said in done.stderr
