"""The base classes of payloads.

Keys are camelCase on the wire and snake_case in Python. The rules for all payloads are implemented here: null means
absent for an optional field, unknown keys are dropped (their names are counted), and money is ``Decimal``, never float.
The field types and their limits are in ``fields`` and can be imported from here too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from functools import cache
from typing import Any, ClassVar, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, ValidationInfo, model_serializer, model_validator
from pydantic.alias_generators import to_camel

from fundlyhub.events import fields
from fundlyhub.events.fields import *  # noqa: F403
from fundlyhub.events.fields import MINOR_UNITS
from fundlyhub.events.personal import Impersonal, Personal
from fundlyhub.events.rules import BrokenRule

dropped_keys: Counter[str] = Counter()
"""Unknown keys that this process dropped, as ``class.key``; never their values."""


_NONE = type(None)
_PLAIN = frozenset({str, int, bool, UUID, Decimal, date, _NONE})
"""Types of values that the encoder takes unchanged."""


# Not a literal in the class, so that mypy's plug-in uses the names in Python. Deferred: see ``catalogue.build``.
_SPELLING = ConfigDict(alias_generator=to_camel, validate_by_alias=True, validate_by_name=False, defer_build=True)
_IN_PYTHON = object()
"""Context of a validation with the names in Python."""


class CamelCase(BaseModel):
    """A model with camelCase keys on the wire only; in Python its constructor takes the fields' names."""

    model_config = _SPELLING

    def __init__(self, /, **values: Any) -> None:
        self.__pydantic_validator__.validate_python(
            values, self_instance=self, by_alias=True, by_name=True, context=_IN_PYTHON
        )

    # Otherwise pydantic would use the constructor for values from the wire too.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]


class WireModel(CamelCase):
    """An object inside a payload: camelCase on the wire, null is absent, unknown keys are dropped.

    ::

        from fundlyhub.events.payload import Line, WireModel

        class Place(WireModel):
            city: Line  # a payload then has a field `place: Place`, or `places: ListOf[Place]`
    """

    model_config = ConfigDict(
        extra="ignore", frozen=True, hide_input_in_errors=True, use_enum_values=True, serialize_by_alias=True
    )

    @model_validator(mode="before")
    @classmethod
    def _normalise(cls, data: Any, info: ValidationInfo) -> Any:
        if not isinstance(data, dict):
            return data
        known = _names(cls) if info.context is _IN_PYTHON else _wire_names(cls)
        # By type: comparing a UUID with None is slower.
        if data.keys() <= known.keys() and _NONE not in map(type, data.values()):
            return data
        kept = {}
        for key, value in data.items():
            required = known.get(key)
            if required is None:
                dropped_keys[f"{cls.__name__}.{key[:64] if isinstance(key, str) else '?'}"] += 1
            elif value is not None or required:
                kept[key] = value
        return kept

    @model_serializer(mode="wrap")
    def _without_absent(self, handler: Any) -> dict[str, Any]:
        """Leave absent fields out; only a required field may be null."""
        names = _names(type(self))  # a caller may dump by either kind of name
        return {key: value for key, value in handler(self).items() if value is not None or names[key]}


@cache
def _wire_names(of: type[WireModel]) -> dict[str, bool]:
    """Keys on the wire, each with whether its field is required."""
    return {field.alias or key: field.is_required() for key, field in of.model_fields.items()}


@cache
def _names(of: type[WireModel]) -> dict[str, bool]:
    """The same for the fields' names in Python and the keys on the wire."""
    return {key: field.is_required() for key, field in of.model_fields.items()} | _wire_names(of)


class Changes(BaseModel):
    """A map of changed columns: snake_case on the wire, an allow-list, and null means "emptied".

    Each field must default to None; what was not given is not written. See ``model_fields_set`` for
    what has changed.

    ::

        from fundlyhub.events.payload import Changes, Kept, Line

        class CampaignChanges(Changes):
            title: Kept[Line] = None
            short_url: Line | None = None
    """

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True, defer_build=True)

    @model_validator(mode="before")
    @classmethod
    def _count_others(cls, data: Any) -> Any:
        if isinstance(data, dict):
            for key in data.keys() - cls.model_fields.keys():
                dropped_keys[f"{cls.__name__}.{key[:64] if isinstance(key, str) else '?'}"] += 1
        return data

    @model_serializer(mode="wrap")
    def _only_given(self, handler: Any) -> dict[str, Any]:
        return {key: value for key, value in handler(self).items() if key in self.model_fields_set}


