"""Languages: which one a customer reads, and how it writes amounts, numbers and dates.

Texts are gettext catalogues in `built/`, made by `infra.mail`; English is what the templates say.
"""

from __future__ import annotations

import functools
import gettext
import re
import unicodedata
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import NamedTuple

from babel import Locale, localedata
from babel.core import get_global
from babel.dates import format_date
from babel.numbers import (
    NumberPattern,
    format_percent,
    get_currency_precision,
    get_currency_symbol,
    get_decimal_precision,
)

BUILT = Path(__file__).parent / "built"
SOURCE = "en"

_TAG = re.compile(
    r"([a-z]{2,8})(?:-[a-z]{3}){0,3}(?:-([a-z]{4}))?(?:-([a-z]{2}|\d{3}))?(?![a-z\d])",
    re.ASCII | re.IGNORECASE,
)
"""Language, script and territory at the start of a BCP 47 tag (RFC 5646, 2.1); variants may follow."""

_MINIMUM_GROUPING_DIGITS = {"es": 2, "es_419": 1, "it": 2, "pl": 2, "pt_PT": 2, "pt_AO": 1}
"""Digits before a first separator: 1234,50 but 12.345,00. The CLDR's, which Babel leaves out."""

_FIRST_OF_A_MONTH = {"fr": "1er", "pt": "1º"}
_ONE = re.compile(r"(?<!\d)1(?= (?:de )?[^\W\d])")

_ISOLATE, _POP_ISOLATE = "\N{FIRST STRONG ISOLATE}", "\N{POP DIRECTIONAL ISOLATE}"


@functools.cache
def languages() -> tuple[str, ...]:
    """Return the languages that mails are written in, as BCP 47 tags: `de`, `pt-BR`."""
    return tuple(sorted({SOURCE, *(path.stem for path in BUILT.glob("*.mo"))}))


@dataclass(frozen=True, eq=False)
class Language:
    """A catalogue, and the locale whose conventions go with it.

    Remembers what it wrote: a mail says its total four times, and shops' prices repeat.
    """

    texts: gettext.NullTranslations
    locale: Locale

    @property
    def tag(self) -> str:
        """The BCP 47 tag, for the mail's `lang`."""
        return str(self.locale).replace("_", "-")

    @property
    def texts_tag(self) -> str:
        """Which of `languages` the texts are in: `pt-BR` also for a reader in Portugal."""
        return str(self.texts.info().get("language", SOURCE)).replace("_", "-")

    @functools.cached_property
    def direction(self) -> str:
        """`ltr` or `rtl`."""
        return str(self.locale.text_direction)

    def isolate(self, text: str) -> str:
        """Keep a text's direction and its neighbours' apart (UAX 9, 2.7), to put it into another text.

        A mail that is read from left to right needs that only for what is not.
        """
        if self.direction == "rtl" or not _left_to_right(text):
            return f"{_ISOLATE}{text}{_POP_ISOLATE}"
        return text

    @functools.lru_cache(maxsize=1024)  # noqa: B019 - bounded, as are the languages
    def money(self, amount: str | Decimal, currency: str) -> str:
        """Write an amount with the currency's decimals (CLDR), more only where it has more.

        In a right-to-left language it has the CLDR's own marks, and shows right where it stands alone;
        `isolate` it within a text.
        """
        pattern = _currency_pattern(self.locale, currency)
        return pattern.write(Decimal(amount))

    @functools.lru_cache(maxsize=1024)  # noqa: B019 - bounded, as are the languages
    def number(self, value: str) -> str:
        """Write a number."""
        return _decimal_pattern(self.locale).write(Decimal(value))

    @functools.lru_cache(maxsize=1024)  # noqa: B019 - bounded, as are the languages
    def date(self, moment: str) -> str:
        """Write the day of an ISO 8601 date or moment, in the moment's own time zone."""
        day = date.fromisoformat(moment) if len(moment) == 10 else datetime.fromisoformat(moment)  # noqa: PLR2004
        return self._with_ordinal(format_date(day, "long", locale=self.locale))

    @functools.lru_cache(maxsize=1024)  # noqa: B019 - bounded, as are the languages
    def dates(self, first: str, last: str) -> str:
        """Write an interval of days, two ISO 8601 dates."""
        days = begin, end = date.fromisoformat(first), date.fromisoformat(last)
        differs = "y" if begin.year != end.year else "M" if begin.month != end.month else "d"
        formats = self.locale.interval_formats
        patterns = (formats.get("yMMMMd") or formats["yMMMd"])[differs]
        # Where the CLDR has short months alone, long ones are made of them (UTS 35, Dates, "Missing
        # Skeleton Fields").
        long = (re.sub("MMM+|LLL+", lambda m: m[0][0] * 4, pattern) for pattern in patterns)
        written = (
            format_date(day, pattern, locale=self.locale)
            for day, pattern in zip(days, long, strict=True)
        )
        return self._with_ordinal("".join(written))

    def _with_ordinal(self, written: str) -> str:
        """Write the first of a month as the language does, of which the CLDR does not know."""
        first = _FIRST_OF_A_MONTH.get(self.locale.language)
        return _ONE.sub(first, written) if first else written

    def percent(self, rate: str) -> str:
        """Write a rate that is given in percent."""
        written: str = format_percent(
            Decimal(rate) / 100, locale=self.locale, decimal_quantization=False
        )
        return written


