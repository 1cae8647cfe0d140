"""Builds payloads and events of every type, with values that their classes accept, and some of them given.

What a field may hold is asked of the class itself: a few values are tried until its validators take one. So a new type,
or one of another package, needs nothing here.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from functools import cache
from itertools import chain
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin
from uuid import UUID, uuid4

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from fundlyhub.events import Event, Payload
from fundlyhub.events.catalogue import CURRENT, canonical_type, payload_class
from fundlyhub.events.packages import load

P = TypeVar("P", bound=Payload)

_TEXTS = ("some text", "USD", "ann@example.org", "https://example.org/a", "12.50", "2026-01-31", "1234", "en", "a", "")
_NUMBERS = (1, 10, 100, 0)
_DECIMALS = (Decimal("10.00"), Decimal(1), Decimal(0))
_MOMENT = datetime(2026, 1, 31, 12, tzinfo=UTC)


def build(kind: type[P] | str, /, **given: Any) -> Any:
    """A payload of a class, or of the newest version of a type; ``given`` are fields by their names in Python.

    Required fields that are not given get a plausible value, ids a fresh one each time; optional ones stay absent.
    Raises the errors of the class for what is given, and AssertionError for a class that takes none of our values.

    ::

        from fundlyhub.testing import build

        gift = build("donation.completed", amount=Decimal("25.00"), currency="EUR")
        follow = build(UserFollowedCampaign, campaign_id=gift.campaign_id)
    """
    cls = _class(kind) if isinstance(kind, str) else kind
    return cls(**{**_required(cls, frozenset(given)), **given})


def event(kind: type[Payload] | str, /, *, timestamp: datetime | None = None, **given: Any) -> Event:
    """The same as an event that is not published; without a ``timestamp`` it has happened now."""
    return Event.of(build(kind, **given), timestamp=timestamp)


def _class(kind: str) -> type[Payload]:
    load()
    name = canonical_type(kind)
    return CURRENT[name] if name in CURRENT else payload_class(name, "1.0.0")


def _required(cls: type[BaseModel], given: frozenset[str]) -> dict[str, Any]:
    names = [name for name, field in cls.model_fields.items() if field.is_required() and name not in given]
    return {name: _fresh(name, _value(cls, name)) for name in names}


def _fresh(name: str, value: Any) -> Any:
    """An id of its own where a field holds one: two donations of one payment are another matter."""
    if value is UUID:
        return uuid4()
    return f"{name}-{uuid4().hex[:12]}" if value == _TEXTS[0] and name.endswith("_id") else value


@cache
def _value(cls: type[BaseModel], name: str) -> Any:
    """The first value that a field accepts; ``UUID`` itself stands for a fresh id."""
    field = cls.model_fields[name]
    adapter = _adapter(field)
    for candidate in _candidates(field.annotation):
        try:
            adapter.validate_python(uuid4() if candidate is UUID else candidate)
        except ValidationError:
            continue
        return candidate
    raise AssertionError(f"no value of ours fits {cls.__name__}.{name}: give it")


def _adapter(field: FieldInfo) -> TypeAdapter[Any]:
    annotation: Any = field.annotation
    for one in field.metadata:
        annotation = Annotated[annotation, one]
    return TypeAdapter(annotation)


def _candidates(annotation: Any) -> Iterator[Any]:
    """Values to try for a type, the most plausible first. Pure, but for nested models."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        yield from _candidates(args[0])
    elif origin in (Union, UnionType):
        yield from chain.from_iterable(_candidates(one) for one in args if one is not NoneType)
        if NoneType in args:
            yield None
    elif origin is Literal:
        yield from args
    elif origin in (list, tuple, set, frozenset):
        items = list(_candidates(args[0])) if args else []
        yield from ([item] for item in items if item is not UUID)
        yield from ([uuid4()] for item in items if item is UUID)
        yield []
    elif origin is dict or annotation is dict:
        yield {}
    elif isinstance(annotation, type):
        yield from _of_class(annotation)
    else:
        yield from (*_TEXTS, *_NUMBERS, {}, [])


def _of_class(cls: type) -> Iterator[Any]:
    if issubclass(cls, BaseModel):
        yield cls(**_required(cls, frozenset()))
    elif issubclass(cls, Enum):
        yield from cls
    elif cls is bool:
        yield from (False, True)
    else:
        plain: dict[type, tuple[Any, ...]] = {
            UUID: (UUID,), str: _TEXTS, int: _NUMBERS, float: (1.0, 0.5), Decimal: _DECIMALS,
            datetime: (_MOMENT,), date: (_MOMENT.date(),),
        }  # fmt: skip
        yield from plain.get(cls, (*_TEXTS, *_NUMBERS))
