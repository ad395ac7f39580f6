"""ICU is the judge of what a locale's amounts, numbers and dates look like, and of its plurals.

The ICU of the laptop's Node has the CLDR's release 48; the Babel that mails are written with has 47, and
imports a little less than all of it. Where the two differ in data, that is named here.
"""

from __future__ import annotations

import functools
import gettext
import io
import itertools
import json
import re
import subprocess
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import pytest
from babel import Locale
from babel.localedata import locale_identifiers
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.numbers import get_currency_precision

from steps.mail import localise
from steps.mail.localise import Language

PROGRAM = Path(__file__).with_name("icu.mjs")

LOCALES = [
    *("en-US", "en-GB", "en-IE", "en-IN", "en-CA", "en-AU", "en-NZ", "en-ZA", "en-SG", "en-HK"),
    *("en-AT", "en-SE", "de-DE", "de-AT", "de-CH", "de-BE", "de-LU", "fr-FR", "fr-CA", "fr-CH"),
    *("fr-BE", "fr-LU", "fr-SN", "it-IT", "it-CH", "es-ES", "es-MX", "es-AR", "es-CO", "es-CL"),
    *("es-PE", "es-UY", "es-CR", "es-DO", "es-US", "pt-BR", "pt-PT", "pt-AO", "nl-NL", "nl-BE"),
    *(
        "pl-PL",
        "ja-JP",
        "ar",
        "ar-SA",
        "ar-AE",
        "ar-EG",
        "ar-KW",
        "ar-QA",
        "ar-MA",
        "ar-TN",
        "ar-JO",
    ),
]
CURRENCIES = [
    *("USD", "EUR", "GBP", "JPY", "CHF", "CAD", "AUD", "NZD", "HKD", "SGD", "CNY", "TWD", "KRW"),
    *("INR", "ZAR", "MXN", "BRL", "ARS", "CLP", "COP", "PEN", "UYU", "CRC", "DOP", "PLN", "CZK"),
    *("HUF", "SEK", "NOK", "DKK", "ISK", "TRY", "ILS", "KWD", "BHD", "SAR", "AED", "EGP", "QAR"),
    *("MAD", "TND", "JOD", "AOA", "XOF", "XPF"),
]
AMOUNTS = [
    *("0", "0.01", "1.5", "-24.6", "999.99", "1234.5", "-1234.5", "12345.67", "-1234567.89"),
    "999999999999.99",
]
NUMBERS = ["0", "1", "-3", "0.5", "999", "1234", "-1234.25", "12345", "1234567.125"]
ORDINALS = {"fr": "1er", "pt": "1º"}
"""The first of a month, as these languages have it and the CLDR does not."""
INTERVALS = [
    ("2026-10-12", "2026-10-14"),
    ("2026-10-30", "2026-11-02"),
    ("2026-12-30", "2027-01-02"),
]
OTHER_INTERVALS = {
    *("en-GB", "en-ZA"),  # A newer CLDR has another space around the dash,
    "it-CH",  # and another zero before a day.
    *(tag for tag in LOCALES if tag.startswith("ja")),  # ICU takes 2026/10/12 for a long date.
}
DAYS = [f"2026-{month:02}-{day:02}" for month in range(1, 13) for day in (1, 15)]

APOSTROPHE = "since the CLDR's 48 Switzerland groups by ' instead of ’ or a space"
DRAFT = "Babel imports no drafts, ICU has those that the CLDR calls contributed"
WRITTEN_OTHERWISE = {
    ("de-CH", "amounts"): (r"’", "'", APOSTROPHE),
    ("de-CH", "numbers"): (r"’", "'", APOSTROPHE),
    ("it-CH", "amounts"): (r"’", "'", APOSTROPHE),
    ("it-CH", "numbers"): (r"’", "'", APOSTROPHE),
    ("fr-CH", "amounts"): (r"(?<=\d)\u202f", "'", APOSTROPHE),
    ("fr-CH", "numbers"): (r"(?<=\d)\u202f", "'", APOSTROPHE),
    ("de-AT", "numbers"): (r"\.", "\xa0", DRAFT),
    ("es-AR", "amounts"): (r"\$", "$\xa0", DRAFT),
    ("es-CO", "amounts"): (r"\$", "$\xa0", DRAFT),
}
"""What is other in ICU's than in ours, and why: a pattern of ours, and what they have there."""

OWN_PATTERN = {("en-SE", "EUR")}
"""Where a currency has a pattern of its own, which Babel does not import: €1.50, as in Ireland."""

OTHER_DECIMALS = {"COP": 0, "HUF": 0}
"""The CLDR's 48 has none for what is still two decimals in ISO 4217 and in Babel."""

EVERYWHERE = [
    name.replace("_", "-")
    for name in locale_identifiers()
    if name.partition("_")[0] in {locale.partition("-")[0] for locale in LOCALES}
]
"""Every locale of the languages above that Babel knows."""

LANGUAGES = sorted({*localise.languages(), "pt-PT"})
COUNTS = [*range(201), 1000, 1001, 1002, 1011, 10**5, 10**6, 10**6 + 1, 2 * 10**6, 10**7]
"""The plural forms of a `.po` file in their order. Those of the other languages are one and other."""


def _amounts(currency: str) -> list[str]:
    unit = Decimal(1).scaleb(-get_currency_precision(currency))
    return [str(Decimal(amount).quantize(unit, ROUND_HALF_UP)) for amount in AMOUNTS]