class Payload(WireModel):
    """Base of the payload classes: one class per event type and version.

    A subclass gives its type, version and aggregate as class keywords::

        from fundlyhub.events.payload import UUID, Line, Payload

        class CampaignPraised(Payload, type="campaign.praised", version="1.0.0", aggregate=("campaign", "campaign_id")):
            \"\"\"Somebody has praised a campaign.\"\"\"
            campaign_id: UUID
            words: Line | None = None

    ``aggregate`` names the kind of thing that the event is about and the field that holds its id, or is
    None where there is none.
    """

    event_type: ClassVar[str]
    event_version: ClassVar[str]
    aggregate_kind: ClassVar[str | None]
    aggregate_field: ClassVar[str | None]

    def __init_subclass__(
        cls,
        *,
        type: str | None = None,
        version: str = "1.0.0",
        aggregate: tuple[str, str | None] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init_subclass__(**kwargs)
        if type is None:  # an abstract base of other payload classes
            return
        cls.event_type, cls.event_version = type, version
        cls.aggregate_kind, cls.aggregate_field = aggregate or (None, None)

    @property
    def aggregate_id(self) -> str | None:
        """The id of the thing that the event is about."""
        value = getattr(self, self.aggregate_field) if self.aggregate_field else None
        return None if value is None else str(value)

    def to_wire(self) -> dict[str, Any]:
        """The payload with its wire keys; UUIDs, dates and Decimals are left to the encoder."""
        return self.model_dump(mode="python")

    def plain_wire(self) -> dict[str, Any] | None:
        """The same at a third of the cost, for a payload of plain values; None for any other."""
        keys, required = _wire_keys(type(self)), _names(type(self))
        values = self.__dict__
        if len(values) != len(keys) or not _PLAIN.issuperset(map(type, values.values())):
            return None
        return {keys[name]: value for name, value in values.items() if value is not None or required[name]}


@cache
def _wire_keys(of: type[Payload]) -> dict[str, str]:
    """Each field's key on the wire."""
    return {name: field.alias or name for name, field in of.model_fields.items()}


class MoneyPayload(Payload):
    """A payload with money: checks that no amount has more decimals than the payload's currency has.

    ``money_fields`` names the amounts, ``currency_field`` the currency: by default ``amount`` and ``currency``.

    ::

        from fundlyhub.events.payload import UUID, Amount, Currency, MoneyPayload

        class DonationPledged(MoneyPayload, type="donation.pledged", aggregate=("campaign", "campaign_id")):
            campaign_id: UUID
            amount: Amount
            currency: Currency
    """

    money_fields: ClassVar[tuple[str, ...]] = ("amount",)
    currency_field: ClassVar[str] = "currency"

    @model_validator(mode="after")
    def _decimals_fit_the_currency(self) -> Self:
        currency = getattr(self, self.currency_field)
        digits = MINOR_UNITS[currency]
        for name, amount in self._amounts():
            if amount is not None and amount != round(amount, digits):
                raise BrokenRule(f"{_camel_path(name)} must have at most {digits} decimals in {currency}")
        return self

    def _amounts(self) -> Iterator[tuple[str, Decimal | None]]:
        """Each amount with its name in Python; a subclass adds nested amounts."""
        for name in self.money_fields:
            yield name, getattr(self, name)


def _camel_path(name: str) -> str:
    # Only for an error's text: the conversion costs more than the whole check.
    return ".".join(to_camel(part) if part.isidentifier() else part for part in name.split("."))


__all__ = [
    "UUID", "BrokenRule", "CamelCase", "Changes", "Impersonal", "MoneyPayload", "Payload", "Personal", "WireModel",
    "dropped_keys",
    *fields.__all__,
]  # fmt: skip
