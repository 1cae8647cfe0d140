"""An amount as a person reads it: with the decimals that ISO 4217 gives its currency, and never rounded. Pure."""

from __future__ import annotations

from decimal import Decimal

from fundlyhub.events.fields import MINOR_UNITS


def plain_money(amount: Decimal, currency: str) -> str:
    """An amount in a line of English: ``1250.50 RSD``."""
    return f"{amount:.{decimals(amount, currency)}f} {currency}"


def decimals(amount: Decimal, currency: str) -> int:
    """Decimals to write: the currency's, and more where the amount has more."""
    _, digits, exponent = amount.as_tuple()
    places = -exponent if isinstance(exponent, int) else 0
    own = MINOR_UNITS.get(currency, 0)
    while places > own and digits and digits[-1] == 0:
        digits, places = digits[:-1], places - 1
    return max(own, places if any(digits) else 0)
