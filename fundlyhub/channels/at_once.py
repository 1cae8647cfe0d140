"""An executor without threads: to write a file takes less than to hand it to a thread."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, TypeVar

from fundlyhub.events.refusal import interruption

T = TypeVar("T")


class AtOnce(Executor):
    """Runs each call where it is submitted."""

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """The call's future, which is done. Raises what interrupts the caller, such as the limit of its time."""
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            if (limit := interruption(error)) is not None:
                raise limit from None
            future.set_exception(error)
        return future
