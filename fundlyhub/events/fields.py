"""Field types of payload classes: texts with limits, money, counts, times, addresses.

Each type's errors name the rule and never the value, and each type describes its wire format for JSON Schema.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from math import inf
from typing import Annotated, Any, Literal, TypeVar
from uuid import UUID

from iso4217 import Currency as _Iso4217
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    GetJsonSchemaHandler,
    PlainSerializer,
    StringConstraints,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from fundlyhub.events.personal import FACT
from fundlyhub.events.rules import BrokenRule

MAX_TEXT = 100_000
"""Characters of the longest text."""
MAX_LIST = 1_000
"""Items of the longest list."""
MAX_AMOUNT = Decimal(10) ** 12
"""The largest amount of money, in major units."""

MINOR_UNITS: dict[str, int] = {c.code: c.exponent or 0 for c in _Iso4217}
"""Decimals of each ISO 4217 currency."""


def _number(value: Any) -> Any:
    """Accept int and Decimal: text is refused, and a float is inexact."""
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        raise BrokenRule("must be a number" + (" (a Decimal, not a float)" if isinstance(value, float) else ""))
    if isinstance(value, Decimal) and not value.is_finite():
        raise BrokenRule("must be a finite number")
    return value


def _ratio(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        raise BrokenRule("must be a number")
    return value


def _currency(value: Any) -> Any:
    code = value.upper() if isinstance(value, str) else ""
    if code not in MINOR_UNITS:
        raise BrokenRule("must be an ISO 4217 currency")
    return code


def _email(value: str) -> str:
    from email_validator import EmailNotValidError, validate_email  # its patterns take long to compile

    try:
        validate_email(value, check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        raise BrokenRule("must be an e-mail address") from None
    return value


def _moment_from_ms(value: Any) -> Any:
    """Milliseconds since 1970 as the platform writes them; a datetime must be aware."""
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise BrokenRule("must have a time zone")
        return _utc(value)
    return datetime_from_ms(value)


def _utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:  # near the years 1 and 9999 in another time zone
        raise BrokenRule("must lie in the years 1 to 9999, in UTC too") from None


def datetime_from_ms(value: Any) -> datetime:
    """The UTC time of a number of milliseconds since 1970, to the microsecond.

    Raises BrokenRule with a hint when the number looks like seconds or microseconds.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        raise BrokenRule("must be a number of milliseconds")
    try:
        number = int(Decimal(str(value)) * 1000)
    except (ArithmeticError, ValueError):
        raise BrokenRule("must be a finite number of milliseconds") from None
    for low, high, hint in _LOOKS_LIKE:
        if low <= number < high:
            raise BrokenRule(f"must be milliseconds since 1970, from the year 2000 on{hint}")
    return _EPOCH + _MICROSECOND * number


