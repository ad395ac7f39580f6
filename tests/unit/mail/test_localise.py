"""Languages: which one a customer reads, and how it writes amounts and counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from babel.numbers import format_currency
from hypothesis import given
from hypothesis import strategies as st

from steps.mail import localise
from tests.support.sample_mails import email
from tests.support.shown_mail import in_one_line

if TYPE_CHECKING:
    from decimal import Decimal


@pytest.mark.parametrize(
    ("locale", "language", "expected"),
    [
        ("de-AT", "de", "€ 1.234,50"),
        ("de-CH", "de", "EUR 1’234.50"),
        ("de", "de", "1.234,50 €"),
        ("fr-CA", "fr", "1 234,50 €"),
        ("en-GB", "en", "€1,234.50"),
        ("ja-JP", "ja", "€1,234.50"),
        ("pt-BR", "en", "€1,234.50"),
        ("sv-SE", "en", "1 234,50 €"),
        ("xx", "en", "€1,234.50"),
        ("zh-Hant-TW", "en", "€1,234.50"),
        ("DE-at", "de", "€ 1.234,50"),
    ],
)
def test_a_language_without_texts_falls_back_to_english(
    locale: str, language: str, expected: str
) -> None:
    chosen = localise.language(locale)
    assert chosen.tag.startswith(language)
    assert in_one_line(chosen.money("1234.5", "EUR")) == expected
    assert f'lang="{chosen.tag}"' in email("order.confirmed", locale=locale)["html"]


@pytest.mark.parametrize(
    ("amount", "currency", "expected"),
    [
        ("1234", "JPY", "¥1,234"),
        ("1.5", "KWD", "KWD1.500"),
        ("0.005", "BHD", "BHD0.005"),
        ("29.990000", "USD", "$29.99"),
        ("0.0049", "USD", "$0.0049"),
        ("100", "USD", "$100.00"),
        ("-24.6", "USD", "-$24.60"),
        ("999999999999999.99", "USD", "$999,999,999,999,999.99"),
    ],
)
def test_an_amount_has_its_currency_s_decimals(amount: str, currency: str, expected: str) -> None:
    assert in_one_line(localise.language("en-US").money(amount, currency)) == expected


@given(
    amount=st.decimals(-(10**9), 10**9, places=2),
    currency=st.sampled_from(["USD", "EUR", "JPY", "KWD", "CHF", "INR", "XXX"]),
    tag=st.sampled_from(["en", "en-IN", "de-CH", "de-AT", "fr", "es-MX", "ja"]),
)
def test_an_amount_is_written_as_babel_writes_it(amount: Decimal, currency: str, tag: str) -> None:
    language = localise.language(tag)
    expected = format_currency(amount, currency, locale=language.locale)
    assert language.money(amount, currency, rounded=True) == expected


def test_arabic_keeps_sign_and_currency_in_order() -> None:
    assert localise.language("ar").money("-24.6", "USD") == "\u2066-24.60\xa0US$\u2069"


@pytest.mark.parametrize("number", [0, 1, 2, 5, 11, 100])
@pytest.mark.parametrize("language", localise.languages())
def test_every_plural_form_contains_the_number(language: str, number: int) -> None:
    texts = localise.language(language).texts
    for forms in (
        ("and %(num)d more item", "and %(num)d more items"),
        ("%(num)d item in this parcel", "%(num)d items in this parcel"),
    ):
        assert str(number) in texts.ngettext(*forms, number) % {"num": number}


def test_what_events_may_name_without_end_is_not_kept_without_end() -> None:
    for number in range(3 * localise.LANGUAGES_KEPT):
        localise.language(f"xx-{number:03}").money("1.50", "EUR")
    for cache in (localise.language, localise._currency_pattern):
        assert cache.cache_info().currsize <= localise.LANGUAGES_KEPT
