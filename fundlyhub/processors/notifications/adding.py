"""Messages of other packages: each is checked when it is added, so that a mistake is found before an event is."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any

from jinja2 import TemplateSyntaxError

from fundlyhub.channels.messages import CHANNELS
from fundlyhub.errors import WrongUse
from fundlyhub.processors.notifications import catalogue
from fundlyhub.processors.notifications.catalogue import Notice, digest_of
from fundlyhub.processors.notifications.ledger.matters import DAY, EVENT
from fundlyhub.processors.notifications.planning import content
from fundlyhub.processors.notifications.planning.content import Says
from fundlyhub.processors.notifications.rendering.render import LOCALES, placeholders, texts
from fundlyhub.processors.notifications.rendering.template_values import Facts, add_samples, has_sample

_NAME = re.compile(r"[a-z][a-z0-9_]{1,60}")
_NO_SAMPLES: Facts = {}
Texts = Mapping[str, Mapping[str, Any]]
"""By language, a table for each message."""
_OF_CHANNEL: Mapping[str, tuple[str, ...]] = {
    "email": ("subject", "paragraphs"), "push": ("subject", "push"), "sms": ("sms",),
}  # fmt: skip
"""The texts that each channel takes of a message."""


def add_message(notice: Notice, says: Says, *, texts: str | Texts, samples: Facts = _NO_SAMPLES) -> None:
    """Add a message of another package about an event type of its own; call it in the module of ``fundlyhub.messages``.

    ``says(payload, event, lookup)`` gives the facts of the message and its recipient, and may raise ``Missing`` (wait
    for what it needs) and ``Unwanted`` (there is nothing to send). ``texts`` is the package that holds ``en.toml``,
    which must be there, and ``de.toml``, or what is in them by language: readers of a language that is missing get the
    English text. ``samples`` are values of facts that the product does not know, for previews and tests.

    Raises WrongUse, which says what to mend.

    ::

        from fundlyhub.messages import Notice, Person, add_message

        notice = Notice(
            "praise_received", CampaignPraised, matter=("campaign_id", "words"), recipient="owner", channels=("email",),
            category="praise", priority="low", transactional=False, facts=("campaign",), limited=False,
        )
        english = {"subject": "{{ campaign }} is praised", "paragraphs": ["Somebody likes {{ campaign }}."]}

        def says(payload, event, lookup):
            campaign = lookup.owned(payload.campaign_id)
            return {"campaign": campaign.title}, Person(campaign.owner_id)

        add_message(notice, says, texts={"en": {"praise_received": english}})
    """
    where = f"the message {notice.template} of {says.__module__}"
    if faults := list(_faults(notice, says)):
        raise WrongUse(f"{where}: {'; '.join(faults)}")
    if missing := [name for name in notice.facts if name not in samples and not has_sample(name)]:
        raise WrongUse(f"{where}: samples: none for {', '.join(missing)}")
    words = {language: found for language in LOCALES if (found := _read(texts, language, where)) is not None}
    if LOCALES[0] not in words:
        raise WrongUse(f"{where}: its texts have no {LOCALES[0]}")
    wanted = [notice, *([digest_of(notice)] if notice.is_limited else [])]
    for language, found in words.items():
        for one in wanted:
            if faults := list(_faults_of_text(one, found.get(one.template), language)):
                raise WrongUse(f"{where}: {language}: [{one.template}]: {'; '.join(faults)}")
    catalogue.add(notice)
    content.add(notice.template, says)
    add_samples(samples)
    for language, found in words.items():
        _add_texts(language, {one.template: found[one.template] for one in wanted})


def _add_texts(language: str, more: Mapping[str, Any]) -> None:
    texts(language).update(more)


def _faults(notice: Notice, says: Says) -> Iterator[str]:
    """What is wrong with a message, apart from its texts."""
    if not _NAME.fullmatch(notice.template):
        yield "its name must be small letters, digits and underscores"
    if not _NAME.fullmatch(notice.category):
        yield "its category must be small letters, digits and underscores"
    if notice.payload.__module__.partition(".")[0] != says.__module__.partition(".")[0]:
        # What the product's own events tell was told, or not, before the package came: verify could not tell which.
        yield f"{notice.payload.event_type} is no event type of this package: publish an event of your own"
    if not notice.channels or set(notice.channels) - set(CHANNELS):
        yield f"channels must be some of {', '.join(CHANNELS)}"
    if notice.for_many and "sms" in notice.channels:
        yield "text messages do not go to followers"
    if unknown := [one for one in notice.matter if one not in (EVENT, DAY) and one not in notice.payload.model_fields]:
        yield f"matter: {notice.payload.__name__} has no {', '.join(unknown)}"
    if not notice.matter:
        yield "matter: name the fields of the payload that tell its messages apart"


def _read(package: str | Texts, language: str, where: str) -> Mapping[str, Any] | None:
    """The texts of a package in one language; None if it does not have it."""
    if not isinstance(package, str):
        return package.get(language)
    try:
        file = files(package) / f"{language}.toml"
    except ImportError as error:
        raise WrongUse(f"{where}: cannot import {package}: {error}") from None
    if not file.is_file():
        return None
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except ValueError as error:
        raise WrongUse(f"{where}: {package}/{language}.toml: {error}") from None


def _faults_of_text(notice: Notice, text: Any, language: str) -> Iterator[str]:
    """What is wrong with the texts of a message, or of its digest, in one language."""
    if not isinstance(text, dict):
        yield "there is no such table"
        return
    wanted = {key for channel in notice.channels for key in _OF_CHANNEL[channel]}
    if missing := sorted(wanted - text.keys()):
        yield f"it needs {', '.join(missing)}"
    try:
        strange = placeholders(text) - {*notice.facts, *texts(language)["common"]}
    except TemplateSyntaxError as error:
        yield f"a text is no template of Jinja: {error.message}"
        return
    if strange:
        yield f"no such fact: {', '.join(sorted(strange))}"
