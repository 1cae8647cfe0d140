"""Limits of JSON values in the log, and strict parsing of JSON text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

from pydantic import ValidationError

from fundlyhub.errors import InvalidEvent, text_of

MAX_BYTES = 256 * 1024
"""Largest event, in bytes of JSON."""
MAX_DEPTH = 32
"""Deepest nesting of objects and lists."""
MAX_DIGITS = 300
"""Most digits before and after a number's point: ``1e-99999999`` is short here, but not in the log."""

# jsonb refuses U+0000, and UTF-8 cannot encode lone surrogates.
_FORBIDDEN = re.compile("[\x00\ud800-\udfff]")

_MESSAGES = {
    "missing": "is required",
    "uuid_parsing": "must be a UUID",
    "uuid_type": "must be a UUID",
    "string_type": "must be a text",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "finite_number": "must be a finite number",
    "decimal_type": "must be a number",
    "decimal_parsing": "must be a number",
    "list_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
}
_WITH_LIMIT = {
    "greater_than": ("must be greater than {}", "gt"),
    "greater_than_equal": ("must be at least {}", "ge"),
    "less_than": ("must be less than {}", "lt"),
    "less_than_equal": ("must be at most {}", "le"),
    "string_too_long": ("must have at most {} characters", "max_length"),
    "string_too_short": ("must have at least {} characters", "min_length"),
    "too_long": ("must have at most {} entries", "max_length"),
    "literal_error": ("must be one of {}", "expected"),
    "enum": ("must be one of {}", "expected"),
    "string_pattern_mismatch": ("must match {}", "pattern"),
}


class BrokenRule(ValueError):
    """What a validator raises: its text speaks of the rule alone and is shown, as that of no other error is.

    ::

        from typing import Self

        from pydantic import model_validator

        from fundlyhub.events.payload import UUID, BrokenRule, Count, Payload

        class CampaignRanked(Payload, type="campaign.ranked", aggregate=("campaign", "campaign_id")):
            campaign_id: UUID
            rank: Count
            of: Count

            @model_validator(mode="after")
            def _rank_is_one_of_them(self) -> Self:
                if self.rank > self.of:
                    raise BrokenRule("rank must not be greater than of")
                return self
    """


def reasons(error: ValidationError, prefix: str = "") -> tuple[str, ...]:
    """pydantic's errors in our own words: the field's path and the rule, never the value."""
    return tuple(_reasons(error, prefix))


def _reasons(error: ValidationError, prefix: str) -> Iterator[str]:
    for fault in error.errors(include_url=False, include_input=False):
        path = ".".join(_safe(str(part)) for part in (prefix, *fault["loc"]) if part != "")
        yield (
            f"{path}: {_message(fault['type'], fault.get('ctx', {}))}"
            if path
            else _message(fault["type"], fault.get("ctx", {}))
        )


def _message(kind: str, ctx: dict[str, Any]) -> str:
    if kind == "value_error":
        found = ctx["error"]
        return text_of(found) if isinstance(found, BrokenRule) else f"is not valid ({type(found).__name__})"
    if kind in _WITH_LIMIT:
        text, key = _WITH_LIMIT[kind]
        return text.format(re.sub(r"Decimal\('(.*)'\)", r"\1", str(ctx.get(key, ""))))
    return _MESSAGES.get(kind, f"is not valid ({kind})")


def _safe(part: str) -> str:
    """A key as it may be shown: keys come from outside, so anything but a short word becomes "?"."""
    return part if re.fullmatch(r"[\w.\[\]-]{1,64}", part, re.ASCII) else "?"


Place = tuple["Place | str", str | int]
"""The place of a value: its parent and its key. It becomes a path only in an error's text."""


def check_json(value: Any, *, path: str) -> None:
    """Check a value against the limits of this module. Raises InvalidEvent that names the field."""
    stack: list[tuple[Place | str, Any, int]] = [(path, value, 1)]
    while stack:
        where, item, depth = stack.pop()
        if isinstance(item, str):
            if _FORBIDDEN.search(item):
                raise InvalidEvent(f"{_path(where)}: must not contain U+0000 or a lone surrogate")
        elif isinstance(item, (dict, list, tuple)):
            if depth > MAX_DEPTH:
                raise InvalidEvent(f"{path}: must not be nested deeper than {MAX_DEPTH} levels")
            stack.extend(((where, key), child, depth + 1) for key, child in _children(where, item))
        elif isinstance(item, (float, Decimal)):
            _check_number(where, item)


def _path(where: Place | str) -> str:
    if isinstance(where, str):
        return where
    parent, key = where
    return f"{_path(parent)}[{key}]" if isinstance(key, int) else f"{_path(parent)}.{_safe(key)}"


def _check_number(where: Place | str, number: float | Decimal) -> None:
    exact = Decimal(str(number)) if isinstance(number, float) else number
    if not exact.is_finite():
        raise InvalidEvent(f"{_path(where)}: must be a finite number")
    if not _is_of_sane_length(exact):
        raise InvalidEvent(f"{_path(where)}: must not have more than {MAX_DIGITS} digits")


def _is_of_sane_length(number: Decimal) -> bool:
    exponent = number.as_tuple().exponent
    return isinstance(exponent, int) and exponent >= -2 * MAX_DIGITS and number.adjusted() <= MAX_DIGITS


def _children(where: Place | str, item: Any) -> Iterable[tuple[str | int, Any]]:
    if not isinstance(item, dict):
        return enumerate(item)
    for key in item:
        if not isinstance(key, str) or _FORBIDDEN.search(key):
            raise InvalidEvent(f"{_path(where)}: a key must not contain U+0000 or a lone surrogate")
    return item.items()


def parse_json(text: str | bytes) -> Any:
    """Parse JSON text, or UTF-8 bytes, with fractions as Decimal.

    Raises InvalidEvent also for what ``json.loads`` accepts: duplicate keys, NaN, infinities, 1e400.
    """
    try:
        decoded = text if isinstance(text, str) else text.decode("utf-8")
        return json.loads(decoded, parse_float=_finite, parse_constant=_no_constant, object_pairs_hook=_unique_keys)
    except InvalidEvent:
        raise
    except RecursionError:
        raise InvalidEvent(f"must not be nested deeper than {MAX_DEPTH} levels") from None
    except UnicodeDecodeError:
        raise InvalidEvent("must be UTF-8") from None
    except json.JSONDecodeError as error:
        raise InvalidEvent(f"is no JSON: {error.msg} at character {error.pos + 1}") from None
    except ValueError:  # an integer with thousands of digits
        raise InvalidEvent("must not hold such large numbers") from None


def _finite(digits: str) -> Decimal:
    try:
        number = Decimal(digits)
    except ArithmeticError:  # the exponent exceeds Decimal's range
        number = Decimal("NaN")
    if not _is_of_sane_length(number):
        raise InvalidEvent(f"must not hold numbers of more than {MAX_DIGITS} digits")
    return number


def _no_constant(name: str) -> Any:
    raise InvalidEvent(f"must not hold {name}")


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise InvalidEvent(f"{_safe(twice)}: stands twice in one object")
    return result