def rounded(amount: Decimal, currency: str) -> Decimal:
    """Round half up to the currency's decimals (CLDR)."""
    return amount.quantize(Decimal(1).scaleb(-get_currency_precision(currency)), ROUND_HALF_UP)


LANGUAGES_KEPT = 64
"""Of the tags that events name, of which there is no end. Babel keeps the CLDR's data of each locale
that it has read: 32 MB for all that can be asked for."""


@functools.lru_cache(maxsize=LANGUAGES_KEPT)
def language(tag: str) -> Language:
    """Find what a BCP 47 tag asks for: `de-AT` is German as written in Austria.

    A language without texts gets English, in its own territory's English where the CLDR has one.
    """
    match = _TAG.match(tag)
    wanted, script, territory = match.groups() if match else (SOURCE, None, None)
    territory = (territory or "").upper()
    # UK is GB.
    territory = get_global("territory_aliases").get(territory, [territory])[0]
    for spoken in (wanted.lower(), SOURCE):
        subtags = [(script or "").title(), territory]
        for candidate in (subtags, [territory], []):
            name = "_".join(filter(None, (spoken, *candidate)))
            if localedata.exists(name) and (texts := _nearest_texts(name)):
                return Language(catalogue(texts), Locale.parse(name))
    raise AssertionError(tag)


def _nearest_texts(locale: str) -> str | None:
    """Return which of `languages` a locale's readers understand best, if any.

    Theirs, or their parent's in the CLDR, or what else is written under that parent: `pt-BR` for pt_PT,
    `en-GB` for en_AU (by en_001), but `en` for en_US.
    """
    lines = {name: _ancestry(name.replace("-", "_")) for name in languages()}
    for ancestor in _ancestry(locale):
        related = [name for name, line in lines.items() if ancestor in line]
        if related:
            return min(related, key=lambda name: lines[name].index(ancestor))
    return None


def _ancestry(locale: str) -> list[str]:
    """Return a locale and those of its language that it inherits from: en_AU, en_001, en.

    UTS 35, 4.1.3 Parent Locales. The CLDR goes on from Haitian to French, which is no language to write in.
    """
    language = locale.partition("_")[0]
    line = []
    while locale.partition("_")[0] == language:
        line.append(locale)
        locale = get_global("parent_exceptions").get(locale) or locale.rpartition("_")[0]
    return line


