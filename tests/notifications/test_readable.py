"""What a reader makes of a message: nothing unseen in it, our own words in each title, times that there are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import pytest
from jinja2 import Environment

from fundlyhub.channels.messages import ChannelName
from fundlyhub.processors.notifications.catalogue import TEMPLATES, Notice
from fundlyhub.processors.notifications.contacts import Person
from fundlyhub.processors.notifications.rendering.render import (
    LOCALES,
    PUSH_BODY,
    PUSH_TITLE,
    SMS,
    SUBJECT,
    render,
    texts,
)
from fundlyhub.processors.notifications.rendering.template_values import Facts, sample
from tests.notifications.test_templates import WRITTEN, Rendered

LONG = "Clean water and a school for the children of Kisumu and all the villages around the lake, " * 3
WHERE = ["Pacific/Auckland", "Pacific/Kiritimati", "Asia/Tokyo", "UTC", "America/New_York", "Pacific/Honolulu"]


def written(
    template: str, facts: Facts, channel: ChannelName = "email", locale: str = "en", zone: str = "UTC"
) -> Rendered:
    notice = TEMPLATES[template]
    said, reader = {**sample(notice.facts), **facts}, Person(None, "Ann", locale=locale, time_zone=zone)
    return Rendered(*render(template, channel, said, reader, site_url="https://x.example"))


def each() -> Iterator[tuple[Notice, ChannelName, str]]:
    notices = TEMPLATES.values()
    yield from ((notice, channel, locale) for notice in notices for channel in notice.channels for locale in LOCALES)


def own_words(text: str, facts: Facts) -> list[str]:
    """What a locale's text says beside the facts, where all of them are known."""
    known = {
        **dict.fromkeys(facts, "\0"),
        **{name: value for name, value in facts.items() if isinstance(value, (bool, int))},
    }
    said = Environment().from_string(text).render(known | dict.fromkeys(("campaign", "donor", "title"), "\0"))  # noqa: S701
    return [part.strip().lower() for part in said.split("\0") if part.strip(" .:")]


@pytest.mark.parametrize(("notice", "channel", "locale"), [*each()])
def test_a_long_title_leaves_our_own_words_in_their_place(notice: Notice, channel: ChannelName, locale: str) -> None:
    mine = {name: LONG for name in WRITTEN if name in notice.facts}
    found = written(notice.template, mine, channel, locale)
    message = texts(locale)[notice.template]
    lines = {"email": [("subject", found.subject, SUBJECT)],
             "push": [("subject", found.subject, PUSH_TITLE), ("push", found.text, PUSH_BODY)],
             "sms": [("sms", found.text, SMS)]}[channel]  # fmt: skip
    for name, said, room in lines:
        assert len(said) <= room
        for words in own_words(message[name], sample(notice.facts)):
            assert words in said.lower()
        if name == "subject" and "{{ campaign" in message[name]:
            assert re.search(r"Clean water.*[a-z]…", said), "cut at a word, and marked"
            assert len(re.search(r"Clean water[^…]*", said)[0]) <= 60  # type: ignore[index]


def test_a_title_of_sixty_characters_is_whole_in_a_subject() -> None:
    title = "Clean water for the school and the clinic of Kisumu, part 12"
    assert len(title) == 60
    assert written("campaign_rejected", {"campaign": title}).subject == f"{title} was not approved"


@pytest.mark.parametrize("title", ["Familie 👩‍👩‍👧‍👦", "می‌خواهم", "क्‍ष", "🏳️‍🌈 Pride"])
def test_joiners_that_join_stay_in_subjects_and_titles(title: str) -> None:
    for channel in ("email", "push"):
        assert title in written("campaign_approved", {"campaign": title}, channel).subject


@pytest.mark.parametrize(("notice", "channel", "locale"), [*each()])
def test_nothing_that_is_copied_holds_what_nobody_sees(notice: Notice, channel: ChannelName, locale: str) -> None:
    wild = "\u2060\u200b\ufeff\u00adsee www.evil.example, eve@evil.example\u200d"
    for facts in ({}, {name: wild for name in WRITTEN if name in notice.facts}):
        found = written(notice.template, facts, channel, locale)
        for said in (found.subject, found.text, found.html or ""):
            assert not re.search("[\u2060-\u2064\u200b-\u200d\ufeff\u00ad]", said)


@pytest.mark.parametrize("address", ["192.0.2.17", "2001:db8::8a2e:370:7334", "::ffff:192.0.2.17"])
def test_a_network_address_can_be_copied(address: str) -> None:
    found = written("new_sign_in", {"address": address})
    assert f"Network address: {address}\n" in found.text
    assert f">{address}</" in (found.html or "")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("see evil.example now", "see evil. example now"), ("eve@evil.example", "eve @ evil. example"),
        ("https://evil.example/x?y", "https: //evil. example/x?y"), ("WWW.EVIL.CO.UK", "WWW. EVIL. CO. UK"),
        ("It costs 3.50, not 1.250.000", "It costs 3.50, not 1.250.000"),
        ("At 5 p.m. on 1.2.2026.", "At 5 p.m. on 1.2.2026."),
        ("well.Then", "well. Then"), ("evil。com 你好。世界", "evil。 com 你好。世界"), ("💩.la", "💩. la"),
        ("wait... what", "wait... what"),
    ],
)  # fmt: skip
def test_what_would_be_a_link_has_a_space_that_can_be_seen(text: str, shown: str) -> None:
    found = written("campaign_rejected", {"reason": text})
    assert f"The reason: {shown}\n" in found.text
    assert f"The reason: <bdi>{shown}</bdi>" in (found.html or "")


ENDS = [
    datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC),
    datetime(9999, 12, 31, 23, 59, 59, tzinfo=timezone(timedelta(hours=-5))),
    datetime(1, 1, 1, tzinfo=UTC),
    datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))),
]


@pytest.mark.parametrize("zone", WHERE)
@pytest.mark.parametrize("moment", ENDS, ids=str)
def test_any_time_can_be_told_everywhere(moment: datetime, zone: str) -> None:
    for notice, channel, locale in each():
        times: Facts = {name: moment for name, fact in sample(notice.facts).items() if isinstance(fact, datetime)}
        assert "None" not in written(notice.template, times, channel, locale, zone).text


@pytest.mark.parametrize("zone", WHERE)
def test_a_suspension_without_an_end_says_so(zone: str) -> None:
    for moment in ENDS[:2]:
        until: Facts = {"until": moment}
        assert (
            "Your account is suspended until further notice.\n" in written("account_suspended", until, zone=zone).text
        )
        assert (
            "Ihr Konto ist bis auf Weiteres gesperrt.\n"
            in written("account_suspended", until, locale="de", zone=zone).text
        )
    soon = written("account_suspended", {"until": datetime(2026, 4, 1, 12, tzinfo=UTC)}, zone=zone)
    assert "suspended until April" in soon.text or "suspended until March" in soon.text
