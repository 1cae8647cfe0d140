"""Routes of the API. What one takes and answers is read from its function, for requests and for the OpenAPI document.

::

    @route("POST", "/processors/{name}/pause", "operator")
    def pause(call: Call, params: Named, body: Pausing) -> Paused:
        \"\"\"Pause a processor.\"\"\"
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, TypeVar, get_type_hints
from urllib.parse import quote

from pydantic import BaseModel

from fundlyhub.console.access import Access
from fundlyhub.console.api.fields import Given
from fundlyhub.console.levels import Level

PREFIX = "/api/v1"

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Call(Access):
    """One request. ``sent`` is its body as JSON with fractions as Decimal; empty for a GET."""

    sent: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Route:
    """A route: its path below PREFIX, its function, and the level that it asks for.

    One that has begun something which goes on beside the request answers 202, and names where to look.

    A function takes the Call, then ``params`` (parameters of the address) and ``body``, if it has them.
    """

    method: Literal["GET", "POST"]
    path: str
    handler: Callable[..., Any]
    needs: Level = "viewer"
    begins: str = ""
    """Where to look how far that is what it begins; empty where it is done when the answer comes. See ``look_at``."""

    @property
    def status(self) -> int:
        """The status of an answer that is no refusal."""
        return 202 if self.begins else 200

    def look_at(self, params: BaseModel, answer: Any) -> str:
        """The address of ``begins``, with values of the request's path or of the answer."""
        names = re.findall(r"\{(\w+)\}", self.begins)
        found = {name: getattr(params if hasattr(params, name) else answer, name) for name in names}
        return PREFIX + self.begins.format(**{name: quote(str(value), safe="") for name, value in found.items()})

    @property
    def params(self) -> type[BaseModel]:
        """The parameters of path and query."""
        found: type[BaseModel] = _hints(self.handler).get("params", Given)
        return found

    @property
    def body(self) -> type[BaseModel] | None:
        """The body of a POST; None if it takes none."""
        return _hints(self.handler).get("body")

    @property
    def answer(self) -> Any:
        """The type of the answer."""
        return _hints(self.handler)["return"]

    @property
    def takes_params(self) -> bool:
        """Whether the function wants them."""
        return "params" in _hints(self.handler)

    @property
    def in_path(self) -> list[str]:
        """The parameters that stand in the path."""
        return re.findall(r"\{(\w+)\}", self.path)

    @property
    def group(self) -> str:
        """What it is about: the name of its module."""
        return self.handler.__module__.rpartition(".")[2]

    @property
    def name(self) -> str:
        """A name that no other route has."""
        return f"{self.group}_{self.handler.__name__.strip('_')}"

    @property
    def text(self) -> str:
        """What it does: its function's docstring."""
        return inspect.getdoc(self.handler) or ""


@cache
def _hints(handler: Callable[..., Any]) -> Mapping[str, Any]:
    return get_type_hints(handler, include_extras=True)


ROUTES: list[Route] = []
"""Every route below PREFIX. The app has no other way to make one, and the OpenAPI document is made from them."""


def route(method: Literal["GET", "POST"], path: str, needs: Level = "viewer", *, begins: str = "") -> Callable[[F], F]:
    """Make a function a route of the API; see ``Route``."""

    def enter(handler: F) -> F:
        ROUTES.append(Route(method, path, handler, needs, begins))
        return handler

    return enter
