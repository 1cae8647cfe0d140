"""Which fields of payloads say something about a person: markers for payload classes, and what follows from them.

Every field that can hold a text is marked in its class, as ``Personal`` or as ``Impersonal``; ids, amounts, times and
fixed words need no mark. ``fundlyhub people`` finds and erases data by these marks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from functools import cache
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin
from uuid import UUID

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

What = Literal["address", "name", "text", "link", "picture", "place", "network"]
ERASED = "erased"
"""Key in an event's metadata, reserved for us: the fields that were erased, as a list of dotted paths on the wire."""
ITEMS = "[]"
"""A step of a path: each item of a list."""


@dataclass(frozen=True, slots=True)
class Personal:
    """Marks a field that says something about a person.

    ``what`` is what it says. ``whose`` names the fields, in the same object or at the top of the payload, that hold
    the person's id, or the id of a thing of theirs: a donation, a campaign, a payout request. Without any the field
    belongs to the person whose address it holds.

    ::

        from typing import Annotated

        from fundlyhub.events.payload import UUID, Line, Payload, Personal

        class CampaignShared(Payload, type="campaign.shared", aggregate=("campaign", "campaign_id")):
            campaign_id: UUID
            user_id: UUID
            comment: Annotated[Line | None, Personal("text", "user_id")] = None
    """

    what: What
    whose: tuple[str, ...]

    def __init__(self, what: What, *whose: str) -> None:
        object.__setattr__(self, "what", what)
        object.__setattr__(self, "whose", whose)


@dataclass(frozen=True, slots=True)
class Impersonal:
    """Marks a text that stays when a person is erased, and says why.

    ::

        from typing import Annotated

        from fundlyhub.events.payload import UUID, Impersonal, Line, Payload

        class CampaignTagged(Payload, type="campaign.tagged", aggregate=("campaign", "campaign_id")):
            campaign_id: UUID
            tag: Annotated[Line, Impersonal("a word of the platform's own")]
    """

    why: str


FACT = Impersonal("a fact: an id, a number, a time or one of some fixed words")
CODE = Impersonal("a word of the platform's own, such as a role or a kind")
REFERENCE = Impersonal("a reference to a payment or an image: a fact")
CONTENT = Impersonal("published content of a campaign, which stays as long as the campaign")
ORGANIZATION = Impersonal("an organization's own details")
NOBODYS = Impersonal("what was searched for, without the person who did")

_FACTS = (UUID, bool, int, float, Decimal, date, datetime, type(None), Enum)


class Classified(NamedTuple):
    """A field of a payload class that can hold a text. ``mark`` is None if it is not classified.

    ``path`` are the keys on the wire, with ``[]`` for each item of a list; ``whose`` as on the wire.
    """

    path: tuple[str, ...]
    mark: Personal | Impersonal | None
    whose: tuple[str, ...]
    required: bool
    type: Any

    @property
    def shown(self) -> str:
        """The path in one text, such as ``changes.name`` or ``results[].title``."""
        return _shown(self.path)


@cache
def classified(payload: type[BaseModel]) -> tuple[Classified, ...]:
    """All fields of a payload class that can hold a text, nested ones too; facts are left out."""
    return tuple(_fields(payload, (), (payload,)))


@cache
def personal(payload: type[BaseModel]) -> tuple[Classified, ...]:
    """The personal fields of a payload class."""
    return tuple(field for field in classified(payload) if isinstance(field.mark, Personal))


@cache
def facts(payload: type[BaseModel]) -> tuple[str, ...]:
    """The paths of all fields that are no person's words, as ``shown`` writes them: an erasure may not touch them.

    >>> from fundlyhub import UserFollowedUser
    >>> facts(UserFollowedUser)
    ('followedUserId', 'followerId')
    """
    words = {field.shown for field in personal(payload)}
    return tuple(sorted({_shown(path) for path in _paths(payload, ())} - words))


