"""The page of a mail's unsubscribe link. Only its button, or the mail program's one-click request, unsubscribes.

Mail scanners open every link, so opening the page changes nothing (RFC 8058).
"""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from jinja2 import Environment, PackageLoader, Template
from sqlalchemy import Connection

from fundlyhub.forks import process_cache

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Robots-Tag": "noindex",
}
_OPT_OUT = """
    INSERT INTO preferences (user_id, category, channel, wanted) VALUES (%(user_id)s, %(category)s, 'email', false)
    ON CONFLICT (user_id, category, channel) DO UPDATE SET wanted = false
"""
_TEXTS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "ask": "No more mails about {}?", "button": "Unsubscribe", "done": "Done: no more mails about {}.",
        "wrong": "This link is not whole. Please copy it from the mail once more, or answer the mail.",
    },
    "de": {
        "ask": "Keine Mails mehr über {}?", "button": "Abbestellen", "done": "Erledigt: keine Mails mehr über {}.",
        "wrong": "Dieser Link ist nicht vollständig. Bitte kopieren Sie ihn noch einmal aus der Mail.",
    },
}  # fmt: skip
_CATEGORIES: Mapping[str, Mapping[str, str]] = {
    "en": {
        "donations": "new donations", "campaigns": "your campaigns", "social": "followers",
        "updates": "news of campaigns",
    },
    "de": {
        "donations": "neue Spenden", "campaigns": "Ihre Kampagnen", "social": "Menschen, die Ihnen folgen",
        "updates": "Neues von Kampagnen",
    },
}  # fmt: skip


def opt_out(db: Connection, user_id: UUID, category: str) -> None:
    """Turn off e-mails of this category; idempotent."""
    db.exec_driver_sql(_OPT_OUT, {"user_id": user_id, "category": category})


def page(what: str, category: str | None, accept_language: str) -> str:
    """The page ``ask``, ``done`` or ``wrong`` as HTML."""
    language = "de" if accept_language.strip().lower().startswith("de") else "en"
    texts = _TEXTS[language]
    said = texts[what].format(_CATEGORIES[language].get(category or "", category or ""))
    return _template().render(language=language, said=said, button=texts["button"] if what == "ask" else None)


@process_cache
def _template() -> Template:
    environment = Environment(loader=PackageLoader("fundlyhub.webhooks"), autoescape=True)
    return environment.get_template("unsubscribe.html.j2")
