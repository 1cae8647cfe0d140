"""What may be told of an error: its class, its place and our own words, never a text that may quote people's data."""

from __future__ import annotations

import os
import traceback
from typing import Any

from fundlyhub.errors import describe


def told(error: BaseException) -> str:
    """One line: our own text; of the system's errors and the broker's what they say, of all others the class."""
    if isinstance(error, OSError) and isinstance(error.errno, int):  # the number's own meaning, no text that came along
        return f"{type(error).__name__}: {os.strerror(error.errno)}"
    if type(error).__module__.startswith("amqp."):  # it names queues and settings; no message of ours holds a payload
        return f"{type(error).__name__}: {error}"
    return describe(error)


def trace(error: BaseException) -> str:
    """The frames that led to the error and to its causes, without the errors' texts."""
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
