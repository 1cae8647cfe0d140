"""Isolation of errors: whatever the code of an event's type raises becomes InvalidEvent of that event.

A payload class, a validator, an upcaster or an encoder may be another package's and may raise anything. All calls of
them go through ``of_one_event``, so that every consumer has one error to expect.
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
"""Module of errors from panics in Rust code: no Exception, and no request to end the process."""
# Classes of SQLSTATE: invalid value, constraint violation, limit exceeded.
_OF_THE_VALUE = ("22", "23", "54")

_DEEPEST = 100
"""Most causes that are followed: a chain may be circular."""

_interruptions: list[type[Exception]] = []


def interrupted_by(error: type[Exception]) -> None:
    """Register an error that may interrupt any code, such as a task's time limit: it is passed through."""
    _interruptions.append(error)


def interruption(error: BaseException | None) -> Exception | None:
    """The interruption that an error is or was caused by."""
    for _ in range(_DEEPEST):
        if error is None:
            break
        if isinstance(error, Exception) and isinstance(error, tuple(_interruptions)):
            return error
        error = error.__cause__ or error.__context__
    return None


def of_one_event(function: Callable[P, R]) -> Callable[P, R]:
    """Let a function that reads, checks or writes one event raise only InvalidEvent and interruptions.

    The new error has the class name and the traceback of the original one, but not its text, which may quote the event.
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
                raise  # a request to end the process
            raise UnreadableEvent(type(error).__name__).with_traceback(error.__traceback__) from None

    return guarded


def is_to_blame(error: Exception) -> bool:
    """Whether a failed publication is the event's fault and not the server's."""
    if isinstance(error, InvalidEvent):
        return True
    return not is_outage(error) and (sqlstate(error) or "").startswith(_OF_THE_VALUE)


def reason_of(error: InvalidEvent | DBAPIError | psycopg.Error) -> str:
    """Why an event was refused: our own text, or the database's code."""
    return str(error) if isinstance(error, InvalidEvent) else f"the database refused it: SQLSTATE {sqlstate(error)}"
