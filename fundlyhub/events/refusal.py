"""Whose fault an error is: the one place that makes "this event cannot be read" of whatever its code raises.

A payload class, a validator, an upcaster or an encoder may be another package's, and may raise anything. All that
touches them goes through ``of_one_event``, so that every consumer has one error to expect: InvalidEvent.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import psycopg
from sqlalchemy.exc import DBAPIError

from fundlyhub.database.faults import is_outage, sqlstate
from fundlyhub.errors import InvalidEvent, UnreadableEvent

P = ParamSpec("P")
R = TypeVar("R")

_PANICS = "pyo3_runtime"
"""Where Rust code raises from when it has found a fault of its own: no Exception, and nobody's wish to end."""
# A value that the database cannot hold, or that breaks a constraint, or is too large for it.
_OF_THE_VALUE = ("22", "23", "54")

_DEEPEST = 100
"""Causes of causes that are looked at: an error may be made its own cause."""

_interruptions: list[type[Exception]] = []


def interrupted_by(error: type[Exception]) -> None:
    """Name an error that strikes whatever is just being done, such as a task's time limit: it passes through."""
    _interruptions.append(error)


def interruption(error: BaseException | None) -> Exception | None:
    """The interruption that an error is, or stems from."""
    for _ in range(_DEEPEST):
        if error is None:
            break
        if isinstance(error, Exception) and isinstance(error, tuple(_interruptions)):
            return error
        error = error.__cause__ or error.__context__
    return None


def of_one_event(function: Callable[P, R]) -> Callable[P, R]:
    """Let a function that reads, checks or writes one event raise nothing but InvalidEvent, and interruptions.

    The new error tells the class of the other one, and has its traceback; its text may quote what the event says.
    """

    @wraps(function)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except InvalidEvent:
            raise
        except BaseException as error:
            if (limit := interruption(error)) is not None:
                raise limit from None
            if not isinstance(error, Exception) and type(error).__module__ != _PANICS:
                raise  # somebody wants the process to end
            raise UnreadableEvent(type(error).__name__).with_traceback(error.__traceback__) from None

    return guarded


def is_to_blame(error: Exception) -> bool:
    """Whether an event that could not be published is to blame, and not the server."""
    if isinstance(error, InvalidEvent):
        return True
    return not is_outage(error) and (sqlstate(error) or "").startswith(_OF_THE_VALUE)


def reason_of(error: InvalidEvent | DBAPIError | psycopg.Error) -> str:
    """Why an event was refused: our own text, of the database's only the code."""
    return str(error) if isinstance(error, InvalidEvent) else f"the database refused it: SQLSTATE {sqlstate(error)}"
