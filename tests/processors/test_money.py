"""What people read of money: every currency's own decimals, and the amount as it is."""

from __future__ import annotations

import re
from decimal import Decimal
from itertools import product

import pytest
from babel import Locale
from babel.numbers import get_currency_symbol
from hypothesis import given
from hypothesis import strategies as st
from iso4217 import Currency

from fundlyhub.processors.notifications.rendering.local_money import local_money
from fundlyhub.processors.notifications.rendering.render import LOCALES
from fundlyhub.processors.shared.money import plain_money

READ_IN = [*LOCALES, "de_AT", "de_CH", "de_LI", "en_GB", "en_IN", "en_ZA", "en_CA"]
CURRENCIES = sorted(Currency, key=lambda one: one.code)
FEWER_IN_CLDR = ["AFN", "ALL", "IQD", "IRR", "KPW", "LAK", "LBP", "MGA", "MMK", "RSD", "SOS", "SYP", "YER"]
BLANK = "\N{NO-BREAK SPACE}"
AMOUNTS = ["0.40", "1250.50", "12.750", "1", "-3.5", "1234567890123.45678901", "5E+3", "0", "0.000", "7.10000000"]


def number_in(text: str, locale: str, currency: str) -> str:
    """The number's digits as they are read: without marks between thousands, with a point before the decimals."""
    symbols = Locale.parse(locale).number_symbols["latn"]
    number = text.replace(get_currency_symbol(currency, locale=locale), "").replace(BLANK, "")
    return number.replace(symbols["group"], "").replace(symbols["decimal"], ".")


def is_exact(number: str, amount: Decimal, currency: Currency) -> bool:
    """Whether a number is the amount, with the currency's decimals, and more only where they are not 0."""
    if not re.fullmatch(r"-?\d+(\.\d+)?", number) or Decimal(number) != amount:
        return False
    decimals, least = len(number.partition(".")[2]), currency.exponent or 0
    return decimals == least or (decimals > least and number[-1] != "0")


def is_well_written(amount: Decimal, currency: Currency, locale: str) -> bool:
    """Whether an amount is exact in both forms, letters stand apart from the number, and no line can break in it."""
    text = local_money(amount, currency.code, Locale.parse(locale))
    apart = not re.search(r"[^\W\d_]\d|\d[^\W\d_]", text) and " " not in text
    return apart and is_exact(number_in(text, locale, currency.code), amount, currency)


def test_every_currency_has_its_own_decimals_and_no_amount_is_rounded() -> None:
    every = product(map(Decimal, AMOUNTS), CURRENCIES, READ_IN)
    assert [(amount, currency.code, locale) for amount, currency, locale in every
            if not is_well_written(amount, currency, locale)] == []  # fmt: skip


def test_so_has_a_line_of_plain_text() -> None:
    for amount, currency in product(map(Decimal, AMOUNTS), CURRENCIES):
        number, code = plain_money(amount, currency.code).split(" ")
        assert is_exact(number, amount, currency)
        assert code == currency.code


@given(amount=st.decimals(-(10**13), 10**13, places=8), currency=st.sampled_from(CURRENCIES),
       locale=st.sampled_from(READ_IN))  # fmt: skip
def test_any_amount_can_be_read_back(amount: Decimal, currency: Currency, locale: str) -> None:
    text = local_money(amount, currency.code, Locale.parse(locale))
    assert is_exact(number_in(text, locale, currency.code), amount, currency)


@pytest.mark.parametrize(
    ("amount", "currency", "english", "german"),
    [
        ("1250.50", "RSD", f"RSD{BLANK}1,250.50", f"1.250,50{BLANK}RSD"),
        ("0.40", "RSD", f"RSD{BLANK}0.40", f"0,40{BLANK}RSD"),
        ("12.750", "IQD", f"IQD{BLANK}12.750", f"12,750{BLANK}IQD"),
        ("1.234", "KWD", f"KWD{BLANK}1.234", f"1,234{BLANK}KWD"),
        ("1250.50", "EUR", "€1,250.50", f"1.250,50{BLANK}€"),
        ("5000", "JPY", "¥5,000", f"5.000{BLANK}¥"),
        ("-12.5", "CHF", f"-CHF{BLANK}12.50", f"-12,50{BLANK}CHF"),
    ],
)
def test_money_is_written_as_its_readers_write_it(amount: str, currency: str, english: str, german: str) -> None:
    assert local_money(Decimal(amount), currency, Locale.parse("en")) == english
    assert local_money(Decimal(amount), currency, Locale.parse("de")) == german


def test_a_line_of_plain_text_has_the_code_behind_the_number() -> None:
    assert plain_money(Decimal(100), "USD") == "100.00 USD"
    assert plain_money(Decimal("12.75"), "IQD") == "12.750 IQD"
    assert [plain_money(Decimal("0.4"), code) for code in FEWER_IN_CLDR if code != "IQD"] == [
        f"0.40 {code}" for code in FEWER_IN_CLDR if code != "IQD"
    ]