@functools.cache
def icu() -> Any:
    """Ask ICU everything at once, in half a second."""
    question = {
        "locales": LOCALES,
        "currencies": {
            currency: {"decimals": get_currency_precision(currency), "amounts": _amounts(currency)}
            for currency in CURRENCIES
        },
        "numbers": NUMBERS,
        "days": DAYS,
        "intervals": INTERVALS,
        "everywhere": EVERYWHERE,
        "languages": LANGUAGES,
        "counts": COUNTS,
    }
    command = ["node", str(PROGRAM)]
    answer = subprocess.run(
        command, input=json.dumps(question), capture_output=True, text=True, check=True
    )
    return json.loads(answer.stdout)


def language(tag: str) -> Language:
    """Return a locale's conventions, whether or not mails are written in its language."""
    return Language(gettext.NullTranslations(), Locale.parse(tag, sep="-"))


def without_isolates(text: str) -> str:
    """Drop what is ours in an Arabic amount: the direction of a symbol such as US$."""
    return text.replace("\u2068", "").replace("\u2069", "")


def differences(locale: str, what: str, pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the pairs of ours and theirs that differ, but for the difference that is known."""
    ours, theirs, _ = WRITTEN_OTHERWISE.get((locale, what), ("", "", ""))
    if ours:
        assert any(our != their for our, their in pairs), "nothing differs any more"
        pairs = [(re.sub(ours, theirs, our), their) for our, their in pairs]
    return [(our, their) for our, their in pairs if our != their]


def test_there_are_enough_of_each() -> None:
    assert len(set(LOCALES)) >= 50
    assert len(set(CURRENCIES)) >= 40


@pytest.mark.parametrize("locale", LOCALES)
def test_amounts_are_written_as_icu_writes_them(locale: str) -> None:
    money = language(locale).money
    pairs = {
        currency: [
            (without_isolates(money(amount, currency)), theirs)
            for amount, theirs in zip(_amounts(currency), written, strict=True)
        ]
        for currency, written in icu()["written"][locale]["amounts"].items()
    }
    for currency in [currency for place, currency in OWN_PATTERN if place == locale]:
        assert all(ours != theirs for ours, theirs in pairs.pop(currency)), "they agree by now"
    assert differences(locale, "amounts", list(itertools.chain(*pairs.values()))) == []


@pytest.mark.parametrize("locale", LOCALES)
def test_numbers_are_written_as_icu_writes_them(locale: str) -> None:
    number = language(locale).number
    pairs = [
        (number(value), theirs)
        for value, theirs in zip(NUMBERS, icu()["written"][locale]["numbers"], strict=True)
    ]
    assert differences(locale, "numbers", pairs) == []


def test_separators_begin_at_as_many_digits_as_icu_s() -> None:
    ours = {locale: "1234" in language(locale).number("1234") for locale in EVERYWHERE}
    assert ours == {locale: "1234" in theirs for locale, theirs in icu()["thousand"].items()}


@pytest.mark.parametrize("locale", LOCALES)
def test_dates_are_written_as_icu_writes_them(locale: str) -> None:
    theirs = icu()["written"][locale]["days"]
    if first := ORDINALS.get(locale[:2]):
        theirs = [re.sub(r"^1(?= )", first, day) for day in theirs]
    assert [language(locale).date(day) for day in DAYS] == theirs


def test_intervals_are_written_as_icu_writes_them() -> None:
    ours = {tag: [language(tag).dates(*days) for days in INTERVALS] for tag in LOCALES}
    theirs = {tag: icu()["written"][tag]["intervals"] for tag in LOCALES}
    assert {tag for tag in LOCALES if ours[tag] != theirs[tag]} == OTHER_INTERVALS


def test_currencies_have_icu_s_decimals() -> None:
    ours = {currency: get_currency_precision(currency) for currency in CURRENCIES}
    differing = {
        currency: theirs
        for currency, theirs in icu()["decimals"].items()
        if theirs != ours[currency]
    }
    assert differing == OTHER_DECIMALS


@pytest.mark.parametrize("tag", LANGUAGES)
def test_a_catalogue_has_the_cldr_s_plural_forms(tag: str) -> None:
    """Each category has a form of its own; gettext's Romance languages count a million as a thousand."""
    catalogue = Catalog(locale=tag.replace("-", "_"))
    forms = tuple(f"%(num)d {number}" for number in range(catalogue.num_plurals))
    catalogue.add(("%(num)d thing", "%(num)d things"), forms)
    file = io.BytesIO()
    write_mo(file, catalogue)
    file.seek(0)
    texts = gettext.GNUTranslations(file)
    chosen: dict[str, set[str]] = {}
    for count, category in zip(COUNTS, icu()["categories"][tag], strict=True):
        chosen.setdefault(category, set()).add(
            texts.ngettext("%(num)d thing", "%(num)d things", count)
        )
    if len(chosen) > len(forms):
        assert chosen.pop("many") == chosen["other"]
    assert sorted(form for own in chosen.values() for form in own) == sorted(forms)
    assert len(chosen) == len(forms)


def test_the_arabic_texts_are_in_the_order_that_they_were_written_in() -> None:
    """Babel 2.19 has the last two in the other order, and would not say so."""
    texts = localise.language("ar").texts
    said = [
        texts.ngettext("and %(num)d more item", "and %(num)d more items", n) for n in (11, 100, 3)
    ]
    assert said[0].endswith("منتجًا آخر")
    assert len(set(said)) == 3
