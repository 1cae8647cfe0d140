"""What a dead letter keeps of an error: its class, a text without values of the event, and a fingerprint."""

from __future__ import annotations

import hashlib
import re
import traceback

from celery.exceptions import SoftTimeLimitExceeded

from fundlyhub.errors import FundlyHubError, text_of
from fundlyhub.observability import redaction
from fundlyhub.observability.redaction import original
from fundlyhub.processing.outcome import DeliveryLimit, WorkerLost

MAX_REASON = 500
"""Characters of a reason for which an event waits."""

_VARYING = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d+")


def error_class(error: BaseException) -> str:
    """The class that names the fault: the driver's own where the database raised it."""
    return type(original(error)).__name__


def describe(error: BaseException) -> str:
    """One line on the error without a value of the event."""
    if isinstance(error, (FundlyHubError, WorkerLost, DeliveryLimit)):  # ours may have no text but its class
        return text_of(error)
    name, text = error_class(error), redaction.describe(error)
    if isinstance(error, SoftTimeLimitExceeded):
        return f"{name}: it ran longer than FUNDLYHUB_…_SOFT_TIME_LIMIT of its queue"
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


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__, limit=-1)
    return f"{frames[-1].filename.rpartition('/')[2]}:{frames[-1].name}" if frames else ""
