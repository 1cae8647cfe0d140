"""What is kept of an error: our own words alone.

An exception's class and place, the SQLSTATE and the names that the database gives, and the texts of our own errors,
which speak of fields and rules. Values of an event never are among them.
"""

from __future__ import annotations

import hashlib
import traceback

import psycopg
from sqlalchemy.exc import DBAPIError

from fundlyhub.database import sqlstate
from fundlyhub.errors import FundlyHubError
from fundlyhub.processing.outcome import DeliveryLimit, WorkerLost


def error_class(error: BaseException) -> str:
    """The class that names the fault: the driver's own where the database raised it."""
    original = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    return type(original).__name__


def describe(error: BaseException) -> str:
    """One line on the error without a value of the event."""
    if isinstance(error, (FundlyHubError, WorkerLost, DeliveryLimit)):
        return str(error)
    original = error.orig if isinstance(error, DBAPIError) else error
    parts = [type(original).__name__]
    if isinstance(original, psycopg.Error):
        names = ("schema_name", "table_name", "column_name", "constraint_name", "datatype_name")
        parts += [f"SQLSTATE {sqlstate(error) or 'unknown'}"]
        parts += [f"{name.removesuffix('_name')} {value}" for name in names if (value := getattr(original.diag, name))]
    else:
        parts.append("text withheld, since it may hold people's data; see the traceback")
    return ": ".join((parts[0], ", ".join(parts[1:])))


def fingerprint(processor: str, error: BaseException, message: str) -> str:
    """The same for faults that look alike: processor, class, our text and the innermost place."""
    frames = traceback.extract_tb(error.__traceback__, limit=-1)
    place = f"{frames[-1].filename.rpartition('/')[2]}:{frames[-1].name}" if frames else ""
    text = "|".join((processor, error_class(error), message, place))
    return hashlib.sha256(text.encode()).hexdigest()[:12]
