"""An amount in a reader's own way of writing, with the decimals of ``shared.money``.

Babel follows CLDR, which gives thirteen currencies fewer decimals: there 0.40 RSD would read as 0.
"""

from __future__ import annotations

from decimal import Decimal
from functools import cache

from babel import Locale
from babel.numbers import format_currency, get_currency_symbol

from fundlyhub.processors.shared.money import decimals

NO_BREAK = "\N{NO-BREAK SPACE}"


def local_money(amount: Decimal, currency: str, locale: Locale) -> str:
    """An amount as a reader of the locale writes it: ``1.250,50 €``."""
    pattern = _pattern(str(locale), currency, decimals(amount, currency))
    return format_currency(amount, currency, pattern, locale=locale, currency_digits=False)


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