class _Pattern(NamedTuple):
    """A number pattern of the CLDR's (UTS 35, Part 3) with all symbols in it.

    Made once per locale and currency: Babel puts them in for each amount anew, a fifth of a mail's time.
    """

    positive: tuple[str, str]
    negative: tuple[str, str]
    decimals: int
    point: str
    separator: str
    group_sizes: tuple[int, int]
    minimum_grouping_digits: int

    def write(self, number: Decimal) -> str:
        """Write with as many decimals as the pattern has, with more if there are."""
        number = round(number, max(self.decimals, get_decimal_precision(number)))
        before, after = self.negative if number < 0 else self.positive
        whole, _, fraction = f"{number.copy_abs():f}".partition(".")
        return f"{before}{self._grouped(whole)}{self.point if fraction else ''}{fraction}{after}"

    def _grouped(self, digits: str) -> str:
        last, others = self.group_sizes
        if len(digits) < last + self.minimum_grouping_digits:
            return digits
        groups = [digits[-last:]]
        digits = digits[:-last]
        while digits:
            groups.append(digits[-others:])
            digits = digits[:-others]
        return self.separator.join(reversed(groups))


@functools.lru_cache(maxsize=LANGUAGES_KEPT)
def _currency_pattern(locale: Locale, currency: str) -> _Pattern:
    symbol = get_currency_symbol(currency, locale)
    return _pattern(
        locale, locale.currency_formats["standard"], get_currency_precision(currency), symbol
    )


@functools.lru_cache(maxsize=LANGUAGES_KEPT)
def _decimal_pattern(locale: Locale) -> _Pattern:
    return _pattern(locale, locale.decimal_formats[None], 0)


def _pattern(locale: Locale, pattern: NumberPattern, decimals: int, symbol: str = "") -> _Pattern:
    symbols = locale.number_symbols["latn"]
    kind = "currency" if symbol else ""
    least = (_MINIMUM_GROUPING_DIGITS.get(name) for name in _ancestry(str(locale)))

    def affixes(sign: int) -> tuple[str, str]:
        before, after = (
            affix.replace("-", symbols["minusSign"])
            for affix in (pattern.prefix[sign], pattern.suffix[sign])
        )
        return _with_symbol(before, after, symbol, rtl=locale.text_direction == "rtl")

    return _Pattern(
        positive=affixes(0),
        negative=affixes(1),
        decimals=decimals,
        point=symbols.get(f"{kind}Decimal", symbols["decimal"]),
        separator=symbols.get(f"{kind}Group", symbols["group"]),
        group_sizes=pattern.grouping,
        minimum_grouping_digits=next(filter(None, least), 1),
    )


def _with_symbol(before: str, after: str, symbol: str, *, rtl: bool) -> tuple[str, str]:
    """Put a currency's symbol where ¤ is, with a space where a letter would touch a digit.

    That is the CLDR's `currencySpacing`, which Babel leaves out: "KWD 1.500", but "$1.50".
    """
    if before.endswith("¤") and not _is_symbol_or_space(symbol[-1]):
        before += "\N{NO-BREAK SPACE}"
    if after.startswith("¤") and not _is_symbol_or_space(symbol[0]):
        after = "\N{NO-BREAK SPACE}" + after
    if rtl and any(unicodedata.bidirectional(c) == "L" for c in symbol):
        # Else "US$" is shown as "$US", and on another side of -1.50 than of 1.50.
        symbol = f"{_ISOLATE}{symbol}{_POP_ISOLATE}"
    return before.replace("¤", symbol), after.replace("¤", symbol)


def _is_symbol_or_space(character: str) -> bool:
    return unicodedata.category(character)[0] in "SZ"


def _left_to_right(text: str) -> bool:
    return text.isascii() or not any(
        unicodedata.bidirectional(c) in ("R", "AL", "AN") for c in text
    )


@functools.cache
def catalogue(name: str) -> gettext.NullTranslations:
    """Return the texts of one of `languages`."""
    if name == SOURCE:
        return gettext.NullTranslations()
    with (BUILT / f"{name}.mo").open("rb") as file:
        return gettext.GNUTranslations(file)
