"""Rendering: template values become the texts of a mail, a push message or an SMS in the reader's language."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from functools import cache
from importlib.resources import files
from typing import Any
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_time, get_timezone_gmt
from babel.numbers import format_decimal
from jinja2 import Environment, PackageLoader, StrictUndefined, Template, meta
from markupsafe import Markup

from fundlyhub.channels.clean_text import one_line
from fundlyhub.channels.messages import ChannelName
from fundlyhub.forks import process_cache
from fundlyhub.processors.notifications.contacts import Person
from fundlyhub.processors.notifications.rendering.local_money import local_money
from fundlyhub.processors.notifications.rendering.sanitize import Foreign, clean, cut, isolated, unlinked
from fundlyhub.processors.notifications.rendering.template_values import Fact, Facts, Money

LOCALES = ("en", "de")
"""The languages of the texts; the first one is the default."""
ROOM: Mapping[str, int] = {"donor": 100, "follower": 100, "device": 200, "reason": 1_000, "excerpt": 500}
"""The longest facts that people wrote, in characters; 200 for any other."""
SUBJECT, PUSH_TITLE, PUSH_BODY, SMS = 150, 65, 240, 320
"""The longest texts, in characters."""
NO_END = 2200
"""Times from this year on mean no end: no message says that a suspension ends in 9999."""
NO_CURRENCY = "XXX"
"""What ISO 4217 calls no currency, in the place of what is no code."""
_CURRENCY = re.compile("[A-Z]{3}")
_IN_TITLES, _IN_TEXTS = (60, 40, 30, 20, 10), (200, 100, 50, 25)
# The longest foreign texts in a subject, and in a push or text message: the first length that leaves room for all of
# our own text.

_PACKAGE = "fundlyhub.processors.notifications.rendering"


def render(
    template: str, channel: ChannelName, facts: Facts, reader: Person, *, site_url: str,
    unsubscribe_url: str | None = None, preferences_url: str | None = None,
) -> tuple[str, str, str]:  # fmt: skip
    """Subject, text and HTML of a message; a part that the channel does not have is empty.

    A push message's title is its subject. An unknown locale is read as English.
    """
    locale = _locale(reader.locale)
    if template not in texts(locale.language):  # another package's, which does not have this language
        locale = _locale(LOCALES[0])
    words = texts(locale.language)
    values = {**words["common"], **{name: _said(name, fact, locale, reader) for name, fact in facts.items()}}
    message, plain = words[template], _Words(values, html=False)
    match channel:
        case "push":
            title = plain.line(message["subject"], PUSH_TITLE, _IN_TITLES, link=True)
            return _begun(title), _begun(plain.line(message["push"], PUSH_BODY, _IN_TEXTS)), ""
        case "sms":
            return "", plain.line(message["sms"], SMS, _IN_TEXTS), ""
    subject = _begun(plain.line(message["subject"], SUBJECT, _IN_TITLES, link=True))
    frame = {
        "locale": locale.language,
        "site_url": site_url,
        "button_url": facts.get("campaign_url"),
        "unsubscribe_url": unsubscribe_url,
        "preferences_url": preferences_url,
        "subject": subject,
    }
    name = clean(reader.name or "", 100) or None
    html = _mail("mail.html.j2", frame, message, _Words(values, html=True), name)
    return subject, _mail("mail.txt.j2", frame, message, plain, name), html


class _Words:
    """Fills the texts of a locale with values, for a reader of plain text or of HTML."""

    def __init__(self, values: Mapping[str, Any], *, html: bool) -> None:
        self.values, self.html = values, html

    def __call__(self, text: str, *, link: bool = False, **more: Any) -> str:
        """Fill one text. With ``link`` foreign text may look like an address: nothing makes links of subjects."""
        if "{" not in text:
            return text.strip()
        return _compiled(text, self.html, link).render({**self.values, **more}).strip()

    def line(self, text: str, limit: int, rooms: Sequence[int], *, link: bool = False) -> str:
        """Fill one text on one line: foreign text is shortened until there is room for our own."""
        said = ""
        for room in rooms:
            short = {name: Foreign(cut(value, room)) for name, value in self.values.items() if type(value) is Foreign}
            said = one_line(self(text, link=link, **short))
            if len(said) <= limit:
                break
        return cut(said, limit)


def _mail(layout: str, frame: Mapping[str, Any], message: Mapping[str, Any], words: _Words, name: str | None) -> str:
    """The parts of a mail that are not empty, in their layout."""
    begun = _begun if words.values["capitals"] else str
    common = "{{ hello_nobody }}" if name is None else words.values["hello"]
    parts = {
        "hello": words(common, name=name),
        "paragraphs": [begun(said) for text in message["paragraphs"] if (said := words(text))],
        "rows": [(label, said) for label, text in message.get("rows", ()) if (said := words(text))],
        "button": message.get("button"),
        **{key: words.values[key] for key in ("regards", "why", "why_optional", "unsubscribe", "preferences")},
    }
    if words.html:
        parts |= {
            "hello": Markup(parts["hello"]),  # noqa: S704 - escaped when it was rendered, as the parts below
            "paragraphs": [Markup(said) for said in parts["paragraphs"]],  # noqa: S704
            "rows": [(label, Markup(said)) for label, said in parts["rows"]],  # noqa: S704
        }
    return _environment(words.html, False).get_template(layout).render({**frame, **parts})


def _begun(text: str) -> str:
    """A text that begins with a capital, where its first letter has one of the same length."""
    first = text[:1].upper()
    return first + text[1:] if len(first) == 1 else text


@cache
def texts(language: str) -> dict[str, Any]:
    """A locale's texts, with those that other packages have added."""
    return tomllib.loads((files(_PACKAGE) / "locales" / f"{language}.toml").read_text("utf-8"))


