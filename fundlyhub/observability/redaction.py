"""Error texts without personal data: for logs, dead letters, reasons and checks alike.

An error's text may quote an event, an address or a password. So only texts of our own errors are shown; of any other
error its class, and what its server or system names without quoting: SQLSTATE and names of tables, an error number's
meaning, a code. See ``server_urls.reason`` for Redis.
"""

from __future__ import annotations

import os
import re
import traceback
from typing import Any

import psycopg
from sqlalchemy.exc import DBAPIError

from fundlyhub.database.faults import sqlstate
from fundlyhub.errors import FundlyHubError, text_of
from fundlyhub.server_urls import reason

_DIAGNOSTICS = ("schema_name", "table_name", "column_name", "constraint_name", "datatype_name")
# Limits of ours that cancel a statement; the server's text does not name the setting.
_LIMITS = {
    "57014": "cancelled, by FUNDLYHUB_STATEMENT_TIMEOUT or by hand",
    "55P03": "waited for a lock longer than FUNDLYHUB_LOCK_TIMEOUT",
}
# The server names a missing table or right in its text alone. Only names that the statement must have spelled out are
# shown: `column "x"` without a table may be a value that lacks its quotes.
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
_CODE = re.compile(r"[A-Z]+\b")


def describe(error: BaseException) -> str:
    """One line without personal data: our own text, or the error's class with what may be said of it."""
    if isinstance(error, FundlyHubError):
        return text_of(error)
    error = original(error)
    name = type(error).__name__
    if isinstance(error, psycopg.Error):
        return f"{name}: {', '.join(_of_database(error))}"
    if isinstance(error, OSError) and isinstance(error.errno, int):
        return f"{name}: {os.strerror(error.errno)}"
    if type(error).__module__.startswith("amqp."):  # it names queues and settings; no task message holds a payload
        return f"{name}: {error}"
    if type(error).__module__.startswith("redis."):
        code = _CODE.match(str(error)) if name == "ResponseError" else None  # such as NOGROUP
        why = reason(error)
        return (f"{name} {code[0]}" if code else name) + (f": {why}" if why != name else "")
    return name


def original(error: BaseException) -> BaseException:
    """The driver's own error inside SQLAlchemy's; any other error itself."""
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


def traceback_of(error: BaseException) -> str:
    """The frames of an error and of its causes, without the errors' texts."""
    blocks: list[str] = []
    cause: BaseException | None = error
    while cause is not None and len(blocks) < 10:
        blocks.append(frames(cause, cause.__traceback__))
        cause = cause.__cause__
    return "\n\ncaused by\n\n".join(blocks)


def frames(error: BaseException, places: Any) -> str:
    """The innermost frames of a traceback, and the error's class."""
    found = "".join(traceback.format_tb(places, limit=-20))
    return f"{found}{type(error).__module__}.{type(error).__qualname__}"
