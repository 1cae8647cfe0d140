"""Describes an error without personal data: class, place, SQLSTATE and our own texts.

An exception's class and place, the SQLSTATE and the names that the database gives, and the texts of our own errors,
which name fields and rules. Values of events are never included.
"""

from __future__ import annotations

import hashlib
import re
import traceback

import psycopg
from celery.exceptions import SoftTimeLimitExceeded
from sqlalchemy.exc import DBAPIError

from fundlyhub.database import sqlstate
from fundlyhub.errors import FundlyHubError, text_of
from fundlyhub.observability.redaction import told
from fundlyhub.processing.outcome import DeliveryLimit, WorkerLost

MAX_REASON = 500
"""Characters of a reason for which an event waits."""

_DIAGNOSTICS = ("schema_name", "table_name", "column_name", "constraint_name", "datatype_name")
# Limits of our own that end a statement; the server's text would name no setting.
_LIMITS = {
    "57014": "cancelled, by FUNDLYHUB_STATEMENT_TIMEOUT or by hand",
    "55P03": "waited for a lock longer than FUNDLYHUB_LOCK_TIMEOUT",
}
# What the server says of things that are not there names them in its text alone. Only names that the statement itself
# must have spelled out: `column "x"` without a table may be a value that lacks its quotes.
_NAME = r'"?[A-Za-z_][\w$.]{0,126}"?'
_MISSING = re.compile(
    rf"relation {_NAME} does not exist"
    rf"|schema {_NAME} does not exist"
    r"|no schema has been selected to create in"
    rf"|column {_NAME} of relation {_NAME} does not exist"
    r"|column [A-Za-z_]\w{0,62}\.[A-Za-z_]\w{0,62} does not exist"
    r"|function [A-Za-z_][\w.]{0,126}\([\w ,\[\]\"]{0,200}\) does not exist"
    rf"|permission denied for (?:table|view|schema|sequence|function|relation) {_NAME}"
)
_VARYING = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d+")


def error_class(error: BaseException) -> str:
    """The class that names the fault: the driver's own where the database raised it."""
    return type(_original(error)).__name__


def describe(error: BaseException) -> str:
    """One line on the error without a value of the event."""
    if isinstance(error, (FundlyHubError, WorkerLost, DeliveryLimit)):
        return text_of(error)
    original = _original(error)
    name = type(original).__name__
    if isinstance(original, psycopg.Error):
        return f"{name}: {', '.join(_of_database(original))}"
    if isinstance(original, SoftTimeLimitExceeded):
        return f"{name}: it ran longer than FUNDLYHUB_…_SOFT_TIME_LIMIT of its queue"
    text = told(original)
    return text if text != name else f"{name}: text withheld, since it may hold people's data; see the traceback"


def reason(error: BaseException) -> str:
    """The same for lists without tracebacks: one printable line with the innermost place."""
    text = describe(error).replace("; see the traceback", "")
    if not isinstance(error, FundlyHubError) and (place := _place(error)):
        text = f"{text} (in {place})"
    line = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(line.split())[:MAX_REASON]


def fingerprint(processor: str, error: BaseException, message: str) -> str:
    """The same for faults that look alike: processor, class, our text but for its numbers, and the innermost place."""
    text = "|".join((processor, error_class(error), _VARYING.sub("#", message), _place(error)))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _original(error: BaseException) -> BaseException:
    return error.orig if isinstance(error, DBAPIError) and error.orig is not None else error


def _of_database(error: psycopg.Error) -> list[str]:
    state = sqlstate(error) or "unknown"
    parts = [f"SQLSTATE {state}"]
    parts += [f"{name.removesuffix('_name')} {value}" for name in _DIAGNOSTICS if (value := getattr(error.diag, name))]
    if state in _LIMITS:
        parts.append(_LIMITS[state])
    if (said := error.diag.message_primary) and _MISSING.fullmatch(said):
        parts.append(said)
    return parts


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__, limit=-1)
    return f"{frames[-1].filename.rpartition('/')[2]}:{frames[-1].name}" if frames else ""