def ms_from_datetime(value: datetime) -> int | float:
    """Milliseconds since 1970, as an int if possible."""
    micro = (value - _EPOCH) // _MICROSECOND
    return micro // 1000 if micro % 1000 == 0 else micro / 1000


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = datetime.resolution
_Y2000 = 946_684_800_000_000  # in microseconds, as all of these
_Y3000 = 32_503_680_000_000_000
_LOOKS_LIKE = (
    (-inf, _Y2000 // 1000, ""),
    (_Y2000 // 1000, _Y3000 // 1000, ": it looks like seconds"),
    (_Y3000 // 1000, _Y2000, ""),
    (_Y3000, _Y2000 * 1000, ""),
    (_Y2000 * 1000, _Y3000 * 1000, ": it looks like microseconds"),
    (_Y3000 * 1000, inf, ""),
)


def _iso_moment(value: Any) -> Any:
    """ISO 8601 with a time zone, as in the payout events."""
    if isinstance(value, str):
        if not re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d", value):
            raise BrokenRule("must be ISO 8601, such as 2026-01-31T12:00:00Z")
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise BrokenRule("must be ISO 8601, such as 2026-01-31T12:00:00Z") from None
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise BrokenRule("must be ISO 8601 with a time zone, such as 2026-01-31T12:00:00Z")
    return _utc(value)


def _iso_day(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return date.fromisoformat(value)
        except ValueError:
            raise BrokenRule("must be a date, such as 2026-01-31") from None
    if isinstance(value, datetime) or not isinstance(value, date):
        raise BrokenRule("must be a date, such as 2026-01-31")
    return value


def _amount_text(value: str) -> str:
    if not 0 < Decimal(value) <= MAX_AMOUNT:
        raise BrokenRule(f"must be above 0 and at most {MAX_AMOUNT:f}")
    return value


def _url(value: str) -> str:
    if not re.match(r"https?://[^\s/]+", value):
        raise BrokenRule("must be an http or https address")
    return value


def _slug(value: str) -> str:
    """It becomes a part of links in messages to other people."""
    if not re.fullmatch(r"[\w.~-]*", value) or (value and not value.strip(".")):
        raise BrokenRule("must consist of letters, digits, hyphens, underscores, dots and tildes")
    return value


def _day_or_moment(value: Any) -> Any:
    """A date, or the date part of an ISO 8601 time, as a database casts it."""
    return _iso_day(value[:10] if isinstance(value, str) and value[10:11] == "T" else value)


def _uuid_or_system(value: Any) -> Any:
    try:
        return value if value == "system" or isinstance(value, UUID) else UUID(value)
    except (ValueError, TypeError, AttributeError):
        raise BrokenRule("must be a UUID or the word system") from None


def _never_null(value: Any) -> Any:
    if value is None:
        raise BrokenRule("must not be null: the column cannot be emptied")
    return value


def _text(longest: int, shortest: int | None = None) -> StringConstraints:
    return StringConstraints(strict=True, min_length=shortest, max_length=longest)


def _at_once_between(low: Decimal, high: Decimal) -> WrapValidator:
    """Accept a Decimal between these at once; anything else passes the full checks, which cost three times as much."""

    def validate(value: Any, check: ValidatorFunctionWrapHandler) -> Any:
        if type(value) is Decimal and value.is_finite() and low < value < high:
            return value
        return check(value)

    return WrapValidator(validate)


class _SchemaWithoutNull:
    """Shows the type in JSON Schema without null."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        (shown,) = (one for one in handler(schema)["anyOf"] if one != {"type": "null"})
        return dict(shown)


_LARGEST = int(MAX_AMOUNT)
_MONEY = "money in major units"
_Value = TypeVar("_Value")
_Item = TypeVar("_Item")

Text = Annotated[str, _text(MAX_TEXT)]
"""A text of up to 100,000 characters: stories, bodies, reasons."""
Line = Annotated[str, _text(1_000)]
"""A text of up to 1,000 characters: names, titles."""
Reference = Annotated[str, _text(1_000, 1)]
"""A text of 1 to 1,000 characters: another system's id, a search."""
Link = Annotated[str, _text(2_000)]
"""An address that may be relative, up to 2,000 characters."""
Slug = Annotated[str, _text(1_000), AfterValidator(_slug)]
"""A campaign's name in links: letters, digits, hyphens, underscores, dots and tildes, up to 1,000 of them."""
Url = Annotated[str, _text(2_000), AfterValidator(_url), Field(json_schema_extra={"format": "uri"})]
"""An http or https address."""
Email = Annotated[str, _text(320), AfterValidator(_email), Field(json_schema_extra={"format": "email"})]
"""An e-mail address; only its form is checked."""
Amount = Annotated[
    Decimal,
    BeforeValidator(_number),
    Field(gt=0, le=MAX_AMOUNT),
    _at_once_between(Decimal(0), MAX_AMOUNT),
    WithJsonSchema({"type": "number", "exclusiveMinimum": 0, "maximum": _LARGEST, "description": _MONEY}),
]
"""Money above 0, in major units."""
SignedAmount = Annotated[
    Decimal,
    BeforeValidator(_number),
    Field(ge=-MAX_AMOUNT, le=MAX_AMOUNT),
    _at_once_between(-MAX_AMOUNT, MAX_AMOUNT),
    WithJsonSchema({"type": "number", "minimum": -_LARGEST, "maximum": _LARGEST, "description": _MONEY}),
]
"""Money of any sign, in major units: fees, totals."""
AmountText = Annotated[
    str,
    StringConstraints(strict=True, pattern=r"^(0|[1-9][0-9]{0,12})(\.[0-9]{1,8})?$"),
    AfterValidator(_amount_text),
    Field(json_schema_extra={"description": "money in major units, as text"}), FACT,
]  # fmt: skip
"""Money above 0 as plain decimal text, as in the payout events."""
Currency = Annotated[
    str, BeforeValidator(_currency), FACT,
    WithJsonSchema({"type": "string", "pattern": "^[A-Za-z]{3}$", "description": "an ISO 4217 code"}),
]  # fmt: skip
"""An ISO 4217 code; lower case is normalised."""
Count = Annotated[int, Field(strict=True, ge=0, le=2**53)]
"""A whole number from 0 on."""
Percent = Annotated[int, Field(strict=True, ge=0, le=100)]
"""A whole number from 0 to 100."""
Number = Annotated[float, BeforeValidator(_ratio), Field(allow_inf_nan=False)]
"""A measure that is not money: scores, milliseconds, ratios."""
Flag = Annotated[bool, Field(strict=True)]
"""True or false, never 1, 0 or a text."""
MomentMs = Annotated[
    datetime,
    BeforeValidator(_moment_from_ms),
    PlainSerializer(ms_from_datetime, return_type=int | float),
    WithJsonSchema({"type": "number", "minimum": _Y2000 // 1000, "description": "milliseconds since 1970"}),
]
"""A time, on the wire in milliseconds since 1970."""
MomentIso = Annotated[
    datetime,
    BeforeValidator(_iso_moment),
    PlainSerializer(lambda v: v.isoformat().replace("+00:00", "Z"), return_type=str),
]
"""A time, on the wire in ISO 8601."""
Day = Annotated[date, BeforeValidator(_iso_day)]
"""A day, on the wire as 2026-01-31."""
DayOfText = Annotated[date, BeforeValidator(_day_or_moment)]
"""A day from unchecked text: 2026-01-31, or an ISO 8601 moment whose day counts."""
UuidOrSystem = Annotated[UUID | Literal["system"], BeforeValidator(_uuid_or_system)]
"""The actor: a user, or the word "system"."""
ListOf = Annotated[list[_Item], Field(max_length=MAX_LIST)]
"""A list of up to 1,000 items: ``ListOf[Email]``."""
TextMap = Annotated[dict[Line, Link | None], Field(max_length=100)]
"""A small object of texts, such as links by their site."""
Kept = Annotated[_Value | None, BeforeValidator(_never_null), _SchemaWithoutNull()]
"""The new value of a column that cannot be emptied: None means "not given", and null is refused."""

__all__ = [
    "MAX_AMOUNT", "MAX_LIST", "MAX_TEXT", "MINOR_UNITS", "Amount", "AmountText", "Count", "Currency", "Day",
    "DayOfText", "Email", "Flag", "Kept", "Line", "Link", "ListOf", "MomentIso", "MomentMs", "Number",
    "Percent", "Reference", "SignedAmount", "Slug", "Text", "TextMap", "Url", "UuidOrSystem", "datetime_from_ms",
    "ms_from_datetime",
]  # fmt: skip
