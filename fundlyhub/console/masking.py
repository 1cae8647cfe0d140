"""Settings as text that may be shown: without secrets, and of addresses only where they lead."""

from __future__ import annotations

from urllib.parse import urlsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict
from pydantic import SecretStr

HIDDEN = "set, and not shown"
_OF_A_DSN = ("host", "hostaddr", "port", "dbname", "sslmode")


def masked(name: str, value: object) -> str:
    """The value of a setting as it may be shown; ``name`` says what a secret is.

    >>> masked("redis_url", SecretStr("redis://ann:secret@cache:6379/0?x=secret"))
    'redis://cache:6379'
    >>> masked("secret_key", SecretStr("secret"))
    'set, and not shown'
    """
    if value is None or value == "":
        return ""
    if isinstance(value, SecretStr):
        text = value.get_secret_value()
        if not text:
            return ""
        return _dsn(text) if name.endswith("_dsn") else _urls(text)
    text = str(value)
    return _urls(text) if "://" in text else text


def _dsn(text: str) -> str:
    try:
        parts = conninfo_to_dict(text)
    except psycopg.ProgrammingError:
        return HIDDEN
    return " ".join(f"{key}={parts[key]}" for key in _OF_A_DSN if parts.get(key)) or HIDDEN


def _urls(text: str) -> str:
    """Scheme, host and port of each URL: any other part may be a secret, a path too."""
    found = [_url(one) for one in text.split(";")]
    return ", ".join(one or HIDDEN for one in found)


def _url(text: str) -> str:
    scheme, colon, _ = text.partition("://")
    if not colon or not scheme.isascii() or not scheme.replace("+", "").isalnum():
        return ""
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        return ""
    if not host:
        return f"{scheme}://" if scheme in ("unix", "redis+socket") else ""
    place = f"[{host}]" if ":" in host else host
    return f"{scheme}://{place}{f':{port}' if port else ''}"