def _paths(model: type[BaseModel], path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for name, info in model.model_fields.items():
        inside = (*path, info.alias or name)
        nested = [] if isinstance(_mark(info), Personal) else list(_models(info.annotation, inside))
        if not nested:
            yield inside
        for found, place in nested:
            yield from _paths(found, place)


def _shown(path: tuple[str, ...]) -> str:
    return ".".join(path).replace(f".{ITEMS}", ITEMS)


def unclassified(payload: type[BaseModel]) -> list[str]:
    """The fields that can hold a text and have no mark."""
    return [field.shown for field in classified(payload) if field.mark is None]


@cache
def placeholder(field: Classified) -> Any:
    """What stands in the place of an erased value; None if the key is taken out.

    An optional field is then absent. A required one gets the first value that its type takes: an empty text or list, a
    word, an address or a link that lead nowhere. Raises TypeError when it takes none of them.
    """
    if not field.required or ITEMS in field.path[-1:]:
        return None
    takes = TypeAdapter(field.type)
    value: Any
    for value in ("", "erased", "erased@erased.test", "https://erased.invalid/", [], {}):
        try:
            takes.validate_python(value)
        except ValidationError:
            continue
        return value
    raise TypeError(f"{field.shown} takes no value that says nothing: make it optional")


def _fields(model: type[BaseModel], path: tuple[str, ...], above: tuple[type[BaseModel], ...]) -> Iterator[Classified]:
    for name, info in model.model_fields.items():
        inside = (*path, info.alias or name)
        if (mark := _mark(info)) is not None:
            if isinstance(mark, Personal) or mark is not FACT:
                whose = tuple(_wire(one, above) for one in mark.whose) if isinstance(mark, Personal) else ()
                yield Classified(inside, mark, whose, info.is_required(), _type(info))
            continue
        nested = list(_models(info.annotation, inside))
        for found, place in nested:
            yield from _fields(found, place, (*above, found))
        if not nested and not _is_fact(info.annotation):
            yield Classified(inside, None, (), info.is_required(), _type(info))


def _mark(info: FieldInfo) -> Personal | Impersonal | None:
    """The mark of a field, or of its type; a mark of the field itself goes first."""
    marks = [one for one in (*info.metadata, *_inner_marks(info.annotation)) if isinstance(one, Personal | Impersonal)]
    return next((one for one in marks if one is not FACT), marks[0] if marks else None)


def _inner_marks(annotation: Any) -> Iterator[Any]:
    """Marks inside a type, such as that of ``Currency | None``; those of other models are not this field's."""
    if get_origin(annotation) is Annotated:
        yield from annotation.__metadata__
    for inner in get_args(annotation):
        yield from _inner_marks(inner)


def _type(info: FieldInfo) -> Any:
    return Annotated[info.annotation, *info.metadata] if info.metadata else info.annotation


def _wire(name: str, models: tuple[type[BaseModel], ...]) -> str:
    """A field's key on the wire, in the innermost model that has it. Raises TypeError when none has."""
    for model in reversed(models):
        if name in model.model_fields:
            return model.model_fields[name].alias or name
    raise TypeError(f"{models[0].__name__}: a mark names {name}, which is no field")


def _models(annotation: Any, path: tuple[str, ...]) -> Iterator[tuple[type[BaseModel], tuple[str, ...]]]:
    """The models in a field's type, which may be optional or a list."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation, path
    inside = (*path, ITEMS) if get_origin(annotation) in (list, tuple, set, frozenset) else path
    for inner in get_args(annotation):
        yield from _models(inner, inside)


def _is_fact(annotation: Any) -> bool:
    """Whether a type can hold no text but that of an id, a number, a time, or one of some words."""
    origin = get_origin(annotation)
    if origin is Literal:
        return True
    if origin is Annotated:
        return FACT in annotation.__metadata__ or _is_fact(get_args(annotation)[0])
    if inner := get_args(annotation):
        return all(map(_is_fact, inner))
    return isinstance(annotation, type) and issubclass(annotation, _FACTS)


def erased(metadata: Mapping[str, Any]) -> frozenset[str]:
    """The fields of an event that were erased, as dotted paths on the wire; by its metadata."""
    given = metadata.get(ERASED)
    return frozenset(one for one in given if isinstance(one, str)) if isinstance(given, list) else frozenset()


def is_erased(event: Any) -> bool:
    """Whether something of an event was erased."""
    return bool(event.metadata and erased(event.metadata))
