"""What a forked process must not share with its parent: connections, threads, and locks that a thread may hold.

A server that loads the application before it forks (gunicorn's ``--preload``) leaves all of them to its children. Two
processes that speak through one socket read each other's answers, a thread does not live on in the child, and a lock
that a thread held at that moment is never let go there. So each object of ours that has one makes it anew in every
child, before anything else runs there. What the parent has stays open: it goes on using it.
"""

from __future__ import annotations

import os
import sys
import weakref
from collections.abc import Callable
from functools import cache
from itertools import count
from types import MethodType
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

if TYPE_CHECKING:
    from functools import _lru_cache_wrapper

P = ParamSpec("P")
T = TypeVar("T")

_numbers = count()
_actions: dict[int, tuple[weakref.ref[Any], Callable[[Any], object]]] = {}
_functions: list[Callable[[], object]] = []
_parents: list[object] = []


def in_each_process(begin: Callable[[], object]) -> None:
    """Run a bound method now, and again in every process that is forked from this one while its object lives.

    It makes connections lazily, threads and locks, and must neither wait nor speak to anybody.
    """
    assert isinstance(begin, MethodType)
    in_child(begin.__self__, begin.__func__)
    begin()


def in_child(holder: T, action: Callable[[T], object]) -> None:
    """Run an action on an object in every process that is forked from this one, while the object lives."""
    number = next(_numbers)
    _actions[number] = weakref.ref(holder, lambda _: _actions.pop(number, None)), action


def process_cache(function: Callable[P, T]) -> _lru_cache_wrapper[T]:
    """``functools.cache`` whose results a forked child does not see: it makes its own."""
    cached = cache(function)
    _functions.append(cached.cache_clear)
    return cached


def call_in_child(function: Callable[[], object]) -> Callable[[], object]:
    """Run a function in every process that is forked from this one."""
    _functions.append(function)
    return function


def leave_to_parent(thing: object) -> None:
    """Keep what is the parent's from being closed, by us or by the garbage collector, for as long as we live."""
    _parents.append(thing)


def _after_fork() -> None:
    for reference, action in list(_actions.values()):
        if (holder := reference()) is not None:
            _run(action, holder)
    for function in _functions:
        _run(function)


def _run(action: Callable[..., object], *holder: object) -> None:
    """One that fails must not keep the others from their turn."""
    try:
        action(*holder)
    except Exception:
        sys.excepthook(*sys.exc_info())


os.register_at_fork(after_in_child=_after_fork)
