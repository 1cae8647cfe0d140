"""An amount as a person reads it: with the decimals that ISO 4217 gives its currency, and never rounded. Pure.

Babel follows CLDR, which gives thirteen currencies fewer decimals: there 0.40 RSD would read as 0.
"""

from __future__ import annotations

from decimal import Decimal
from functools import cache

from babel import Locale
from babel.numbers import format_currency, get_currency_symbol

from fundlyhub.events.fields import MINOR_UNITS

NO_BREAK = "\N{NO-BREAK SPACE}"


def plain_money(amount: Decimal, currency: str) -> str:
    """An amount in a line of English: ``1250.50 RSD``."""
    return f"{amount:.{_digits(amount, currency)}f} {currency}"


def local_money(amount: Decimal, currency: str, locale: Locale) -> str:
    """An amount in a reader's own way of writing: ``1.250,50 €``."""
    pattern = _pattern(str(locale), currency, _digits(amount, currency))
    return format_currency(amount, currency, pattern, locale=locale, currency_digits=False)


def _digits(amount: Decimal, currency: str) -> int:
    """Decimals to write: the currency's, and more where the amount has more."""
    _, digits, exponent = amount.as_tuple()
    places = -exponent if isinstance(exponent, int) else 0
    own = MINOR_UNITS.get(currency, 0)
    while places > own and digits and digits[-1] == 0:
        digits, places = digits[:-1], places - 1
    return max(own, places if any(digits) else 0)


@cache
def _pattern(name: str, currency: str, digits: int) -> str:
    """A locale's pattern for money with so many decimals, and a blank between a number and the letters beside it."""
    locale = Locale.parse(name)
    pattern: str = locale.currency_formats["standard"].pattern
    symbol = get_currency_symbol(currency, locale=locale)
    if symbol[-1].isalpha():
        pattern = pattern.replace("¤#", f"¤{NO_BREAK}#").replace("¤0", f"¤{NO_BREAK}0")
    if symbol[0].isalpha():
        pattern = pattern.replace("0¤", f"0{NO_BREAK}¤")
    return pattern.replace(".00", f".{'0' * digits}" if digits else "")
