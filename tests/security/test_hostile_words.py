"""Words from outside in other people's messages: no link, no line, no sign that our templates did not write.

The first test goes the whole way, with hostile values in every field of every payload, and in what is known of
campaigns and people. The second goes through all templates, channels and languages with whatever Hypothesis thinks of.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from email import message_from_bytes, policy
from html import unescape
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as options
from hypothesis import strategies as st
from pydantic import ValidationError

from fundlyhub import Payload
from fundlyhub.channels.messages import ChannelName
from fundlyhub.processors.notifications.catalogue import BY_TEMPLATE, TEMPLATES, Notice
from fundlyhub.processors.notifications.contacts import Person
from fundlyhub.processors.notifications.rendering.render import LOCALES, render
from fundlyhub.processors.notifications.rendering.template_values import Fact, Facts, Money, sample
from fundlyhub.settings import get_settings
from tests.notifications.conftest import full, post  # noqa: F401 - fixtures
from tests.notifications.occasions import ONES
from tests.notifications.post import Post
from tests.notifications.test_templates import Seen
from tests.support.examples import examples

SITE, LEAVE = "https://site.test", "https://site.test/unsubscribe/x"
HOSTILE = [
    "Hi\r\n\r\nInjected: Confirm your card:\nhttps://paypa1.evil.example/login",
    "evil.example/x?y=1", "www.evil.example", "eve@evil.example", "//evil.example", "https:\u200b//evil.example",
    "evil\u2024example evil．example evil。example",
    "x\u2028Injected: y\u2029Injected: z\x85Injected: a\x0bInjected: b",
    "\u202eelpmaxe.live\u202c \u2066x\u2067y\u2068z", "e\u200bvil.ex\u00adam\u2060ple \ufeffevil.exa\u200cmple",
    "<a href='https://evil.example'>x</a><img src=x onerror=y>", "\x1b[2Jx\x01y\x07",
    "=?utf-8?q?x=0D=0AInjected=3A_y?=",
    "{{ amount }}{% include 'x' %}", "javascript:alert(1)", "mailto:eve@evil.example", "[x](https://evil.example)",
]  # fmt: skip
# As mail programs find them: a scheme, a www, or a name and a dot and the letters of a domain, with or without an at.
LINK = re.compile(
    r"(?i)[a-z][a-z0-9+]*://\S+|(?<![\w.])www\.\S+|[^\s@<>]+@[^\s@<>]+\.\w+|[^\W_][\w-]*[.．。｡](?=[^\W\d_]{2})[\w-]+(?:/\S*)?"
)
LEADING = {"href", "src", "action", "background", "formaction", "srcset", "poster"}
FORBIDDEN = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u200b\u200e\u200f\u202a-\u202e\u2060-\u2067\u206a-\u206f\ufeff\u00ad]"
)


def links(text: str) -> set[str]:
    return set(LINK.findall(text))


def visible(html: str) -> str:
    """The text that a reader sees, that of each element by itself."""
    return unescape(re.sub(r"<[^>]*>", "\n", html.partition("<body")[2]))


def addresses(html: str) -> set[str]:
    """Whatever a tag leads to or loads."""
    return {value or "" for _, attributes in Seen(html).tags for name, value in attributes if name in LEADING}


def hostile(payload: Payload, value: str) -> Payload:
    """The payload with this value in each of its fields that takes it."""
    wire = payload.to_wire()
    for name in list(type(payload).model_fields):
        key = type(payload).model_fields[name].alias or name
        try:
            type(payload).model_validate({**wire, key: value})
        except (ValidationError, ValueError):
            continue
        wire[key] = value
    return type(payload).model_validate(wire)


def told(channel: str) -> Iterator[tuple[str, str, str, dict[str, str]]]:
    """Subject, text, HTML and headers of each message that went out, and is not looked at yet."""
    outbox = get_settings().data_dir / "outbox" / channel
    for path in sorted(outbox.iterdir()) if outbox.exists() else ():
        if channel == "email":
            mail = message_from_bytes(path.read_bytes(), policy=policy.default)
            plain, html = (mail.get_body((part,)) for part in ("plain", "html"))
            assert plain is not None
            assert html is not None
            yield str(mail["Subject"]), plain.get_content(), html.get_content(), {k: str(v) for k, v in mail.items()}
        elif channel == "push":
            said = json.loads(path.read_text())
            yield said["title"], said["body"], "", {}
        else:
            yield "", path.read_text().partition("\n\n")[2], "", {}
        path.unlink()


@pytest.mark.parametrize("value", [pytest.param(one, id=repr(one[:16])) for one in HOSTILE])
@pytest.mark.chaos  # for its length
def test_no_field_of_an_event_or_of_a_profile_brings_words_of_its_own(full: Post, value: str) -> None:  # noqa: F811
    stored = value.replace("\x00", "")
    known = "kind IN ('campaign', 'user') AND field IN ('title', 'slug', 'name', 'summary', 'category')"
    for kind, payload in ONES.items():
        full.sql("UPDATE app.contacts SET name = %s, locale = %s, time_zone = %s", stored, stored, stored)
        full.sql(f"UPDATE app.entity_fields SET value = to_jsonb(%s::text) WHERE {known}", stored)
        full.sql("UPDATE app.entities SET name = %s", stored)
        full.sql("UPDATE app.gift_donors SET name = %s", stored)
        full.tell(hostile(payload, value))
        assert look_through_what_was_told() or kind == "new_sign_in", kind


def look_through_what_was_told() -> int:
    """How many messages there are, each without a word of others."""
    ours = (get_settings().site_url, get_settings().public_url)
    seen = 0
    for channel in ("email", "push", "sms"):
        for subject, text, html, headers in told(channel):
            seen += 1
            assert not {"Bcc", "Injected"} & headers.keys()
            for said in (subject, text.replace("\r\n", "\n"), visible(html).replace("\r\n", "\n")):
                assert not FORBIDDEN.search(said), ascii(said)
                assert not re.search(r"(?m)^\W*Injected:", said)
            assert all(link.startswith(ours) for link in links(text)), links(text)
            assert all(one.startswith(ours) for one in addresses(html)), addresses(html)
            assert all(link.startswith(ours) for link in links(visible(html))), links(visible(html))
            assert len(subject.splitlines()) <= 1
            if channel != "email":
                assert len(text.splitlines()) <= 1
    return seen


def given_by_others(notice: Notice, value: str) -> Facts:
    """The value in each fact that is text, found by its sample, and as a currency."""

    def with_value(fact: Fact) -> Fact:
        match fact:
            case str():
                return value
            case Money():
                return Money(Decimal("12.50"), value)
            case tuple():
                return tuple({name: with_value(part) for name, part in one.items()} for one in fact)
            case _:
                return fact

    facts = sample(notice.facts)
    return {name: with_value(fact) for name, fact in facts.items() if name not in ("campaign_url", "reference")} | {
        name: facts[name] for name in ("campaign_url", "reference") if name in facts
    }


def rendered(notice: Notice, channel: ChannelName, value: str, locale: str) -> tuple[str, str, str]:
    reader = Person(None, value, locale=locale, time_zone=value)
    facts = given_by_others(notice, value)
    return render(notice.template, channel, facts, reader, site_url=SITE, unsubscribe_url=LEAVE)


def pieces(html: str) -> list[Any]:
    """The tags that carry something: all but those around each text."""
    return [tag for tag in Seen(html).tags if tag[0] not in ("bdi", "p", "tr", "td", "span", "table")]


words = st.one_of(
    st.sampled_from(HOSTILE),
    st.lists(
        st.sampled_from(
            [
                *HOSTILE,
                "evil",
                ".",
                "com",
                "@",
                "://",
                "\u200d",
                "\u200c",
                "\u2069",
                "\u0301",
                " ",
                "א",
                "ا",
                "。",
                "ä",
                "1",
            ]
        ),
        max_size=8,
    ).map("".join),
    st.text(max_size=80),
)


@options(max_examples=examples(60), deadline=None)
@given(value=words, locale=st.sampled_from(LOCALES))
@pytest.mark.chaos  # for its length
def test_whatever_others_write_adds_no_link_no_line_and_no_hidden_sign(value: str, locale: str) -> None:
    value = value.encode("utf-8", "ignore").decode()
    for notice in TEMPLATES.values():
        for channel in notice.channels:
            subject, text, html = rendered(notice, channel, value, locale)
            _, tame_text, tame_html = rendered(notice, channel, "tame", locale)
            for said in (subject, text, html):
                assert not FORBIDDEN.search(said), ascii(said)
                assert said.count("\u2068") == said.count("\u2069")
            assert len(text.splitlines()) <= len(tame_text.splitlines())
            assert len(subject.splitlines()) <= 1
            assert links(text) <= links(tame_text)
            assert links(visible(html)) <= links(visible(tame_html))
            assert addresses(html) <= addresses(tame_html)
            assert pieces(html) == pieces(tame_html)
            for sign in set(text) - set(tame_text) - set(value):
                assert unicodedata.category(sign)[0] in "LMNPSZ" or sign in "\u2068\u2069"


def test_every_fact_has_a_sample() -> None:
    """So none is left out above."""
    for notice in TEMPLATES.values():
        assert set(sample(notice.facts)) == set(notice.facts)
        assert not any(isinstance(fact, datetime) and fact.tzinfo is None for fact in sample(notice.facts).values())


def test_a_currency_is_three_letters_or_is_not_shown() -> None:
    notice = BY_TEMPLATE["payout_requested"]
    facts: dict[str, Any] = {"amount": Money(Decimal(5), "evil.example")}
    for said in render(notice.template, "email", facts, Person(None), site_url=SITE):
        assert "evil" not in said
