"""The kinds of fields that requests and answers of the API have: bounded, and nothing that is not known."""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, WithJsonSchema

T = TypeVar("T")

MOST = 200
"""Items of one page."""


class Given(BaseModel):
    """Parameters or a body: what is not known is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _whole(given: object) -> object:
    """Refuse what ``int`` would take beside digits: signs, underscores and spaces."""
    if isinstance(given, str) and not (given.isascii() and given.isdigit()):
        raise ValueError("must be a whole number")
    return given


Id = Annotated[int, Field(ge=0, le=10**18 - 1), BeforeValidator(_whole)]
"""An id or position of ours."""
Text = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
"""A short text."""
Reason = Annotated[str, StringConstraints(min_length=1, max_length=1_000), Field(description="Why; it is kept.")]
"""Why something is done. It must be one printable line."""
Limit = Annotated[int, Field(ge=1, le=MOST, description="Items of a page."), BeforeValidator(_whole)]
Next = Annotated[Text | None, Field(description="`next` of the page before this one.")]
Raw = Annotated[Any, WithJsonSchema({"description": "JSON as it stands in the database."})]
"""JSON that goes through as it is: each number to its last digit."""


class Listed(Given):
    """The parameters of every list."""

    limit: Limit = 50
    page: Next = None


class Page(BaseModel, Generic[T]):
    """Items, the newest first. ``next`` is the parameter ``page`` of the page after it; None at the end."""

    items: list[T]
    next: str | None


class Named(Given):
    """The name of a thing."""

    name: Text


class Numbered(Given):
    """The id of a thing of ours."""

    id: Id


class Why(Given):
    """A body that gives the reason."""

    reason: Reason


def all_of(one: Any) -> dict[str, Any]:
    """The fields of a dataclass, by name: for an answer that has them beside its own."""
    return {field.name: getattr(one, field.name) for field in fields(one)}


class Unchanged(BaseModel):
    """A thing that was not changed, and why: its state, or ``unknown``."""

    id: int
    why: str


class Changed(BaseModel):
    """What a decision changed and what it did not."""

    changed: list[int]
    unchanged: list[Unchanged]
