"""Event types of other packages: the payload classes of the modules that they name in ``fundlyhub.events``.

Every process that reads events loads them when it starts. A service that publishes loads them with the first event of
a type that the product does not know, so its own events need nothing but their class.
"""

from __future__ import annotations

import threading
from types import ModuleType

from fundlyhub.errors import WrongUse
from fundlyhub.events.catalogue import index
from fundlyhub.events.payload import Payload
from fundlyhub.forks import in_child
from fundlyhub.installed import load as load_group

GROUP = "fundlyhub.events"
"""The group of entry points by which an installed package has its event types known."""


class _Loading:
    """Loads them once; of threads that want them at once all wait for the first."""

    def __init__(self) -> None:
        self.lock = threading.RLock()  # a module that is being loaded may ask for another type
        self.done = False
        in_child(self, _Loading.renew)

    def renew(self) -> None:
        """A new lock, in a child that was forked while another thread held it."""
        self.lock = threading.RLock()

    def load(self) -> bool:
        """Whether this call has loaded them."""
        with self.lock:
            if self.done:
                return False
            for module, whose in load_group(GROUP):
                register(module, whose)
            self.done = True
            return True


_loading = _Loading()
load = _loading.load
"""Load the event types of all installed packages, unless that is done. Raises WrongUse, which names the package."""


def register(module: ModuleType, whose: str) -> None:
    """Enter the payload classes of a module, as far as they are not known.

    Raises WrongUse when a class cannot be built, or its type belongs to somebody else.
    """
    for value in list(vars(module).values()):
        if isinstance(value, type) and issubclass(value, Payload) and "event_type" in vars(value):
            _enter(value, whose)


def _enter(payload: type[Payload], whose: str) -> None:
    known = [index.PAYLOADS[payload.event_type, version] for version in index.VERSIONS.get(payload.event_type, ())]
    if payload in known:
        return
    if others := {_owner(one) for one in known} - {_owner(payload)}:
        raise WrongUse(
            f"{whose}: {payload.__name__}: the type {payload.event_type} is that of {', '.join(sorted(others))}; "
            "only its own package adds a version to it"
        )
    try:
        index.add(payload)
    except WrongUse as error:
        raise WrongUse(f"{whose}: {error}") from None
    except Exception as error:
        what = f"the payload class {payload.__name__} cannot be built"
        raise WrongUse(f"{whose}: {what}: {type(error).__name__}") from error


def _owner(payload: type[Payload]) -> str:
    """The package that a payload class comes from."""
    return payload.__module__.partition(".")[0]
