"""The outcome of an event that has several messages."""

from __future__ import annotations

from collections.abc import Sequence

from fundlyhub.errors import OutcomeUnknown, Permanent, Snooze
from fundlyhub.processing import Paused


def combined(errors: Sequence[Exception]) -> Exception | None:
    """The outcome of an event, from the errors of its messages.

    As long as one message is to be retried the event is; after that come the errors that need a person. A pause comes
    first: it charges nothing, and the messages tell the rest when they are looked at again.
    """
    if paused := next((error for error in errors if isinstance(error, Paused)), None):
        return paused
    snoozes = [error for error in errors if isinstance(error, Snooze)]
    ended = [error for error in errors if isinstance(error, (OutcomeUnknown, Permanent))]
    others = [error for error in errors if error not in snoozes and error not in ended]
    if others:
        return others[0]
    if snoozes:
        return min(snoozes, key=lambda error: error.seconds)
    return next((error for error in ended if isinstance(error, OutcomeUnknown)), ended[0] if ended else None)