def placeholders(message: Any) -> set[str]:
    """Every name that the texts of a message use."""
    if isinstance(message, str):
        return meta.find_undeclared_variables(_environment(False, False).parse(message))
    parts = message.values() if isinstance(message, dict) else message if isinstance(message, list) else ()
    return {name for part in parts for name in placeholders(part)}


@process_cache
def _compiled(text: str, html: bool, link: bool) -> Template:
    """A text of a locale, ready to be filled: there are some hundred of them."""
    return _environment(html, link).from_string(text)


@process_cache
def _environment(html: bool, link: bool) -> Environment:
    """Jinja's environment: it escapes HTML, and marks foreign text."""

    def finish(value: Any) -> Any:
        if not isinstance(value, Foreign):
            return value
        text = str(value) if link else unlinked(value)
        return Markup("<bdi>{}</bdi>").format(text) if html else isolated(text)

    environment = Environment(
        loader=PackageLoader(_PACKAGE), autoescape=html, undefined=StrictUndefined, finalize=finish,  # noqa: S701 - text
        trim_blocks=True, lstrip_blocks=True, cache_size=400, auto_reload=False,
    )  # fmt: skip
    environment.globals.clear()  # no text uses one, and each text that is filled would merge them
    return environment


def _said(name: str, fact: Fact, locale: Locale, reader: Person) -> Any:
    """A fact in the reader's locale and time zone."""
    match fact:
        case str():
            return clean(fact, ROOM.get(name, 200))
        case Money():
            known = _CURRENCY.fullmatch(fact.currency)
            return local_money(fact.amount, fact.currency if known else NO_CURRENCY, locale)
        case datetime() if name == "until" and fact.year >= NO_END:
            return None
        case datetime():
            local = _local(fact, reader.zone)
            day, clock = format_date(local, "long", locale=locale), format_time(local, "short", locale=locale)
            return f"{day}, {clock} {get_timezone_gmt(local, locale=locale)}"
        case date():
            return format_date(fact, "long", locale=locale)
        case tuple():
            return [{key: _said(key, value, locale, reader) for key, value in part.items()} for part in fact]
        case bool() | None:
            return fact
        case _:
            return _Number(fact, locale)


def _local(moment: datetime, zone: ZoneInfo) -> datetime:
    """A time in a zone; at either end of the calendar, where the zone has none, in UTC or as it is."""
    for place in (zone, UTC):
        try:
            return moment.astimezone(place)
        except OverflowError:
            continue
    return moment


class _Number(int):
    """A number that is written in the reader's locale, and compared as a number."""

    def __new__(cls, value: int, locale: Locale) -> _Number:
        number = super().__new__(cls, value)
        number.text = format_decimal(value, locale=locale)
        return number

    text: str

    def __str__(self) -> str:
        return self.text


@cache
def _locale(name: str) -> Locale:
    try:
        found = Locale.parse(name.replace("-", "_"))
    except (UnknownLocaleError, ValueError, TypeError):
        return Locale.parse(LOCALES[0])
    return found if found.language in LOCALES else Locale.parse(LOCALES[0])
